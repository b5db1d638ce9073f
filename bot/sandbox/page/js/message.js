// One message: who, when, what, its files, reactions, thread and tools. Updates itself in place.

import { avatar } from "./avatar.js";
import { BlockList } from "./blocks/index.js";
import { h, patchChildren, replace } from "./dom.js";
import { withEmoji } from "./emoji.js";
import { fileList } from "./files.js";
import { Form } from "./form.js";
import { bareClock, clock, count, fullTime, isoTime } from "./format.js";
import { icon } from "./icons.js";
import { markdown } from "./markdown.js";
import { messageTools, toggleReaction } from "./messagetools.js";
import { mrkdwn } from "./mrkdwn.js";
import { session } from "./session.js";
import { store } from "./store.js";
import { attempt } from "./toast.js";

/** The DOM of one message. `inThread` hides the bar that leads to the thread. */
export class MessageView {
  constructor(inThread) {
    this.inThread = inThread;
    this.form = new Form();
    this.gutter = h("div", { class: "message-gutter" });
    this.head = h("div", { class: "message-head" });
    this.text = h("div", { class: "text message-text" });
    this.blocks = new BlockList("blocks");
    this.body = h("div", { class: "message-body" });
    this.files = h("div");
    this.stream = h("div", { class: "stream-bar", hidden: true });
    this.reactions = h("div", { class: "reactions", hidden: true });
    this.threadBar = h("div", { hidden: true });
    this.note = h("div", { class: "ephemeral-note", hidden: true }, icon("eye", 14), "Only visible to you");
    const main = h("div", { class: "message-main" }, this.note, this.head, this.body, this.files, this.stream, this.reactions, this.threadBar);
    this.tools = h("div", { class: "message-tools", role: "toolbar", "aria-label": "Message actions" });
    this.element = h("article", { class: "message", tabindex: "-1", dataset: { testid: "message" } }, this.gutter, main, this.tools);
  }

  /** Show a message; `thread` is {count, users, last} of its replies. */
  update(message, { grouped, thread }) {
    const changed = this.message !== message;
    this.message = message;
    if (this.grouped !== grouped || changed) this.showWho(grouped);
    if (changed) {
      this.showBody();
      this.showReactions();
      replace(this.files, fileList(message.files));
      replace(this.tools, messageTools(message, { inThread: this.inThread }));
    }
    this.showThread(thread);
  }

  showWho(grouped) {
    const { message, element } = this;
    const name = message.notice ? store.workspace.name || "Workspace" : (message.username ?? store.nameOf(message.user));
    this.grouped = grouped;
    Object.assign(element.dataset, { ts: message.ts, user: message.user ?? "", ephemeral: String(Boolean(message.ephemeral)), streaming: String(Boolean(message.streaming)) });
    element.classList.toggle("grouped", grouped);
    element.classList.toggle("ephemeral", Boolean(message.ephemeral));
    element.setAttribute("aria-label", `${name}, ${clock(message.ts)}`);
    this.note.hidden = !message.ephemeral;
    const time = h("time", { datetime: isoTime(message.ts), title: fullTime(message.ts), class: "message-time", text: (grouped ? bareClock : clock)(message.ts) });
    if (grouped) {
      replace(this.gutter, time);
      replace(this.head);
      return;
    }
    replace(this.gutter, avatar(message.notice ? "workspace" : message.user));
    const badge = store.isBot(message) ? h("span", { class: "badge", text: "APP" }) : roleBadge(message.user);
    replace(this.head, h("strong", { class: "message-name", text: name }), badge, time);
  }

  showBody() {
    const { message } = this;
    if (message.blocks?.length) {
      this.blocks.update(message.blocks, { surface: "message", where: { channel: message.channel, ts: message.ts }, form: this.form });
      this.form.keepOnly(new Set(message.blocks.map((block) => block.block_id)));
      if (this.blocks.element.parentNode !== this.body) replace(this.body, this.blocks.element);
    } else {
      this.streamed ||= Boolean(message.streaming);
      const edited = message.edited && !store.isBot(message) ? [" ", h("small", { class: "muted", text: "(edited)" })] : [];
      this.text.classList.toggle("markdown", this.streamed);
      patchChildren(this.text, [...(this.streamed ? markdown(message.text) : mrkdwn(message.text)), ...edited]);
      if (this.text.parentNode !== this.body) replace(this.body, this.text);
    }
    this.body.hidden = !message.blocks?.length && !message.text;
    this.showStream();
  }

  showStream() {
    const streaming = Boolean(this.message.streaming);
    this.stream.hidden = !streaming;
    this.element.setAttribute("aria-busy", String(streaming));
    if (!streaming || this.stream.firstChild) return;
    const stop = h("button", { type: "button", class: "button button-small", dataset: { testid: "stop-stream" } }, icon("stop", 14), "Stop");
    stop.addEventListener("click", () => {
      stop.disabled = true;
      attempt(session.api.stopStream(this.message.channel, this.message.ts), "The answer could not be stopped").then((answer) => (stop.disabled = answer !== null));
    });
    replace(this.stream, h("span", { class: "dots", role: "img", "aria-label": "writing" }, h("i"), h("i"), h("i")), stop);
  }

  showReactions() {
    const reactions = this.message.reactions ?? [];
    this.reactions.hidden = reactions.length === 0;
    replace(this.reactions, reactions.map((reaction) => this.reactionChip(reaction)));
  }

  reactionChip({ name, count: number, users }) {
    const mine = users?.includes(store.me);
    const who = (users ?? []).map((id) => store.nameOf(id)).join(", ");
    return h(
      "button",
      {
        type: "button", class: ["reaction", mine && "mine"], "aria-pressed": String(Boolean(mine)), title: `${who}: :${name}:`,
        "aria-label": `${name.replaceAll("_", " ")}, ${number}`, dataset: { testid: "reaction", name }, on: { click: () => toggleReaction(this.message, name) },
      },
      h("span", { text: withEmoji(`:${name}:`) }),
      h("span", { text: number }),
    );
  }

  showThread(thread) {
    const total = Math.max(thread?.count ?? 0, this.message.reply_count ?? 0);
    const status = store.statusOf(this.message.channel, this.message.ts);
    const key = JSON.stringify([total, thread?.last, status?.status]);
    if (key === this.threadKey) return;
    this.threadKey = key;
    this.threadBar.hidden = this.inThread || (total === 0 && !status);
    if (this.threadBar.hidden) return;
    const open = () => store.openThread({ channel: this.message.channel, ts: this.message.ts, focus: true });
    const bar = h(
      "button",
      { type: "button", class: "thread-bar", dataset: { testid: "thread-bar" }, on: { click: open } },
      (thread?.users ?? []).slice(0, 4).map((id) => avatar(id, 22)),
      h("strong", { text: total ? count(total, "reply", "replies") : "Thread" }),
      h("span", { class: "muted", text: status ? statusText(status.status) : thread?.last ? `last at ${clock(thread.last)}` : "" }),
      icon("right", 14),
    );
    replace(this.threadBar, bar);
  }
}

/** "Finetune Bot is thinking…", however the app put it. */
export function statusText(status) {
  const name = store.workspace.app_name || "The app";
  return status.startsWith(name) ? status : `${name} ${/^(is|has|can|will)\b/.test(status) ? status : `is ${status}`}`;
}

function roleBadge(id) {
  const role = store.user(id)?.role;
  return role === "guest" || role === "external" ? h("span", { class: "badge badge-quiet", text: role === "guest" ? "Guest" : "Outside" }) : null;
}
