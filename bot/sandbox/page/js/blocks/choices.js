// Radio buttons and checkboxes.

import { act } from "../act.js";
import { h, uniqueId } from "../dom.js";
import { textObject } from "../mrkdwn.js";
import { dispatches } from "./dispatch.js";

export function radioButtons(element, block, context) {
  const chosen = context.form.read(block, element, element.initial_option?.value ?? null);
  return group(element, block, context, "radio", (value) => value === chosen, (inputs) => {
    const value = inputs.find((input) => input.checked)?.value ?? null;
    return [value, { selected_option: value }];
  });
}

export function checkboxes(element, block, context) {
  const chosen = context.form.read(block, element, (element.initial_options ?? []).map((option) => option.value)) ?? [];
  return group(element, block, context, "checkbox", (value) => chosen.includes(value), (inputs) => {
    const values = inputs.filter((input) => input.checked).map((input) => input.value);
    return [values, { selected_options: values }];
  });
}

function group(element, block, context, type, isChecked, read) {
  const name = uniqueId("choice");
  const inputs = [];
  const box = h("div", { class: "choices", role: type === "radio" ? "radiogroup" : "group", dataset: { actionId: element.action_id } });
  const changed = () => {
    const [value, payload] = read(inputs);
    context.form.write(block, element, value);
    if (dispatches(block)) act(context, block, element, payload, box);
  };
  for (const option of element.options ?? []) {
    const input = h("input", { type, name, value: option.value, checked: isChecked(option.value), dataset: { testid: "choice", value: option.value }, on: { change: changed } });
    inputs.push(input);
    box.append(h("label", { class: "choice" }, input, h("span", { class: "choice-text" }, h("span", {}, textObject(option.text)), option.description && h("small", {}, textObject(option.description)))));
  }
  return box;
}
