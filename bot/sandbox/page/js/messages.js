// A list of messages that follows the store: grouped by person, divided by day, and steady under the reader's eyes.

import { h, replace } from "./dom.js";
import { dayLabel } from "./format.js";
import { icon } from "./icons.js";
import { MessageView } from "./message.js";
import { store } from "./store.js";

const GROUP_SECONDS = 300;
const NEAR_BOTTOM = 80;

/** Shows what `select()` returns. `lead` is an element above the first message. */
export class MessageList {
  constructor({ select, inThread = false, label, lead }) {
    this.select = select;
    this.inThread = inThread;
    this.views = new Map();
    this.sticky = true;
    this.lead = lead;
    this.content = h("div", { class: "message-content", role: "log", "aria-label": label, "aria-live": "polite", "aria-relevant": "additions" });
    this.scroller = h("div", { class: "message-scroll", tabindex: "0", dataset: { testid: inThread ? "thread-messages" : "messages" } }, this.content);
    this.jump = h("button", { type: "button", class: "jump", hidden: true, dataset: { testid: "jump" }, on: { click: () => this.toBottom() } }, icon("down", 14), "New messages");
    this.element = h("div", { class: "message-list" }, this.scroller, this.jump);
    this.scroller.addEventListener("scroll", () => this.onScroll(), { passive: true });
    new ResizeObserver(() => this.sticky && this.toBottom()).observe(this.content);
    new ResizeObserver(() => this.sticky && this.toBottom()).observe(this.scroller);
  }

  onScroll() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    this.sticky = scrollHeight - scrollTop - clientHeight < NEAR_BOTTOM;
    if (this.sticky) this.jump.hidden = true;
  }

  toBottom() {
    this.sticky = true;
    this.jump.hidden = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  /** Bring the list up to date without moving what the reader looks at. */
  sync({ arrived = null } = {}) {
    const anchor = this.sticky ? null : this.anchor();
    const messages = this.select();
    const nodes = this.lead ? [this.lead] : [];
    const threads = this.inThread ? new Map() : threadSummaries();
    let previous = null;
    for (const message of messages) {
      if (!previous || dayLabel(previous.ts) !== dayLabel(message.ts)) nodes.push(this.divider(message.ts));
      nodes.push(this.view(message, previous, threads.get(`${message.channel} ${message.ts}`)));
      previous = message;
    }
    this.forget(new Set(messages.map((message) => message.ts)));
    arrange(this.content, nodes);
    if (this.sticky || arrived?.user === store.me) this.toBottom();
    else if (anchor) this.restore(anchor);
    if (arrived && !this.sticky) this.jump.hidden = false;
  }

  view(message, previous, thread) {
    let view = this.views.get(message.ts);
    if (!view) this.views.set(message.ts, (view = new MessageView(this.inThread)));
    view.update(message, { grouped: belongsTo(message, previous), thread });
    return view.element;
  }

  divider(ts) {
    const label = dayLabel(ts);
    this.dividers ??= new Map();
    if (!this.dividers.has(label)) this.dividers.set(label, h("div", { class: "day", role: "separator" }, h("span", { text: label })));
    return this.dividers.get(label);
  }

  forget(kept) {
    for (const ts of [...this.views.keys()]) if (!kept.has(ts)) this.views.delete(ts);
  }

  anchor() {
    const top = this.scroller.getBoundingClientRect().top;
    for (const { element } of this.views.values()) {
      const box = element.getBoundingClientRect();
      if (box.bottom > top) return { element, offset: box.top - top };
    }
    return null;
  }

  restore({ element, offset }) {
    if (!element.isConnected) return;
    const moved = element.getBoundingClientRect().top - this.scroller.getBoundingClientRect().top - offset;
    if (Math.abs(moved) > 0.5) this.scroller.scrollTop += moved;
  }
}

function belongsTo(message, previous) {
  if (!previous || previous.user !== message.user || previous.username !== message.username) return false;
  if (Boolean(previous.ephemeral) !== Boolean(message.ephemeral) || dayLabel(previous.ts) !== dayLabel(message.ts)) return false;
  return Number.parseFloat(message.ts) - Number.parseFloat(previous.ts) < GROUP_SECONDS;
}

/** Replies per parent: {count, users, last}, counted from what this person can see. */
function threadSummaries() {
  const result = new Map();
  for (const [channel, messages] of store.messages) {
    for (const message of messages.values()) {
      if (!message.thread_ts || message.thread_ts === message.ts || message.ephemeral) continue;
      const key = `${channel} ${message.thread_ts}`;
      const entry = result.get(key) ?? { count: 0, users: [], last: "0" };
      entry.count += 1;
      if (!entry.users.includes(message.user)) entry.users.push(message.user);
      if (Number.parseFloat(message.ts) > Number.parseFloat(entry.last)) entry.last = message.ts;
      result.set(key, entry);
    }
  }
  return result;
}

/** Make the children exactly `nodes`, moving only those that are out of place. */
function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, index) => {
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
  });
}

/** The line that says what the app is doing, in a channel or a thread. */
export class StatusLine {
  constructor() {
    this.element = h("div", { class: "status-line", role: "status", dataset: { testid: "status-line" } });
  }

  show(status, textOf) {
    window.clearInterval(this.timer);
    if (!status) return replace(this.element);
    const text = h("span");
    const lines = [textOf(status.status), ...status.lines];
    let at = 0;
    const next = () => {
      text.textContent = lines[at % lines.length];
      at += 1;
    };
    next();
    if (lines.length > 1) this.timer = window.setInterval(next, 3000);
    return replace(this.element, h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")), text);
  }
}
