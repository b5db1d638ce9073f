// JSON that opens step by step; branches are built when they are opened.

import { h } from "./dom.js";

/** A node for any JSON value; `depth` levels are open at the start. */
export function jsonTree(value, depth = 1) {
  return h("div", { class: "json" }, branch(value, depth));
}

function branch(value, depth, key) {
  if (value === null || typeof value !== "object") return h("div", { class: "json-line" }, label(key), leaf(value));
  const entries = Object.entries(value);
  if (!entries.length) return h("div", { class: "json-line" }, label(key), h("span", { class: "muted", text: Array.isArray(value) ? "[]" : "{}" }));
  const box = h("details", { class: "json-branch" }, h("summary", {}, label(key), h("span", { class: "muted", text: Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}` })));
  const build = () => {
    if (box.open && box.children.length === 1) box.append(h("div", { class: "json-children" }, entries.map(([name, child]) => branch(child, depth - 1, name))));
  };
  box.addEventListener("toggle", build);
  box.open = depth > 0;
  build();
  return box;
}

const label = (key) => (key === undefined ? null : h("span", { class: "json-key", text: `${key}: ` }));

function leaf(value) {
  const kind = value === null ? "null" : typeof value;
  return h("span", { class: `json-${kind}`, text: kind === "string" ? JSON.stringify(value) : String(value) });
}
