// The column of channels, conversations and the app; who one acts as; and whether the bot is there.

import { avatar } from "./avatar.js";
import { h, replace } from "./dom.js";
import { icon } from "./icons.js";
import { openMenu } from "./popup.js";
import { store } from "./store.js";

const ROLES = { admin: "Admin", member: "Member", guest: "Guest", external: "From outside" };

/** Draws into #sidebar; `onSwitch(userId)` changes who one acts as. */
export class Sidebar {
  constructor(root, { onSwitch, onToggleCalls }) {
    Object.assign(this, { root, onSwitch, onToggleCalls });
    for (const topic of ["workspace", "navigate", "unread", "connection"]) store.subscribe(topic, () => this.draw());
  }

  draw() {
    const app = store.appChannel();
    const all = [...store.channels.values()];
    const channels = all.filter((channel) => !channel.is_im).sort((a, b) => a.name.localeCompare(b.name));
    const direct = all.filter((channel) => channel.is_im && channel !== app);
    const focused = document.activeElement?.closest?.(".sidebar [data-channel]")?.dataset.channel;
    replace(
      this.root,
      h("header", { class: "workspace-head" }, h("strong", { class: "workspace-name", text: store.workspace.name || "Workspace" }), this.connection()),
      h(
        "div",
        { class: "sidebar-scroll" },
        this.group("Channels", channels),
        direct.length ? this.group("Direct messages", direct) : null,
        app ? this.group("Apps", [app]) : null,
      ),
      h("footer", { class: "sidebar-foot" }, this.callsButton(), this.actingAs()),
    );
    if (focused) this.root.querySelector(`[data-channel="${CSS.escape(focused)}"]`)?.focus();
  }

  group(title, channels) {
    const id = `group-${title.replaceAll(" ", "-").toLowerCase()}`;
    return h("section", { class: "channel-group" }, h("h2", { id, text: title }), h("ul", { "aria-labelledby": id }, channels.map((channel) => h("li", {}, this.channelButton(channel)))));
  }

  channelButton(channel) {
    const current = channel.id === store.active;
    const unread = store.unread.has(channel.id);
    const name = store.channelName(channel);
    const other = channel.members?.find((id) => id !== store.me);
    return h(
      "button",
      {
        type: "button", class: ["channel-link", current && "current", unread && "unread"], "aria-current": current ? "page" : undefined,
        "aria-label": unread ? `${name}, unread messages` : undefined, dataset: { channel: channel.id, channelName: name, testid: "channel" },
        on: { click: () => store.openChannel(channel.id, channel === store.appChannel() && channel.id !== store.active ? "home" : "messages") },
      },
      channel.is_im ? avatar(other, 20) : icon(channel.is_private ? "lock" : "hash", 16),
      h("span", { class: "channel-label", text: name }),
      unread ? h("span", { class: "unread-dot", dataset: { testid: "unread-dot" } }) : null,
    );
  }

  connection() {
    const [state, text] = connectionState();
    return h("span", { class: ["connection", `connection-${state}`], role: "status", dataset: { testid: "connection", state }, title: text }, h("i", { "aria-hidden": "true" }), h("span", { text }));
  }

  callsButton() {
    return h("button", { type: "button", class: "calls-button", dataset: { testid: "toggle-devpanel" }, on: { click: this.onToggleCalls } }, icon("code", 16), "Raw calls");
  }

  actingAs() {
    const me = store.user(store.me);
    const button = h(
      "button",
      { type: "button", class: "acting", "aria-haspopup": "menu", dataset: { testid: "act-as", user: store.me } },
      avatar(store.me, 32),
      h("span", { class: "acting-text" }, h("small", { text: "Acting as" }), h("strong", { text: me?.real_name || me?.name || "nobody" })),
      icon("down", 16),
    );
    button.addEventListener("click", () => {
      const people = [...store.users.values()].filter((user) => user.id !== store.workspace.bot_user_id && !user.is_bot);
      openMenu(
        button,
        people.map((user) => ({ label: user.real_name || user.name, description: ROLES[user.role] ?? user.role, icon: avatar(user.id, 26), checked: user.id === store.me, testid: "act-as-choice", dataset: { user: user.id }, onSelect: () => this.onSwitch(user.id) })),
        { label: "Act as", align: "start" },
      );
    });
    return button;
  }
}

/** [state, words] for the indicator: the page's own line first, then the bot's. */
function connectionState() {
  if (store.live === "lost") return ["lost", "Reconnecting …"];
  if (store.live === "connecting") return ["waiting", "Connecting …"];
  if (!store.botConnected) return ["waiting", `${store.workspace.app_name || "The bot"} is offline`];
  return ["open", `${store.workspace.app_name || "The bot"} is online`];
}
