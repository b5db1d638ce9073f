// rich_text: sections, lists, quotes and preformatted text made of styled elements.

import { h, link } from "../dom.js";
import { broadcast, channelMention, emojiNode, userMention } from "../entities.js";
import { dateToken } from "../format.js";
import { codeBlock } from "../mrkdwn.js";

export function richText(block) {
  return h("div", { class: "text rich-text" }, richTextNodes(block));
}

/** The nodes of a rich_text object, also inside tables and tasks. */
export function richTextNodes(block) {
  const nodes = [];
  for (const element of block?.elements ?? []) {
    if (element.type === "rich_text_list") nestList(nodes, element);
    else nodes.push(part(element));
  }
  return nodes;
}

function part(element) {
  if (element.type === "rich_text_preformatted") return codeBlock(bareText(element), element.language);
  if (element.type === "rich_text_quote") return h("blockquote", {}, inlineElements(element));
  return h("div", { class: "rich-section" }, inlineElements(element));
}

const bareText = (element) => (element.elements ?? []).map((child) => child.text ?? child.url ?? "").join("");

/** Lists come flat with an indent: put each under the last item of the list above it. */
function nestList(nodes, element) {
  const list = h(element.style === "ordered" ? "ol" : "ul", element.offset ? { start: element.offset + 1 } : {}, (element.elements ?? []).map((item) => h("li", {}, inlineElements(item))));
  let parent = nodes.at(-1);
  if (!element.indent || !parent?.matches?.("ol, ul")) {
    nodes.push(list);
    return;
  }
  for (let depth = 1; depth < element.indent; depth += 1) parent = parent.lastElementChild?.querySelector(":scope > ol, :scope > ul") ?? parent;
  (parent.lastElementChild ?? parent).append(list);
}

const inlineElements = (element) => (element.elements ?? []).flatMap((child) => styled(child));

function styled(element) {
  const style = element.style ?? {};
  let nodes = inlineElement(element);
  if (style.code) nodes = [h("code", {}, nodes)];
  if (style.bold) nodes = [h("strong", {}, nodes)];
  if (style.italic) nodes = [h("em", {}, nodes)];
  if (style.strike) nodes = [h("s", {}, nodes)];
  if (style.underline) nodes = [h("u", {}, nodes)];
  return nodes;
}

function inlineElement(element) {
  switch (element.type) {
    case "text":
      return String(element.text).split("\n").flatMap((line, index) => (index ? [h("br"), line] : [line]));
    case "link":
      return [link(element.url, element.text || element.url)];
    case "emoji":
      return [emojiNode(element.name, element.unicode)];
    case "user":
      return [userMention(element.user_id)];
    case "channel":
      return [channelMention(element.channel_id)];
    case "broadcast":
      return [broadcast(element.range)];
    case "usergroup":
      return [broadcast("group")];
    case "color":
      return [h("code", { text: element.value })];
    case "date":
      return [h("time", { text: dateToken(element.timestamp, element.format) || element.fallback || "" })];
    default:
      return [element.text ?? ""];
  }
}
