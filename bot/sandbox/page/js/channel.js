// The middle of the page: a channel's header, its messages and composer, and for the app its Home and Messages tabs.

import { avatar } from "./avatar.js";
import { Composer } from "./composer.js";
import { h, replace } from "./dom.js";
import { count } from "./format.js";
import { HomeTab } from "./home.js";
import { icon } from "./icons.js";
import { statusText } from "./message.js";
import { MessageList, StatusLine } from "./messages.js";
import { store } from "./store.js";
import { welcome } from "./welcome.js";

/** Draws into #main whatever is open. */
export class ChannelPane {
  constructor(root, { onMenu }) {
    this.root = root;
    this.onMenu = onMenu;
    this.home = new HomeTab();
    this.statusLine = new StatusLine();
    store.subscribe("workspace", () => this.open());
    store.subscribe("members", (id) => id === store.active && this.open());
    store.subscribe("navigate", () => this.open());
    store.subscribe("message", (change) => this.onMessage(change));
    store.subscribe("status", (change) => this.onStatus(change));
  }

  get channel() {
    return store.channels.get(store.active) ?? null;
  }

  open() {
    const { channel } = this;
    if (!channel) {
      replace(this.root, h("div", { class: "nothing" }, h("p", { text: "No channel is open to this person." })));
      return;
    }
    const isApp = channel === store.appChannel();
    this.lead = h("div");
    this.list = new MessageList({ select: () => store.timeline(channel.id), label: `Messages in ${store.channelName(channel)}`, lead: this.lead });
    const composer = new Composer({ placeholder: `Message ${channel.is_im ? "" : "#"}${store.channelName(channel)}`, channel: channel.id, dropZone: this.root });
    const drop = h("div", { class: "drop-hint", "aria-hidden": "true" }, icon("attach", 28), "Drop the file to attach it");
    const showHome = isApp && store.tab === "home";
    replace(this.root, this.header(channel, isApp), showHome ? this.home.element : [this.list.element, this.statusLine.element, composer.element, drop]);
    if (showHome) {
      this.home.open();
      return;
    }
    this.sync();
    this.list.toBottom();
    this.showStatus();
    if (window.matchMedia("(hover: hover)").matches) composer.field.focus({ preventScroll: true });
  }

  header(channel, isApp) {
    const other = channel.members?.find((id) => id !== store.me);
    const menu = h("button", { type: "button", class: "icon-button only-narrow", "aria-label": "Channels", dataset: { testid: "open-sidebar" }, on: { click: this.onMenu } }, icon("menu", 22));
    const title = h("h1", { class: "channel-title" }, channel.is_im ? avatar(other, 24) : icon(channel.is_private ? "lock" : "hash", 18), h("span", { text: store.channelName(channel), dataset: { testid: "channel-title" } }));
    const people = channel.is_im || !channel.members ? null : h("span", { class: "members", title: channel.members.map((id) => store.nameOf(id)).join(", ") }, channel.members.slice(0, 4).map((id) => avatar(id, 22)), h("span", { class: "visually-hidden", text: count(channel.members.length, "member", "members") }));
    return h("header", { class: "channel-head" }, menu, title, h("span", { class: "topic", text: channel.topic ?? "" }), h("span", { class: "spacer" }), people, isApp ? this.tabs(channel) : null);
  }

  tabs(channel) {
    const tab = (name, label) => h("button", { type: "button", role: "tab", class: "tab", "aria-selected": String(store.tab === name), dataset: { testid: `tab-${name}` }, on: { click: () => store.openChannel(channel.id, name) } }, label);
    return h("div", { class: "tabs", role: "tablist" }, tab("home", "Home"), tab("messages", "Messages"));
  }

  sync(options) {
    const { channel } = this;
    const empty = store.timeline(channel.id).length === 0;
    if (this.lead.dataset.empty !== String(empty)) {
      this.lead.dataset.empty = String(empty);
      replace(this.lead, welcome(channel, { empty }));
    }
    this.list.sync(options);
  }

  onMessage({ channel, message, how }) {
    if (!this.list || channel !== store.active || store.tab !== "messages") return;
    const top = message && (!message.thread_ts || message.thread_ts === message.ts || message.subtype === "thread_broadcast");
    this.sync({ arrived: how === "posted" && top ? message : null });
  }

  onStatus({ channel }) {
    if (channel !== store.active || !this.list) return;
    this.showStatus();
    this.list.sync();
  }

  showStatus() {
    this.statusLine.show(store.statusOf(store.active), statusText);
  }
}
