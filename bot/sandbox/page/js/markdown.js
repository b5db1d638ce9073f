// Standard markdown (what models write and markdown blocks hold) as DOM nodes: headings, lists, tasks, tables,
// quotes, fenced code, rules, links, emphasis. Pictures become links: text of a model never loads anything.

import { h, link, safeUrl } from "./dom.js";
import { emojiNode, entity, unescape } from "./entities.js";
import { codeBlock } from "./mrkdwn.js";

const INLINE = new RegExp(
  [
    "\\\\(?<escaped>[\\\\`*_{}\\[\\]()#+.!|~<>-])",
    "(?<ticks>`+)(?<code>[^\\n]*?[^`\\n])\\k<ticks>(?!`)",
    "!?\\[(?<label>[^\\]\\n]*)\\]\\((?<href>(?:[^()\\s]|\\([^()\\s]*\\))+)(?:\\s+\"[^\"]*\")?\\)",
    "<(?<angle>[^<>\\s][^<>\\n]*)>",
    "\\*\\*(?<strong>(?=\\S)[\\s\\S]*?\\S)\\*\\*(?!\\*)",
    "(?<![\\w_])__(?<strong2>(?=\\S)[\\s\\S]*?\\S)__(?![\\w_])",
    "~~(?<strike>(?=\\S)[\\s\\S]*?\\S)~~",
    "\\*(?<em>(?=[^\\s*])[^*]*[^\\s*])\\*(?!\\*)",
    "(?<![\\w_])_(?<em2>(?=[^\\s_])[^_]*[^\\s_])_(?![\\w_])",
    ":(?<emoji>[a-z0-9_+'-]+):",
    "(?<url>https?:\\/\\/[^\\s<>]+[^\\s<>.,;:!?)\\]}'\"*_~`])",
  ].join("|"),
  "g",
);

/** Nodes for inline markdown; a newline becomes a line break. */
export function inlineMarkdown(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(INLINE)) {
    const node = inlineNode(match.groups);
    if (!node) continue;
    pushText(nodes, text.slice(from, match.index));
    nodes.push(node);
    from = match.index + match[0].length;
  }
  pushText(nodes, text.slice(from));
  return nodes;
}

function pushText(nodes, text) {
  text.split("\n").forEach((line, index) => {
    if (index > 0) nodes.push(h("br"));
    if (line) nodes.push(document.createTextNode(unescape(line)));
  });
}

function inlineNode(groups) {
  if (groups.escaped) return document.createTextNode(groups.escaped);
  if (groups.code !== undefined) return h("code", { text: unescape(groups.code) });
  if (groups.href !== undefined) return labelled(groups.label, groups.href);
  if (groups.angle !== undefined) return entity(groups.angle);
  if (groups.emoji !== undefined) return emojiNode(groups.emoji);
  if (groups.url !== undefined) return link(groups.url, groups.url);
  const strong = groups.strong ?? groups.strong2;
  if (strong !== undefined) return h("strong", {}, inlineMarkdown(strong));
  const em = groups.em ?? groups.em2;
  if (em !== undefined) return h("em", {}, inlineMarkdown(em));
  return h("s", {}, inlineMarkdown(groups.strike));
}

function labelled(label, href) {
  return safeUrl(href) ? link(href, inlineMarkdown(label || href)) : h("span", {}, inlineMarkdown(label || href));
}

