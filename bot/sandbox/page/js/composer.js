// Where a person writes: text, files by button, drop or paste, slash commands, mentions. Enter sends, Shift+Enter breaks the line.

import { ApiError } from "./api.js";
import { chip } from "./blocks/fields.js";
import { h, replace } from "./dom.js";
import { escape } from "./entities.js";
import { icon } from "./icons.js";
import { openEmojiPicker } from "./messagetools.js";
import { openMenu } from "./popup.js";
import { session } from "./session.js";
import { store } from "./store.js";
import { Suggestions } from "./suggest.js";
import { attempt } from "./toast.js";

const drafts = new Map();

/** The composer of a channel or, with a thread's ts, of a thread. */
export class Composer {
  constructor({ placeholder, channel, thread = null, dropZone }) {
    Object.assign(this, { channel, thread, files: [], sending: false });
    this.key = `${channel}:${thread ?? ""}`;
    this.field = h("textarea", { rows: "1", class: "composer-field", placeholder, "aria-label": placeholder, role: "combobox", "aria-expanded": "false", dataset: { testid: thread ? "thread-composer" : "composer" }, value: drafts.get(this.key) ?? "" });
    this.suggestions = new Suggestions(this.field, (item) => this.insert(item));
    this.chips = h("div", { class: "chips", hidden: true });
    this.error = h("div", { class: "composer-error", role: "alert", hidden: true, dataset: { testid: "composer-error" } });
    this.picker = h("input", { type: "file", multiple: true, class: "visually-hidden", tabindex: "-1", "aria-hidden": "true", dataset: { testid: thread ? "thread-attach-input" : "attach-input" } });
    this.sendButton = h("button", { type: "button", class: "send", "aria-label": "Send", title: "Send (Enter)", disabled: true, dataset: { testid: "send" }, on: { click: () => this.send() } }, icon("send", 18));
    const box = h("div", { class: "composer-box" }, this.chips, this.field, this.bar());
    this.element = h("div", { class: "composer" }, this.suggestions.list, this.error, box, this.hint());
    this.listen(dropZone);
    this.refresh();
  }

  bar() {
    const attach = this.button("attach", "Attach a file", "attach", () => this.picker.click());
    const smile = this.button("smile", "Emoji", "emoji-button", () => openEmojiPicker(smile, (name) => this.type(`:${name}: `)));
    const mention = this.button("at", "Mention somebody", "mention-button", () => this.type("@"));
    const slash = this.thread ? null : this.button("slash", "Commands and shortcuts", "slash-button", () => this.openCommands(slash));
    return h("div", { class: "composer-bar" }, attach, this.picker, smile, mention, slash, h("span", { class: "spacer" }), this.sendButton);
  }

