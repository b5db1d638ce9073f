// card, carousel and container.

import { h } from "../dom.js";
import { icon } from "../icons.js";
import { picture } from "../lightbox.js";
import { textObject } from "../mrkdwn.js";
import { slackFileUrl } from "../slackfiles.js";
import { renderElement } from "./elements.js";
import { richTextNodes } from "./richtext.js";

const image = (object, className) => object && picture(object.image_url ?? slackFileUrl(object.slack_file), object.alt_text, className);

export function card(block, context) {
  return h(
    "article",
    { class: "card" },
    image(block.hero_image, "picture picture-hero"),
    h(
      "div",
      { class: "card-body" },
      heading(block),
      block.body && h("div", { class: "text" }, textObject(block.body)),
      block.subtext && h("div", { class: "muted" }, textObject(block.subtext)),
      block.actions?.length ? h("div", { class: "actions" }, block.actions.map((element) => renderElement(element, block, context))) : null,
    ),
  );
}

function heading(block) {
  if (!block.icon && !block.title && !block.subtitle && !block.rich_text_title) return null;
  const title = block.rich_text_title ? richTextNodes(block.rich_text_title) : block.title && textObject(block.title);
  return h(
    "div",
    { class: "card-heading" },
    image(block.icon, "picture picture-icon"),
    h("div", {}, title && h("strong", { class: "card-title" }, title), block.subtitle && h("div", { class: "muted" }, textObject(block.subtitle))),
  );
}

export function carousel(block, context, renderBlock) {
  const track = h("div", { class: "carousel-track", tabindex: "0", role: "group", "aria-label": "Cards" }, (block.elements ?? []).map((element) => renderBlock(element, context)));
  const step = (direction) => track.scrollBy({ left: direction * track.clientWidth * 0.8, behavior: "smooth" });
  const arrow = (direction, name, label) => h("button", { type: "button", class: `carousel-arrow carousel-${name}`, "aria-label": label, on: { click: () => step(direction) } }, icon(name));
  const arrows = (block.elements ?? []).length > 1 ? [arrow(-1, "back", "Previous card"), arrow(1, "right", "Next card")] : [];
  return h("div", { class: "carousel" }, track, arrows);
}

export function container(block, context, renderBlock) {
  const children = (block.child_blocks ?? []).map((child) => renderBlock(child, context));
  const props = { class: ["container", block.has_header_divider && "with-rule"] };
  if (!block.is_collapsible) return h("section", props, heading(block), h("div", { class: "container-body" }, children));
  return h("details", { ...props, open: !block.default_collapsed }, h("summary", {}, heading(block), icon("down", 14)), h("div", { class: "container-body" }, children));
}