const FENCE = /^ {0,3}(```+|~~~+)\s*([\w+#.-]*)/;
const HEADING = /^ {0,3}(#{1,6})\s+(.+?)\s*#*$/;
const RULE = /^ {0,3}(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})$/;
const ITEM = /^(\s*)(?:([-*+•])|(\d{1,9})[.)])\s+(.*)$/;
const QUOTE = /^ {0,3}(?:>|&gt;) ?/;
const SEPARATOR = /^\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$/;

const DEEPEST_QUOTE = 6;

/** Nodes for a whole markdown text. */
export function markdown(text, depth = 0) {
  const rows = String(text ?? "").replace(/\r\n?/g, "\n").split("\n");
  const nodes = [];
  let at = 0;
  while (at < rows.length) {
    const [node, next] = block(rows, at, depth);
    if (node) nodes.push(node);
    at = next;
  }
  return nodes;
}

function block(rows, at, depth) {
  const row = rows[at];
  if (row.trim() === "") return [null, at + 1];
  const fence = FENCE.exec(row);
  if (fence) return fenced(rows, at, fence);
  const heading = HEADING.exec(row);
  if (heading) return [h(`h${Math.min(6, heading[1].length + 2)}`, { class: `md-h${heading[1].length}` }, inlineMarkdown(heading[2])), at + 1];
  if (RULE.test(row)) return [h("hr"), at + 1];
  if (QUOTE.test(row) && depth < DEEPEST_QUOTE) return quote(rows, at, depth);
  if (ITEM.test(row)) return list(rows, at);
  if (row.includes("|") && SEPARATOR.test(rows[at + 1] ?? "") && (rows[at + 1] ?? "").includes("-")) return table(rows, at);
  return paragraph(rows, at);
}

function fenced(rows, at, [, marker, language]) {
  let end = at + 1;
  while (end < rows.length && !rows[end].trim().startsWith(marker)) end += 1;
  return [codeBlock(rows.slice(at + 1, end).join("\n"), language), end + 1];
}

function quote(rows, at, depth) {
  let end = at;
  while (end < rows.length && QUOTE.test(rows[end])) end += 1;
  const inner = rows.slice(at, end).map((row) => row.replace(QUOTE, ""));
  return [h("blockquote", {}, markdown(inner.join("\n"), depth + 1)), end];
}

function paragraph(rows, at) {
  let end = at + 1;
  while (end < rows.length && rows[end].trim() !== "" && !startsBlock(rows, end)) end += 1;
  return [h("p", {}, inlineMarkdown(rows.slice(at, end).join("\n"))), end];
}

function startsBlock(rows, at) {
  return [FENCE, HEADING, RULE, QUOTE, ITEM].some((pattern) => pattern.test(rows[at]));
}

function list(rows, at) {
  const first = ITEM.exec(rows[at]);
  const indent = first[1].length;
  const ordered = Boolean(first[3]);
  const element = h(ordered ? "ol" : "ul", ordered && first[3] !== "1" ? { start: first[3] } : {});
  let end = at;
  while (end < rows.length) {
    const item = ITEM.exec(rows[end]);
    if (item && item[1].length <= indent + 1 && item[1].length >= indent && Boolean(item[3]) === ordered) {
      element.append(listItem(item[4]));
      end += 1;
    } else if (item && item[1].length > indent + 1 && element.lastChild) {
      const [nested, next] = list(rows, end);
      element.lastChild.append(nested);
      end = next;
    } else if (rows[end].trim() !== "" && /^\s{2,}/.test(rows[end]) && !item && element.lastChild) {
      element.lastChild.append(h("br"), ...inlineMarkdown(rows[end].trim()));
      end += 1;
    } else if (rows[end].trim() === "" && ITEM.exec(rows[end + 1] ?? "")?.[1].length >= indent) {
      end += 1;
    } else break;
  }
  return [element, Math.max(end, at + 1)];
}

function listItem(text) {
  const task = /^\[([ xX])\]\s+(.*)$/.exec(text);
  if (!task) return h("li", {}, inlineMarkdown(text));
  const box = h("input", { type: "checkbox", checked: task[1] !== " ", disabled: true, "aria-label": task[1] === " " ? "open" : "done" });
  return h("li", { class: "task" }, box, " ", inlineMarkdown(task[2]));
}

const cells = (row) =>
  row
    .trim()
    .replace(/^\||\|$/g, "")
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));

function table(rows, at) {
  const align = cells(rows[at + 1]).map((cell) => (cell.endsWith(":") ? (cell.startsWith(":") ? "center" : "right") : "left"));
  const line = (tag, row) =>
    h("tr", {}, cells(row).map((cell, column) => h(tag, { class: `align-${align[column] ?? "left"}` }, inlineMarkdown(cell))));
  let end = at + 2;
  const body = h("tbody");
  while (end < rows.length && rows[end].includes("|")) {
    body.append(line("td", rows[end]));
    end += 1;
  }
  const element = h("table", {}, h("thead", {}, line("th", rows[at])), body);
  return [h("div", { class: "table-scroll", tabindex: "0" }, element), end];
}
