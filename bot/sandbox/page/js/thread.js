// The panel on the right: one thread, its replies and its composer.

import { Composer } from "./composer.js";
import { h, replace } from "./dom.js";
import { icon } from "./icons.js";
import { statusText } from "./message.js";
import { MessageList, StatusLine } from "./messages.js";
import { store } from "./store.js";

/** Draws into #thread the thread that is open. */
export class ThreadPane {
  constructor(root) {
    this.root = root;
    this.statusLine = new StatusLine();
    store.subscribe("workspace", () => this.open());
    store.subscribe("thread", () => this.open());
    store.subscribe("message", (change) => this.onMessage(change));
    store.subscribe("status", ({ channel, thread }) => {
      if (this.shows(channel, thread)) this.showStatus();
    });
    root.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.defaultPrevented) store.openThread(null);
    });
  }

  shows(channel, ts) {
    return store.thread !== null && store.thread.channel === channel && store.thread.ts === ts;
  }

  open() {
    const { thread } = store;
    this.root.hidden = thread === null;
    document.getElementById("app").classList.toggle("thread-open", thread !== null);
    if (thread === null) {
      this.list = null;
      replace(this.root);
      return;
    }
    const { channel, ts, focus } = thread;
    const name = store.channelName(store.channels.get(channel));
    const close = h("button", { type: "button", class: "icon-button", "aria-label": "Close the thread", dataset: { testid: "close-thread" }, on: { click: () => store.openThread(null) } }, icon("close"));
    this.list = new MessageList({ select: () => [store.message(channel, ts), ...store.replies(channel, ts)].filter(Boolean), inThread: true, label: "Thread" });
    const composer = new Composer({ placeholder: "Reply …", channel, thread: ts, dropZone: this.root });
    const drop = h("div", { class: "drop-hint", "aria-hidden": "true" }, icon("attach", 28), "Drop the file to attach it");
    replace(this.root, h("header", { class: "panel-head" }, h("h2", {}, "Thread"), h("span", { class: "muted", text: store.channels.get(channel)?.is_im ? name : `#${name}` }), h("span", { class: "spacer" }), close), this.list.element, this.statusLine.element, composer.element, drop);
    this.list.sync();
    this.list.toBottom();
    this.showStatus();
    if (focus) composer.field.focus({ preventScroll: true });
    store.thread.focus = false;
  }

  showStatus() {
    this.statusLine.show(store.statusOf(store.thread.channel, store.thread.ts), statusText);
  }

  onMessage({ channel, ts, message, how }) {
    if (!this.list || channel !== store.thread?.channel) return;
    if (how === "deleted" && ts === store.thread.ts) store.openThread(null);
    else this.list.sync({ arrived: how === "posted" && message?.thread_ts === store.thread.ts ? message : null });
  }
}