  button(name, label, testid, onClick) {
    return h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, dataset: { testid }, on: { click: onClick } }, icon(name));
  }

  hint() {
    return h("div", { class: "composer-hint", "aria-hidden": "true" }, h("span", {}, h("b", { text: "Enter" }), " sends · ", h("b", { text: "Shift+Enter" }), " new line · ", h("b", { text: "/" }), " commands"));
  }

  listen(dropZone) {
    this.field.addEventListener("input", () => this.refresh());
    this.field.addEventListener("keydown", (event) => this.onKey(event));
    this.field.addEventListener("blur", () => this.suggestions.close());
    this.field.addEventListener("paste", (event) => this.attach([...event.clipboardData.files], event));
    this.picker.addEventListener("change", () => {
      this.attach([...this.picker.files]);
      this.picker.value = "";
    });
    const over = (on) => (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      dropZone.classList.toggle("dropping", on);
    };
    dropZone.ondragover = over(true);
    dropZone.ondragleave = (event) => dropZone.contains(event.relatedTarget) || dropZone.classList.remove("dropping");
    dropZone.ondrop = (event) => {
      over(false)(event);
      this.attach([...(event.dataTransfer?.files ?? [])], event);
    };
  }

  onKey(event) {
    if (event.isComposing || this.suggestions.onKey(event)) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.send();
    }
  }

  refresh() {
    drafts.set(this.key, this.field.value);
    this.field.style.height = "auto";
    this.field.style.height = `${Math.min(this.field.scrollHeight, 240)}px`;
    this.showError(null);
    if (document.activeElement === this.field) this.suggestions.refresh();
    this.sendButton.disabled = this.sending || (!this.field.value.trim() && !this.files.length);
  }

  insert({ from, to, text }) {
    this.field.setRangeText(text, from, to, "end");
    this.field.focus();
    this.refresh();
  }

  type(text) {
    const at = this.field.selectionStart;
    const gap = at > 0 && !/\s$/.test(this.field.value.slice(0, at)) ? " " : "";
    this.insert({ from: at, to: this.field.selectionEnd, text: gap + text });
  }

  openCommands(anchor) {
    const commands = store.commands.map((one) => ({ label: `${one.command} ${one.usage_hint ?? ""}`.trim(), description: one.description, icon: icon("slash"), onSelect: () => this.insert({ from: 0, to: this.field.value.length, text: `${one.command} ` }) }));
    const shortcuts = store.shortcuts.filter((shortcut) => shortcut.type === "global").map((one) => ({ label: one.name, description: store.workspace.app_name, icon: icon("bolt"), dataset: { callbackId: one.callback_id }, onSelect: () => attempt(session.api.shortcut(one.callback_id, { channel: this.channel }), one.name) }));
    openMenu(anchor, [...commands, ...shortcuts], { label: "Commands and shortcuts", align: "start" });
  }

  async attach(list, event) {
    if (!list.length) return;
    event?.preventDefault();
    for (const source of list) {
      const file = { name: source.name, size: source.size, busy: true };
      this.files.push(file);
      file.ready = attempt(session.api.uploadFile(source), `${source.name} could not be uploaded`).then((answer) => {
        file.busy = false;
        if (answer) file.id = answer.id;
        else this.files.splice(this.files.indexOf(file), 1);
        this.showFiles();
      });
    }
    this.showFiles();
    this.field.focus();
  }

  showFiles() {
    this.chips.hidden = this.files.length === 0;
    replace(this.chips, this.files.map((file) => chip(file, () => (this.files.splice(this.files.indexOf(file), 1), this.showFiles()))));
    this.refresh();
  }

  showError(text) {
    this.error.hidden = !text;
    this.error.textContent = text ?? "";
  }

  async send() {
    const text = this.field.value.trim();
    if (this.sending || (!text && !this.files.length)) return;
    const command = /^\/([a-z][\w-]*)(?:\s+([\s\S]*))?$/.exec(text);
    if (command && !this.knows(`/${command[1]}`)) return;
    this.sending = true;
    this.refresh();
    await Promise.all(this.files.map((file) => file.ready));
    const sent = command ? await this.runCommand(`/${command[1]}`, command[2] ?? "") : await this.sendMessage(text);
    this.sending = false;
    if (sent) this.clear();
    this.refresh();
    this.field.focus();
  }

  knows(command) {
    if (store.commands.some((one) => one.command === command)) return true;
    this.showError(`${command} is not a command of this workspace. Type / to see them.`);
    return false;
  }

  clear() {
    this.field.value = "";
    this.files = [];
    this.suggestions.close();
    this.showFiles();
  }

  async sendMessage(text) {
    const message = { channel: this.channel, text: toWire(text), files: this.files.map((file) => file.id) };
    if (this.thread) message.thread_ts = this.thread;
    return (await attempt(session.api.sendMessage(message), "Not sent")) !== null;
  }

  /** A command leaves the field at once, as its form may open over it; what went wrong is told in the channel. */
  async runCommand(command, text) {
    this.clear();
    const request = { channel: this.channel, command, text };
    if (this.thread) request.thread_ts = this.thread;
    let answer;
    try {
      answer = await session.api.runCommand(request);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      answer = { error: error.message };
    }
    if (answer.error) store.notice(this.channel, answer.error, this.thread ?? undefined);
    return true;
  }
}

/** What was typed, as the workspace stores it: escaped, with names turned into mentions. */
export function toWire(text) {
  let wire = escape(text);
  const people = [...store.users.values()].flatMap((user) => [user.real_name, user.name].filter(Boolean).map((name) => [`@${escape(name)}`, `<@${user.id}>`]));
  const channels = [...store.channels.values()].filter((channel) => !channel.is_im).map((channel) => [`#${escape(channel.name)}`, `<#${channel.id}|${channel.name}>`]);
  const names = new Map([...people, ...channels].sort((a, b) => b[0].length - a[0].length));
  if (!names.size) return wire;
  const pattern = [...names.keys()].map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
  wire = wire.replace(new RegExp(`(?<![\\w/])(?:${pattern})(?![\\w])`, "g"), (name) => names.get(name));
  return wire;
}
