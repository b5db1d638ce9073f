// The panel for the curious: every call between the workspace and the bot, filtered and opened up, and a way to make
// the workspace misbehave.

import { attempt, toast } from "./toast.js";
import { h, replace } from "./dom.js";
import { clock } from "./format.js";
import { icon } from "./icons.js";
import { jsonTree } from "./jsontree.js";
import { session } from "./session.js";
import { store } from "./store.js";

const SHOWN = 300;
const KINDS = [["all", "All"], ["call", "Bot → workspace"], ["delivery", "Workspace → bot"], ["problem", "Problems"]];
const FAULTS = ["error", "status", "delay", "drop_response", "ratelimited", "disconnect", "redeliver"];

/** Draws into #devpanel. */
export class DevPanel {
  constructor(root) {
    this.root = root;
    this.kind = "all";
    this.words = "";
    this.rows = h("div", { class: "calls", role: "log", "aria-label": "Calls", tabindex: "0" });
    this.chips = h("div", { class: "chips-row", role: "group", "aria-label": "Kind of call" });
    const filter = h("input", { type: "search", class: "field-input", placeholder: "Filter by method or content", "aria-label": "Filter calls", dataset: { testid: "calls-filter" } });
    filter.addEventListener("input", () => {
      this.words = filter.value.trim().toLowerCase();
      this.draw();
    });
    const clear = this.button("trash", "Clear the list", () => {
      store.journal = [];
      this.draw();
    });
    const close = this.button("close", "Close the panel", () => this.toggle(false), "close-devpanel");
    replace(root, h("header", { class: "panel-head" }, h("h2", {}, icon("code"), "Raw calls"), this.chips, filter, h("span", { class: "spacer" }), clear, close), faultForm(), this.rows);
    store.subscribe("journal", (entries) => this.onEntries(entries));
    store.subscribe("workspace", () => this.isOpen && this.draw());
  }

  button(name, label, onClick, testid) {
    return h("button", { type: "button", class: "icon-button", "aria-label": label, title: label, dataset: { testid }, on: { click: onClick } }, icon(name));
  }

  get isOpen() {
    return !this.root.hidden;
  }

  toggle(open = this.root.hidden) {
    this.root.hidden = !open;
    document.getElementById("app").classList.toggle("devpanel-open", open);
    if (open) {
      this.draw();
      this.rows.scrollTop = this.rows.scrollHeight;
    }
  }

  draw() {
    replace(this.chips, KINDS.map(([kind, label]) => h("button", { type: "button", class: "chip-button", "aria-pressed": String(this.kind === kind), dataset: { testid: `calls-${kind}` }, on: { click: () => ((this.kind = kind), this.draw()) } }, label)));
    const shown = store.journal.filter((entry) => this.fits(entry)).slice(-SHOWN);
    replace(this.rows, shown.length ? shown.map(row) : h("p", { class: "muted calls-empty", text: "No calls yet. Write something, or run a command." }));
  }

  onEntries(entries) {
    if (!this.isOpen) return;
    const { scrollHeight, scrollTop, clientHeight } = this.rows;
    const atEnd = scrollHeight - scrollTop - clientHeight < 40;
    const fresh = entries.filter((entry) => this.fits(entry));
    if (!fresh.length) return;
    this.rows.querySelector(".calls-empty")?.remove();
    this.rows.append(...fresh.map(row));
    while (this.rows.children.length > SHOWN) this.rows.firstChild.remove();
    if (atEnd) this.rows.scrollTop = this.rows.scrollHeight;
  }

  fits(entry) {
    if (this.kind === "problem" ? !isProblem(entry) : this.kind !== "all" && entry.kind !== this.kind) return false;
    return !this.words || JSON.stringify(entry).toLowerCase().includes(this.words);
  }
}

const nameOf = (entry) => entry.method ?? entry.type ?? entry.kind ?? "call";

function isProblem(entry) {
  return entry.response?.ok === false || Boolean(entry.problems?.length) || Boolean(entry.error);
}

function row(entry) {
  const out = entry.kind === "call";
  const bad = isProblem(entry);
  const remark = bad ? (entry.response?.error ?? entry.error ?? "invalid") : entry.ack_seconds !== undefined && entry.ack_seconds !== null ? `ack ${entry.ack_seconds.toFixed(2)} s` : "";
  const box = h(
    "details",
    { class: ["call", bad && "call-bad"], dataset: { testid: "call", method: nameOf(entry), kind: entry.kind } },
    h("summary", {}, h("span", { class: "call-n", text: entry.n ?? "" }), h("span", { class: "call-way", title: out ? "Bot to workspace" : "Workspace to bot", text: out ? "→" : "←" }), h("strong", { text: nameOf(entry) }), h("span", { class: "muted call-hint", text: hintOf(entry) }), h("span", { class: "spacer" }), h("span", { class: bad ? "call-error" : "muted", text: remark }), h("time", { class: "muted", text: timeOf(entry.at) })),
  );
  box.addEventListener("toggle", () => {
    if (!box.open || box.children.length > 1) return;
    const { n, at, kind, ...content } = entry;
    box.append(jsonTree(content, 2));
  });
  return box;
}

function hintOf(entry) {
  const request = entry.request ?? {};
  const hint = request.text ?? request.command ?? request.payload?.type ?? request.event?.type ?? request.channel ?? "";
  return typeof hint === "string" ? hint.slice(0, 90) : "";
}

const timeOf = (at) => (at === undefined ? "" : clock(typeof at === "number" ? at : Date.parse(at) / 1000));

function faultForm() {
  const method = h("input", { class: "field-input", value: "*", "aria-label": "Method", placeholder: "chat.postMessage" });
  const kind = h("select", { class: "field-input", "aria-label": "Fault" }, FAULTS.map((name) => h("option", { value: name, text: name })));
  const detail = h("input", { class: "field-input", "aria-label": "Error, status or seconds", placeholder: "error, status or seconds" });
  const times = h("input", { type: "number", class: "field-input field-short", min: "1", value: "1", "aria-label": "Times" });
  const add = async () => {
    const fault = { method: method.value.trim() || "*", kind: kind.value, times: Number(times.value) || 1 };
    const value = detail.value.trim();
    if (kind.value === "error") fault.error = value || "internal_error";
    if (kind.value === "status") fault.status = Number(value) || 500;
    if (kind.value === "delay") fault.seconds = Number(value) || 2;
    if (kind.value === "ratelimited") fault.retry_after = Number(value) || 2;
    if (await attempt(session.api.addFault(fault), "The fault was refused")) toast(`The next ${fault.times} × ${fault.method}: ${fault.kind}.`);
  };
  const clear = async () => {
    if (await attempt(session.api.clearFaults(), "Not cleared")) toast("All faults are gone.");
  };
  const button = (label, onClick) => h("button", { type: "button", class: "button button-small", on: { click: onClick } }, label);
  return h("details", { class: "faults", dataset: { testid: "faults" } }, h("summary", {}, icon("bolt", 14), "Break something"), h("div", { class: "faults-row" }, method, kind, detail, times, button("Add", add), button("Clear all", clear)));
}
