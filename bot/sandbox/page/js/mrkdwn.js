// Slack's mrkdwn (*bold*, _italic_, ~strike~, `code`, ```blocks```, > quotes, • lists, <links|text>) as DOM nodes.

import { h, link } from "./dom.js";
import { emojiNode, entity, unescape } from "./entities.js";

const INLINE = new RegExp(
  [
    "`(?<code>[^`\\n]+)`",
    "<(?<angle>[^<>\\n]+)>",
    "(?<![\\w*])\\*(?<bold>(?=\\S)[^*\\n]*[^*\\s])\\*(?![\\w*])",
    "(?<![\\w_])_(?<italic>(?=\\S)[^_\\n]*[^_\\s])_(?![\\w_])",
    "(?<![\\w~])~(?<strike>(?=\\S)[^~\\n]*[^~\\s])~(?![\\w~])",
    ":(?<emoji>[a-z0-9_+'-]+)(?:::skin-tone-\\d)?:",
    "(?<url>https?:\\/\\/[^\\s<>|]+[^\\s<>|.,;:!?)\\]}'\"*_~`])",
  ].join("|"),
  "g",
);

const WRAPPED = { bold: "strong", italic: "em", strike: "s" };

/** Nodes for one line of mrkdwn. */
export function inline(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(INLINE)) {
    const node = inlineNode(match.groups);
    if (!node) continue;
    if (match.index > from) nodes.push(document.createTextNode(unescape(text.slice(from, match.index))));
    nodes.push(node);
    from = match.index + match[0].length;
  }
  if (from < text.length) nodes.push(document.createTextNode(unescape(text.slice(from))));
  return nodes;
}

function inlineNode(groups) {
  if (groups.code !== undefined) return h("code", { text: unescape(groups.code) });
  if (groups.angle !== undefined) return entity(groups.angle);
  if (groups.emoji !== undefined) return emojiNode(groups.emoji);
  if (groups.url !== undefined) return link(unescape(groups.url), unescape(groups.url));
  for (const [name, tag] of Object.entries(WRAPPED)) {
    if (groups[name] !== undefined) return h(tag, {}, inline(groups[name]));
  }
  return null;
}

/** Nodes for a whole mrkdwn text. */
export function mrkdwn(text) {
  return String(text ?? "")
    .split("```")
    .flatMap((part, index, parts) => {
      const isCode = index % 2 === 1 && index < parts.length - 1;
      if (isCode) return [codeBlock(unescape(part))];
      const plain = index % 2 === 1 ? `\`\`\`${part}` : part;
      return lines(index > 0 ? plain.replace(/^\n/, "") : plain, index < parts.length - 1);
    });
}

/** A block of code with its text as it is. */
export function codeBlock(text, language) {
  const code = h("code", { text: text.replace(/^\n|\n$/g, ""), dataset: { language } });
  return h("pre", { class: "code-block", tabindex: "0" }, code);
}

const QUOTE = /^(?:&gt;|>) ?/;
const BULLET = /^(\s*)(?:[•◦▪]|[-*](?= ))\s+/;

function lines(text, codeFollows) {
  const nodes = [];
  const rows = (codeFollows ? text.replace(/\n$/, "") : text).split("\n");
  if (rows.length === 1 && rows[0] === "") return nodes;
  let quote = null;
  let previousBlock = true;
  for (const row of rows) {
    if (QUOTE.test(row)) {
      if (quote) quote.append(h("br"));
      else nodes.push((quote = h("blockquote")));
      quote.append(...inline(row.replace(QUOTE, "")));
      previousBlock = true;
      continue;
    }
    quote = null;
    const bullet = BULLET.exec(row);
    if (bullet) {
      const indent = Math.min(3, Math.floor(bullet[1].length / 2));
      nodes.push(h("span", { class: ["bullet", `bullet-${indent}`] }, inline(row.slice(bullet[0].length))));
      previousBlock = true;
      continue;
    }
    if (!previousBlock) nodes.push(h("br"));
    nodes.push(...inline(row));
    previousBlock = false;
  }
  return nodes;
}

/** The nodes of a Block Kit text object (plain_text or mrkdwn). */
export function textObject(object) {
  if (!object) return [];
  if (typeof object === "string") return mrkdwn(object);
  if (object.type !== "plain_text") return mrkdwn(object.text);
  return object.emoji === false ? [object.text] : plain(object.text);
}

/** Plain text with emoji and line breaks. */
export function plain(text) {
  return String(text ?? "")
    .split(/(:[a-z0-9_+'-]+:|\n)/)
    .filter((part) => part !== "")
    .map((part) => {
      if (part === "\n") return h("br");
      const code = /^:([a-z0-9_+'-]+):$/.exec(part);
      return code ? emojiNode(code[1]) : part;
    });
}
