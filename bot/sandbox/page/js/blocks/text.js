// Blocks that are mostly text: section, header, context, image, markdown, alert; and the two that only point elsewhere.

import { h, link } from "../dom.js";
import { icon } from "../icons.js";
import { picture } from "../lightbox.js";
import { markdown } from "../markdown.js";
import { textObject } from "../mrkdwn.js";
import { slackFileUrl } from "../slackfiles.js";
import { renderElement } from "./elements.js";

export function section(block, context) {
  return h(
    "div",
    { class: ["section", block.accessory && `with-${block.accessory.type === "image" ? "image" : "control"}`] },
    h(
      "div",
      { class: "section-text" },
      block.text && h("div", { class: "text" }, textObject(block.text)),
      block.fields?.length ? h("div", { class: "fields" }, block.fields.map((field) => h("div", { class: "text field" }, textObject(field)))) : null,
    ),
    block.accessory && h("div", { class: "accessory" }, accessory(block, context)),
  );
}

function accessory(block, context) {
  const element = block.accessory;
  if (element.type === "image") return picture(imageUrl(element), element.alt_text, "picture picture-accessory");
  return renderElement(element, block, context);
}

export const header = (block) => h("h3", { class: "header" }, textObject(block.text));

export function context(block) {
  return h(
    "div",
    { class: "context" },
    (block.elements ?? []).map((element) =>
      element.type === "image"
        ? picture(imageUrl(element), element.alt_text, "picture picture-context")
        : h("span", { class: "text" }, textObject(element)),
    ),
  );
}

export function imageBlock(block) {
  return h(
    "figure",
    { class: "image" },
    block.title && h("figcaption", {}, textObject(block.title)),
    picture(imageUrl(block), block.alt_text),
  );
}

const imageUrl = (image) => image.image_url ?? slackFileUrl(image.slack_file);

export const markdownBlock = (block) => h("div", { class: "text markdown" }, markdown(block.text));

const LEVELS = { info: "info", success: "check", warning: "alert", error: "alert", default: "info" };

export function alertBlock(block) {
  const level = block.level in LEVELS ? block.level : "default";
  const role = level === "error" || level === "warning" ? "alert" : "note";
  return h("div", { class: ["alert", `alert-${level}`], role }, icon(LEVELS[level]), h("div", { class: "text" }, textObject(block.text)));
}

/** A remote file: nothing to show beyond where it is. */
export const file = (block) => h("div", { class: "unsupported", text: `File from elsewhere: ${block.external_id ?? ""}` });

/** Videos are not played here; their title leads to them. */
export function video(block) {
  const title = textObject(block.title);
  return h("div", { class: "video" }, icon("file"), h("span", {}, block.title_url ? link(block.title_url, title) : title));
}
