// The interactive elements of Block Kit, as they stand in actions, as accessories and inside input blocks.

import { act } from "../act.js";
import { h, safeUrl } from "../dom.js";
import { icon } from "../icons.js";
import { textObject } from "../mrkdwn.js";
import { picture } from "../lightbox.js";
import { openMenu } from "../popup.js";
import { checkboxes, radioButtons } from "./choices.js";
import { dateControl, fileControl, lineControl, multilineControl } from "./fields.js";
import { SELECTS, selectControl } from "./selects.js";

const RENDERERS = {
  button,
  workflow_button: button,
  overflow,
  image: (element) => picture(element.image_url, element.alt_text),
  radio_buttons: radioButtons,
  checkboxes,
  plain_text_input: (element, ...rest) => (element.multiline ? multilineControl : lineControl)(element, ...rest),
  rich_text_input: multilineControl,
  number_input: lineControl,
  email_text_input: lineControl,
  url_text_input: lineControl,
  datepicker: dateControl,
  timepicker: dateControl,
  datetimepicker: dateControl,
  file_input: fileControl,
};
for (const type of Object.keys(SELECTS)) RENDERERS[type] = selectControl;

/** Draw one element; `block` is the block it stands in. */
export function renderElement(element, block, context) {
  const render = RENDERERS[element?.type];
  if (!render) return h("span", { class: "unsupported", text: `Unsupported element: ${element?.type ?? "unknown"}` });
  return render(element, block, context);
}

function button(element, block, context) {
  const style = { primary: "button-primary", danger: "button-danger" }[element.style];
  const href = element.url ? safeUrl(element.url) : null;
  const node = h(
    "button",
    { type: "button", class: ["button", style], "aria-label": element.accessibility_label, dataset: { actionId: element.action_id, value: element.value, testid: "button" } },
    h("span", {}, textObject(element.text)),
  );
  node.addEventListener("click", () => {
    if (href) window.open(href, "_blank", "noopener,noreferrer");
    act(context, block, element, { value: element.value }, node);
  });
  return node;
}

function overflow(element, block, context) {
  const node = h(
    "button",
    { type: "button", class: "button button-icon", "aria-label": "More choices", "aria-haspopup": "menu", dataset: { actionId: element.action_id, testid: "overflow" } },
    icon("more"),
  );
  const choose = (option) => {
    const href = option.url ? safeUrl(option.url) : null;
    if (href) window.open(href, "_blank", "noopener,noreferrer");
    act(context, block, element, { selected_option: option.value }, node);
  };
  node.addEventListener("click", () => {
    const items = (element.options ?? []).map((option) => ({
      label: textObject(option.text),
      description: option.description && textObject(option.description),
      dataset: { value: option.value },
      onSelect: () => choose(option),
    }));
    openMenu(node, items, { label: "More choices" });
  });
  return node;
}
