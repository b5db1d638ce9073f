// Suggestions while typing: slash commands with their hints, people after @, emoji after a colon.

import { avatar } from "./avatar.js";
import { h, replace, uniqueId } from "./dom.js";
import { findEmoji } from "./emoji.js";
import { icon } from "./icons.js";
import { store } from "./store.js";

/** The suggestion list over a text field; `accept({from, to, text})` puts a choice into the field. */
export class Suggestions {
  constructor(field, accept) {
    this.field = field;
    this.accept = accept;
    this.items = [];
    this.active = 0;
    this.list = h("div", { class: "suggestions", role: "listbox", id: uniqueId("suggestions"), "aria-label": "Suggestions", hidden: true, dataset: { testid: "suggestions" } });
    field.setAttribute("aria-controls", this.list.id);
    field.setAttribute("aria-autocomplete", "list");
  }

  get isOpen() {
    return !this.list.hidden;
  }

  /** Look at what stands before the cursor. */
  refresh() {
    const before = this.field.value.slice(0, this.field.selectionStart);
    this.items = commandItems(before) ?? mentionItems(before) ?? emojiItems(before) ?? [];
    this.active = 0;
    this.draw();
  }

  draw() {
    this.list.hidden = this.items.length === 0;
    this.field.setAttribute("aria-expanded", String(this.isOpen));
    replace(
      this.list,
      this.items.map((item, index) =>
        h(
          "div",
          {
            role: "option", id: `${this.list.id}-${index}`, class: ["suggestion", index === this.active && "active"], "aria-selected": String(index === this.active),
            dataset: { testid: "suggestion", value: item.text.trim() }, on: { mousedown: (event) => (event.preventDefault(), this.choose(index)) },
          },
          item.icon,
          h("span", { class: "menu-text" }, h("span", {}, h("strong", { text: item.title }), item.hint ? h("span", { class: "usage", text: ` ${item.hint}` }) : null), item.description && h("small", { text: item.description })),
        ),
      ),
    );
    this.list.querySelector(".active")?.scrollIntoView({ block: "nearest" });
    if (this.isOpen) this.field.setAttribute("aria-activedescendant", `${this.list.id}-${this.active}`);
    else this.field.removeAttribute("aria-activedescendant");
  }

  choose(index) {
    const item = this.items[index];
    this.close();
    this.accept(item);
  }

  close() {
    this.items = [];
    this.draw();
  }

  /** Handle a key; true if it was used up here. */
  onKey(event) {
    if (!this.isOpen) return false;
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps) {
      this.active = (this.active + steps[event.key] + this.items.length) % this.items.length;
      this.draw();
    } else if (event.key === "Escape") this.close();
    else if (event.key === "Tab" || (event.key === "Enter" && !event.shiftKey && !this.isComplete())) this.choose(this.active);
    else return false;
    event.preventDefault();
    return true;
  }

  /** The field already says exactly what is highlighted, so Enter sends. */
  isComplete() {
    const item = this.items[this.active];
    return item.text.trim() === this.field.value.slice(item.from, item.to).trim();
  }
}

function commandItems(before) {
  const match = /^\/(\S*)$/.exec(before);
  if (match) {
    const found = store.commands.filter(({ command }) => command.startsWith(before));
    return found.map((one) => ({ from: 0, to: before.length, text: `${one.command} `, title: one.command, hint: one.usage_hint, description: one.description, icon: icon("slash") }));
  }
  const inside = /^(\/\S+) +(\S*)$/.exec(before);
  const command = inside && store.commands.find((one) => one.command === inside[1]);
  if (!command) return null;
  const words = verbsOf(command.usage_hint).filter((verb) => verb.startsWith(inside[2]));
  if (words.length === 1 && words[0] === inside[2]) return null;
  return words.map((verb) => ({ from: before.length - inside[2].length, to: before.length, text: `${verb} `, title: `${command.command} ${verb}`, icon: icon("slash") }));
}

/** The alternatives that a usage hint names: "[start | status | help]" gives three. */
function verbsOf(hint) {
  if (!hint?.includes("|")) return [];
  return [...hint.matchAll(/[[(<]?\s*([a-z][a-z-]*)\b[^|]*(?:\||$)/g)].map((match) => match[1]);
}

function mentionItems(before) {
  const match = /(?:^|\s)@([\w. -]{0,30})$/.exec(before);
  if (!match) return null;
  const wanted = match[1].toLowerCase();
  const names = (user) => [user.real_name ?? "", user.name ?? ""].map((name) => name.toLowerCase());
  const found = [...store.users.values()].filter((user) => names(user).some((name) => name.startsWith(wanted)));
  if (!found.length) return null;
  const from = before.length - match[1].length - 1;
  return found.slice(0, 8).map((user) => ({ from, to: before.length, text: `@${user.real_name || user.name} `, title: user.real_name || user.name, description: `@${user.name}`, icon: avatar(user.id, 24) }));
}

function emojiItems(before) {
  const match = /(?:^|\s):([a-z0-9_+-]{2,})$/.exec(before);
  if (!match) return null;
  return findEmoji(match[1]).map(({ name, character }) => ({ from: before.length - match[1].length - 1, to: before.length, text: `:${name}: `, title: `:${name}:`, icon: h("span", { text: character }) }));
}
