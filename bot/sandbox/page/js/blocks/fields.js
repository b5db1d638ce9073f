// Fields a person types into: one line, many lines, numbers, addresses, dates and times, and attached files.

import { act } from "../act.js";
import { h, replace } from "../dom.js";
import { fileSize } from "../format.js";
import { icon } from "../icons.js";
import { session } from "../session.js";
import { attempt, toast } from "../toast.js";
import { dispatches, textDispatch } from "./dispatch.js";

const INPUT_TYPES = { number_input: "text", email_text_input: "email", url_text_input: "url", plain_text_input: "text" };

export function lineControl(element, block, context) {
  const field = h("input", {
    type: INPUT_TYPES[element.type],
    inputmode: element.type === "number_input" ? "decimal" : undefined,
    value: context.form.read(block, element, element.initial_value ?? "") ?? "",
  });
  return typed(field, element, block, context);
}

export function multilineControl(element, block, context) {
  const initial = typeof element.initial_value === "object" ? flatten(element.initial_value) : element.initial_value;
  const field = h("textarea", { rows: "4", value: context.form.read(block, element, initial ?? "") ?? "" });
  return typed(field, element, block, context);
}

/** The bare text of a rich_text value. */
function flatten(value) {
  if (!value) return "";
  if (typeof value.text === "string") return value.text;
  return (value.elements ?? []).map(flatten).join(value.type === "rich_text" ? "\n" : "");
}

function typed(field, element, block, context) {
  field.classList.add("field-input");
  field.setAttribute("autocomplete", "off");
  field.placeholder = element.placeholder?.text ?? "";
  if (element.max_length) field.maxLength = element.max_length;
  field.dataset.actionId = element.action_id ?? "";
  if (element.focus_on_load) field.dataset.autofocus = "true";
  const when = textDispatch(block, element);
  const send = () => act(context, block, element, { value: field.value }, field);
  let timer;
  field.addEventListener("input", () => {
    context.form.write(block, element, field.value);
    window.clearTimeout(timer);
    if (when.typing) timer = window.setTimeout(send, 300);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || !when.enter || field.tagName === "TEXTAREA") return;
    event.preventDefault();
    send();
  });
  return field;
}

const DATES = {
  datepicker: { type: "date", initial: "initial_date", payload: "selected_date" },
  timepicker: { type: "time", initial: "initial_time", payload: "selected_time" },
  datetimepicker: { type: "datetime-local", initial: "initial_date_time", payload: "selected_date_time" },
};

export function dateControl(element, block, context) {
  const { type, initial, payload } = DATES[element.type];
  const stamped = element.type === "datetimepicker";
  const value = context.form.read(block, element, element[initial] ?? null);
  const field = h("input", { type, class: "field-input field-date", value: stamped ? localTime(value) : (value ?? ""), dataset: { actionId: element.action_id } });
  field.addEventListener("change", () => {
    const chosen = stamped && field.value ? Math.floor(new Date(field.value).valueOf() / 1000) : field.value || null;
    context.form.write(block, element, chosen);
    if (dispatches(block)) act(context, block, element, { [payload]: chosen }, field);
  });
  return field;
}

function localTime(seconds) {
  if (!seconds) return "";
  const date = new Date(seconds * 1000);
  return new Date(date.valueOf() - date.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}

export function fileControl(element, block, context) {
  const files = [];
  const limit = element.max_files ?? 10;
  const accepted = element.filetypes?.map((type) => `.${type}`).join(",");
  const chips = h("div", { class: "chips" });
  const picker = h("input", { type: "file", multiple: limit > 1, accept: accepted, class: "visually-hidden", dataset: { testid: "file-input" } });
  const button = h("button", { type: "button", class: "button", on: { click: () => picker.click() } }, icon("attach", 16), limit > 1 ? "Choose files" : "Choose a file");
  const changed = () => {
    context.form.write(block, element, files.map((file) => file.id));
    replace(chips, files.map((file) => chip(file, () => files.splice(files.indexOf(file), 1) && changed())));
    button.disabled = files.length >= limit;
  };
  context.form.read(block, element, []);
  picker.addEventListener("change", async () => {
    const room = limit - files.length;
    if (picker.files.length > room) toast(`At most ${limit} files here.`, "error");
    button.classList.add("busy");
    for (const file of [...picker.files].slice(0, room)) {
      const answer = await attempt(session.api.uploadFile(file), `${file.name} could not be uploaded`);
      if (answer) files.push({ id: answer.id, name: file.name, size: file.size });
    }
    picker.value = "";
    button.classList.remove("busy");
    changed();
  });
  return h("div", { class: "file-control", dataset: { actionId: element.action_id } }, button, picker, chips);
}

/** An attached file with a button to take it away again. */
export function chip(file, onRemove) {
  const remove = h("button", { type: "button", class: "icon-button", "aria-label": `Remove ${file.name}`, on: { click: onRemove } }, icon("close", 14));
  return h("span", { class: ["chip", file.busy && "busy"], dataset: { testid: "chip" } }, icon("file", 16), h("span", { class: "chip-name", text: file.name }), h("span", { class: "muted", text: fileSize(file.size) }), remove);
}
