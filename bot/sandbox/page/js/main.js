// Starts the page: loads the workspace as one person sees it, follows the live feed, and switches persons.

import { Api, ApiError, Live } from "./api.js";
import { ChannelPane } from "./channel.js";
import { DevPanel } from "./devpanel.js";
import { h, replace } from "./dom.js";
import { applyFrame } from "./frames.js";
import { session } from "./session.js";
import { Sidebar } from "./sidebar.js";
import { store } from "./store.js";
import { ThreadPane } from "./thread.js";
import { ViewHost } from "./views.js";

const app = document.getElementById("app");
const main = document.getElementById("main");
const panel = new DevPanel(document.getElementById("devpanel"));
let live = null;
let waiting = null;

/** Look at the workspace as a person (by id; null for whoever the server puts first). */
async function enter(user) {
  live?.close();
  const active = store.active;
  store.clear();
  store.active = active;
  const api = new Api(user);
  session.api = api;
  waiting = [];
  try {
    const state = await api.state();
    if (state.ok === false || !state.me) throw new ApiError(state.error ?? "The workspace does not know this person.");
    api.user = state.me;
    rememberPerson(state.me);
    take(state);
    loadJournal(api);
    follow(api);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    showFailure(error.message, user);
  }
}

/** The live feed; every (re)connection starts from the server's whole picture, so nothing is missed. */
function follow(api) {
  const mine = () => session.api === api;
  live = new Live(api.user, {
    onFrame: (frame) => (waiting ? waiting.push(frame) : applyFrame(frame)),
    onState: async (state) => {
      if (!mine()) return;
      store.setConnection({ live: state });
      if (state !== "open") return;
      waiting = [];
      const fresh = await refresh(api);
      const missed = waiting ?? [];
      waiting = null;
      if (fresh && mine()) missed.forEach(applyFrame);
    },
  });
}

async function refresh(api) {
  try {
    const state = await api.state();
    if (session.api !== api) return false;
    if (differs(state)) take(state);
    return true;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return false;
  }
}

let lastState = "";

function take(state) {
  lastState = JSON.stringify(state);
  store.load(state);
}

const differs = (state) => JSON.stringify(state) !== lastState;

async function loadJournal(api) {
  try {
    const answer = await api.journal();
    if (session.api === api) store.addJournal(Array.isArray(answer) ? answer : (answer.entries ?? []));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
}

function rememberPerson(user) {
  const url = new URL(window.location.href);
  url.searchParams.set("user", user);
  window.history.replaceState(null, "", url);
}

function showFailure(text, user) {
  const retry = h("button", { type: "button", class: "button button-primary", on: { click: () => enter(user) } }, "Try again");
  const other = user ? h("button", { type: "button", class: "button", on: { click: () => enter(null) } }, "Enter as somebody else") : null;
  replace(main, h("div", { class: "nothing", role: "alert" }, h("p", { text }), h("div", { class: "actions" }, retry, other)));
}

const closeSidebar = () => app.classList.remove("sidebar-open");

new Sidebar(document.getElementById("sidebar"), { onSwitch: enter, onToggleCalls: () => (closeSidebar(), panel.toggle()) });
new ChannelPane(main, { onMenu: () => app.classList.toggle("sidebar-open") });
new ThreadPane(document.getElementById("thread"));
new ViewHost();

store.subscribe("navigate", closeSidebar);
store.subscribe("workspace", () => {
  closeSidebar();
  document.title = store.workspace.name || "Local workspace";
});
main.addEventListener("click", (event) => {
  if (app.classList.contains("sidebar-open") && !event.target.closest("[data-testid=open-sidebar]")) closeSidebar();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && store.unread.delete(store.active)) store.emit("unread");
});

enter(new URL(window.location.href).searchParams.get("user"));
