// The question before a step that cannot be taken back: Block Kit's confirm object as a small dialog.

import { h } from "./dom.js";
import { textObject } from "./mrkdwn.js";

/** Ask; resolves to true when the person confirms. */
export function askConfirm(confirm) {
  return new Promise((resolve) => {
    const yes = h(
      "button",
      { type: "button", class: ["button", confirm.style === "danger" ? "button-danger" : "button-primary"], dataset: { testid: "confirm-yes" } },
      textObject(confirm.confirm ?? "Yes"),
    );
    const no = h("button", { type: "button", class: "button", dataset: { testid: "confirm-no" } }, textObject(confirm.deny ?? "Cancel"));
    const dialog = h(
      "dialog",
      { class: "dialog dialog-small", role: "alertdialog", "aria-labelledby": "confirm-title", dataset: { testid: "confirm" } },
      h("div", { class: "dialog-body" }, h("h2", { id: "confirm-title" }, textObject(confirm.title ?? "Are you sure?")), h("p", {}, textObject(confirm.text))),
      h("div", { class: "dialog-foot" }, no, yes),
    );
    let answer = false;
    yes.addEventListener("click", () => {
      answer = true;
      dialog.close();
    });
    no.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
    (confirm.style === "danger" ? no : yes).focus();
  });
}
