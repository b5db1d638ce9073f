// The <…> entities of Slack's text: people, channels, broadcasts, dates and links, and the &amp; escapes.

import { h, link, safeUrl } from "./dom.js";
import { emoji } from "./emoji.js";
import { dateToken } from "./format.js";
import { store } from "./store.js";

/** Undo the three escapes that Slack's text uses. */
export function unescape(text) {
  return text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
}

/** Escape what a person typed, as a chat client does before sending. */
export function escape(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

export function userMention(id) {
  const mine = id === store.me;
  return h("span", { class: ["mention", mine && "mention-me"], dataset: { user: id }, text: `@${store.nameOf(id)}` });
}

export function channelMention(id, fallback) {
  const channel = store.channels.get(id);
  if (!channel) return h("span", { class: "mention", text: `#${fallback || id}` });
  const open = () => store.openChannel(id);
  return h("button", { class: "mention mention-link", type: "button", on: { click: open }, text: `#${channel.name}` });
}

export function broadcast(range) {
  return h("span", { class: "mention mention-all", text: `@${range}` });
}

export function emojiNode(name, unicode) {
  const character = emoji(name) ?? (unicode ? fromCodePoints(unicode) : null);
  if (!character) return document.createTextNode(`:${name}:`);
  return h("span", { class: "emoji", role: "img", "aria-label": name.replaceAll("_", " "), title: `:${name}:`, text: character });
}

function fromCodePoints(unicode) {
  const points = unicode.split("-").map((part) => Number.parseInt(part, 16));
  return points.every((point) => point > 0 && point <= 0x10ffff) ? String.fromCodePoint(...points) : null;
}

/** The node for what stands between < and >, or null if it is no entity. */
export function entity(inner) {
  const bar = inner.indexOf("|");
  const target = bar < 0 ? inner : inner.slice(0, bar);
  const label = bar < 0 ? "" : inner.slice(bar + 1);
  if (/^@[A-Z0-9]+$/.test(target)) return userMention(target.slice(1));
  if (/^#[A-Z0-9]+$/.test(target)) return channelMention(target.slice(1), label);
  if (target.startsWith("!subteam^")) return broadcast(unescape(label || "group").replace(/^@/, ""));
  if (target.startsWith("!date^")) return dateEntity(target, label);
  if (/^!(here|channel|everyone)$/.test(target)) return broadcast(target.slice(1));
  if (/^(https?:\/\/|mailto:)/.test(target)) {
    const url = unescape(target);
    return link(url, unescape(label || url.replace(/^mailto:/, "")));
  }
  return null;
}

function dateEntity(target, label) {
  const [, timestamp, format, url] = target.split("^");
  const text = dateToken(timestamp, unescape(format ?? "{date}")) || unescape(label);
  return url && safeUrl(url) ? link(url, text) : h("time", { text });
}
