// Builds DOM nodes. The page never assigns innerHTML: every string that comes from a person, a bot or a
// model becomes a text node, and every address passes through safeUrl.

const SVG = "http://www.w3.org/2000/svg";

/** Create an element: props may hold class, text, dataset, style, on (listeners), DOM flags and attributes. */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props ?? {}, children);
}

/** Create an SVG element the same way. */
export function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props ?? {}, children);
}

const AS_PROPERTY = new Set(["value", "checked", "disabled", "hidden", "readOnly", "open", "multiple", "selected"]);

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.setAttribute("class", Array.isArray(value) ? value.filter(Boolean).join(" ") : value);
    else if (name === "text") element.textContent = String(value);
    else if (name === "dataset") setDataset(element, value);
    else if (name === "style") for (const [key, v] of Object.entries(value)) element.style.setProperty(key, v);
    else if (name === "on") for (const [type, listener] of Object.entries(value)) element.addEventListener(type, listener);
    else if (AS_PROPERTY.has(name) && name in element) element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

function setDataset(element, values) {
  for (const [key, value] of Object.entries(values)) {
    if (value !== undefined && value !== null) element.dataset[key] = String(value);
  }
}

/** Append nodes, strings and nested lists; null, undefined and false are left out. */
export function append(element, children) {
  for (const child of Array.isArray(children) ? children : [children]) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) append(element, child);
    else element.append(child);
  }
  return element;
}

/** Replace what an element holds. */
export function replace(element, ...children) {
  element.replaceChildren();
  return append(element, children);
}

/** The address if it is http(s), mailto or a path of this workspace, else null. */
export function safeUrl(value, { images = false } = {}) {
  if (typeof value !== "string" || value.trim() === "") return null;
  let url;
  try {
    url = new URL(value.trim(), window.location.origin);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
  const allowed = images ? ["http:", "https:", "blob:"] : ["http:", "https:", "mailto:"];
  return allowed.includes(url.protocol) ? url.href : null;
}

/** A link that opens in a new tab, or plain text if the address is not a safe one. */
export function link(url, ...children) {
  const href = safeUrl(url);
  if (!href) return h("span", {}, children.length ? children : String(url ?? ""));
  return h("a", { href, target: "_blank", rel: "noopener noreferrer nofollow" }, children.length ? children : href);
}

/**
 * Make `target` hold `nodes`, leaving equal leading nodes in place, so that text which only grows does not
 * flicker or lose the reader's selection. For display-only content: listeners are not compared.
 */
export function patchChildren(target, nodes) {
  const wanted = nodes.flat(Infinity).filter(Boolean).map((n) => (typeof n === "string" ? document.createTextNode(n) : n));
  let index = 0;
  while (index < wanted.length && target.childNodes[index]?.isEqualNode(wanted[index])) index += 1;
  while (target.childNodes.length > index) target.lastChild.remove();
  for (const node of wanted.slice(index)) target.append(node);
}

let counter = 0;

/** An id that is unique on this page, to tie labels to controls. */
export function uniqueId(prefix) {
  counter += 1;
  return `${prefix}-${counter}`;
}
