// The tools that appear on a message: react, reply in the thread, and a menu with the app's message shortcuts.

import { h } from "./dom.js";
import { FREQUENT, emoji, findEmoji } from "./emoji.js";
import { icon } from "./icons.js";
import { openMenu, openPopup } from "./popup.js";
import { session } from "./session.js";
import { store } from "./store.js";
import { attempt, toast } from "./toast.js";

/** The buttons for one message. A message only this person sees can be neither reacted to nor replied to. */
export function messageTools(message, { inThread }) {
  const more = toolButton("more", "More actions", "message-menu");
  more.setAttribute("aria-haspopup", "menu");
  more.addEventListener("click", () => openMenu(more, menuItems(message), { label: "Message actions" }));
  if (message.ephemeral) return message.notice ? [] : [more];
  const react = toolButton("smile", "Add a reaction", "add-reaction");
  react.addEventListener("click", () => openEmojiPicker(react, (name) => toggleReaction(message, name)));
  const reply = toolButton("thread", "Reply in thread", "reply-in-thread");
  reply.addEventListener("click", () => store.openThread({ channel: message.channel, ts: message.thread_ts ?? message.ts, focus: true }));
  return [react, inThread ? null : reply, more];
}

function toolButton(name, label, testid) {
  return h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, dataset: { testid } }, icon(name));
}

function menuItems(message) {
  const shortcuts = store.shortcuts.filter((shortcut) => shortcut.type === "message" && !message.ephemeral);
  const run = (shortcut) => attempt(session.api.shortcut(shortcut.callback_id, { channel: message.channel, ts: message.ts }), shortcut.name);
  const copy = async () => {
    await navigator.clipboard.writeText(message.text ?? "");
    toast("Copied.");
  };
  return [
    ...shortcuts.map((shortcut) => ({ label: shortcut.name, description: store.workspace.app_name, icon: icon("bolt"), dataset: { callbackId: shortcut.callback_id }, onSelect: () => run(shortcut) })),
    shortcuts.length ? null : undefined,
    { label: "Copy the text", icon: icon("copy"), onSelect: copy },
  ].filter((item) => item !== undefined);
}

/** Add or take back this person's reaction. */
export function toggleReaction(message, name) {
  return attempt(session.api.react(message.channel, message.ts, name), "Reaction");
}

/** A small emoji picker with a search field. */
export function openEmojiPicker(anchor, onPick) {
  const grid = h("div", { class: "emoji-grid" });
  let close = () => {};
  const show = (list) => {
    grid.replaceChildren(
      ...list.map(({ name, character }) => {
        const pick = () => {
          close();
          onPick(name);
        };
        return h("button", { type: "button", title: `:${name}:`, "aria-label": name.replaceAll("_", " "), dataset: { testid: "emoji", name }, on: { click: pick } }, character);
      }),
    );
  };
  const frequent = FREQUENT.map((name) => ({ name, character: emoji(name) }));
  const search = h("input", { type: "search", class: "field-input", placeholder: "Find an emoji", "aria-label": "Find an emoji" });
  search.addEventListener("input", () => show(search.value ? findEmoji(search.value.trim().toLowerCase(), 24) : frequent));
  show(frequent);
  close = openPopup(anchor, h("div", { class: "emoji-picker" }, search, grid), { label: "Emoji", align: "end" });
  search.focus();
}
