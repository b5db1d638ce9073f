// Rows of controls: the actions block, and context_actions (feedback thumbs and icon buttons under an answer).

import { h } from "../dom.js";
import { icon } from "../icons.js";
import { plain } from "../mrkdwn.js";
import { act } from "../act.js";
import { store } from "../store.js";
import { renderElement } from "./elements.js";

export function actions(block, context) {
  return h("div", { class: "actions", role: "group" }, (block.elements ?? []).map((element) => renderElement(element, block, context)));
}

export function contextActions(block, context) {
  return h("div", { class: "context-actions", role: "group" }, (block.elements ?? []).map((element) => contextElement(element, block, context)));
}

function contextElement(element, block, context) {
  if (element.type === "feedback_buttons") {
    const pair = h("span", { class: "feedback", role: "group", "aria-label": "Feedback", dataset: { actionId: element.action_id } });
    pair.append(thumb("👍", element.positive_button, element, block, context, pair), thumb("👎", element.negative_button, element, block, context, pair));
    return pair;
  }
  if (element.type === "icon_button") return iconButton(element, block, context);
  return renderElement(element, block, context);
}

function thumb(character, choice, element, block, context, pair) {
  const label = choice?.accessibility_label ?? choice?.text?.text ?? character;
  const button = h("button", { type: "button", class: "ghost-button", title: choice?.text?.text, "aria-label": label, "aria-pressed": "false", dataset: { testid: "feedback", value: choice?.value } }, character);
  button.addEventListener("click", async () => {
    if (!(await act(context, block, element, { value: choice?.value }, button))) return;
    for (const other of pair.children) other.setAttribute("aria-pressed", String(other === button));
  });
  return button;
}

const ICONS = { trash: "trash", copy: "copy", refresh: "refresh" };

function iconButton(element, block, context) {
  if (element.visible_to_user_ids && !element.visible_to_user_ids.includes(store.me)) return null;
  const label = element.accessibility_label ?? element.text?.text ?? element.icon;
  const button = h(
    "button",
    { type: "button", class: "ghost-button", title: element.text?.text, "aria-label": label, dataset: { actionId: element.action_id, testid: "icon-button" } },
    element.icon in ICONS ? icon(ICONS[element.icon], 16) : plain(element.text?.text ?? element.icon),
  );
  button.addEventListener("click", () => act(context, block, element, { value: element.value }, button));
  return button;
}
