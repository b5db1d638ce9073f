// What this person sees of the workspace, kept in step with the live feed. Parts of the page subscribe to topics:
// workspace, members, message, navigate, thread, views, home, status, journal, connection, unread.

const JOURNAL_LIMIT = 800;

/** The single source of truth of the page. */
export class Store {
  constructor() {
    this.listeners = new Map();
    this.clear();
  }

  clear() {
    this.workspace = { name: "", team_id: "", bot_user_id: "", app_name: "" };
    this.me = null;
    this.users = new Map();
    this.channels = new Map();
    this.messages = new Map();
    this.views = [];
    this.home = null;
    this.commands = [];
    this.shortcuts = [];
    this.statuses = new Map();
    this.unread = new Set();
    this.botConnected = false;
    this.live = "connecting";
    this.active = null;
    this.tab = "messages";
    this.thread = null;
    this.journal = [];
  }

  subscribe(topic, listener) {
    if (!this.listeners.has(topic)) this.listeners.set(topic, new Set());
    this.listeners.get(topic).add(listener);
  }

  emit(topic, detail) {
    for (const listener of this.listeners.get(topic) ?? []) listener(detail);
  }

  /** Take over the server's whole picture (at the start and after a lost connection). */
  load(state) {
    this.workspace = state.workspace;
    this.me = state.me;
    this.users = new Map(state.users.map((user) => [user.id, user]));
    this.channels = new Map(state.channels.map((channel) => [channel.id, channel]));
    this.messages = new Map();
    for (const [channel, list] of Object.entries(state.messages)) {
      this.messages.set(channel, new Map(list.map((message) => [message.ts, { ...message, channel }])));
    }
    this.views = state.views ?? [];
    this.home = state.home ?? null;
    this.commands = state.commands ?? [];
    this.shortcuts = state.shortcuts ?? [];
    this.botConnected = Boolean(state.connected);
    this.delivery = state.delivery;
    if (!this.channels.has(this.active)) this.active = this.firstChannel();
    if (this.thread && !this.message(this.thread.channel, this.thread.ts)) this.thread = null;
    this.emit("workspace");
  }

  firstChannel() {
    const channels = [...this.channels.values()];
    return (channels.find((channel) => !channel.is_im) ?? channels[0])?.id ?? null;
  }

  user(id) {
    return this.users.get(id) ?? null;
  }

  nameOf(id) {
    const user = this.user(id);
    if (user) return user.real_name || user.name;
    return id === this.workspace.bot_user_id ? this.workspace.app_name : id;
  }

  isBot(message) {
    return Boolean(message.bot_id) || message.user === this.workspace.bot_user_id;
  }

  /** The direct conversation with the bot, where its Home tab lives. */
  appChannel() {
    const bot = this.workspace.bot_user_id;
    return [...this.channels.values()].find((channel) => channel.is_im && channel.members?.includes(bot)) ?? null;
  }

  /** A channel's name as this person reads it. */
  channelName(channel) {
    if (!channel.is_im) return channel.name;
    const other = channel.members?.find((id) => id !== this.me);
    return other ? this.nameOf(other) : channel.name;
  }

  setMembers(id, members) {
    const channel = this.channels.get(id);
    if (!channel) return;
    channel.members = members;
    this.emit("members", id);
  }

  message(channel, ts) {
    return this.messages.get(channel)?.get(ts) ?? null;
  }

  /** Messages of a channel in order; replies stay in their threads unless broadcast. */
  timeline(channel) {
    return this.sorted(channel).filter((m) => !isReply(m) || m.subtype === "thread_broadcast");
  }

  replies(channel, root) {
    return this.sorted(channel).filter((m) => m.thread_ts === root && m.ts !== root);
  }

  sorted(channel) {
    return [...(this.messages.get(channel)?.values() ?? [])].sort((a, b) => Number.parseFloat(a.ts) - Number.parseFloat(b.ts));
  }

  putMessage(message, how) {
    if (!this.messages.has(message.channel)) this.messages.set(message.channel, new Map());
    const list = this.messages.get(message.channel);
    const isNew = !list.has(message.ts);
    list.set(message.ts, message);
    if (isNew && how === "posted") this.noteArrival(message);
    this.emit("message", { channel: message.channel, ts: message.ts, message, how: isNew ? "posted" : "updated" });
  }

  noteArrival(message) {
    if (this.isBot(message)) this.setStatus({ channel: message.channel, thread_ts: message.thread_ts ?? "", status: "" });
    const seen = message.channel === this.active && this.tab === "messages" && !document.hidden;
    if (message.user !== this.me && !seen) {
      this.unread.add(message.channel);
      this.emit("unread");
    }
  }

  /** A line from the workspace itself, for this person only (such as a command that failed). */
  notice(channel, text, threadTs) {
    const ts = (Date.now() / 1000).toFixed(6);
    this.putMessage({ type: "message", channel, ts, user: "workspace", text, thread_ts: threadTs, ephemeral: true, notice: true }, "posted");
  }

  setStatus({ channel, thread_ts: thread = "", status, loading_messages: lines }) {
    const key = `${channel}:${thread ?? ""}`;
    if (status) this.statuses.set(key, { status, lines: lines ?? [] });
    else if (!this.statuses.delete(key)) return;
    this.emit("status", { channel, thread });
  }

  statusOf(channel, thread = "") {
    return this.statuses.get(`${channel}:${thread}`) ?? null;
  }

  openChannel(id, tab = "messages") {
    this.active = id;
    this.tab = tab;
    if (this.thread && this.thread.channel !== id) this.openThread(null);
    if (tab === "messages" && this.unread.delete(id)) this.emit("unread");
    this.emit("navigate");
  }

  openThread(thread) {
    this.thread = thread;
    this.emit("thread");
  }

  upsertView(view) {
    const index = this.views.findIndex((open) => open.id === view.id);
    if (index >= 0) this.views[index] = view;
    else this.views.push(view);
    this.emit("views");
  }

  dropView(id) {
    this.views = this.views.filter((view) => view.id !== id);
    this.emit("views");
  }

  addJournal(entries) {
    this.journal.push(...entries);
    if (this.journal.length > JOURNAL_LIMIT) this.journal.splice(0, this.journal.length - JOURNAL_LIMIT);
    this.emit("journal", entries);
  }

  setConnection(change) {
    Object.assign(this, change);
    this.emit("connection");
  }
}

/** A message inside a thread that is not its parent. */
export function isReply(message) {
  return Boolean(message.thread_ts) && message.thread_ts !== message.ts;
}

export const store = new Store();
