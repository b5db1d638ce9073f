// The input block: a labelled control with its hint and, when something is wrong, the problem in words.

import { h, uniqueId } from "../dom.js";
import { textObject } from "../mrkdwn.js";
import { renderElement } from "./elements.js";

export function input(block, context) {
  const control = renderElement(block.element, block, context);
  const field = control.matches("input, textarea") ? control : control.querySelector("input[role=combobox]");
  const id = field ? (field.id ||= uniqueId("field")) : undefined;
  const errorId = uniqueId("error");
  const labelId = uniqueId("label");
  const error = h("div", { class: "input-error", id: errorId, role: "alert", hidden: true, dataset: { testid: "input-error" } });
  const optional = block.optional ? h("span", { class: "muted", text: " (optional)" }) : null;
  const box = h(
    "div",
    { class: "input" },
    h(field ? "label" : "div", { class: "input-label", for: id, id: labelId }, textObject(block.label), optional),
    control,
    error,
    block.hint && h("div", { class: "input-hint" }, textObject(block.hint)),
  );
  if (field) {
    field.removeAttribute("aria-label");
    field.setAttribute("aria-describedby", errorId);
    if (!block.optional) field.setAttribute("aria-required", "true");
  } else control.setAttribute("aria-labelledby", labelId);
  context.form.register(block.block_id, {
    show: (text) => {
      error.textContent = text ?? "";
      error.hidden = !text;
      box.classList.toggle("invalid", Boolean(text));
      field?.setAttribute("aria-invalid", String(Boolean(text)));
    },
    focus: () => (field ?? control.querySelector("input, button"))?.focus(),
  });
  return box;
}
