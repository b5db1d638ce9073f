// What stands at the beginning of a conversation: for a newcomer, the three steps to a tuned model.

import { avatar } from "./avatar.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { store } from "./store.js";

/** The head of a channel; its steps are shown while nothing was said yet. */
export function welcome(channel, { empty }) {
  if (channel.is_im) return directWelcome(channel);
  return h(
    "section",
    { class: "welcome", dataset: { testid: "welcome" } },
    h("h2", {}, icon(channel.is_private ? "lock" : "hash", 26), channel.name),
    h("p", { class: "muted", text: channel.topic || "This is the very beginning of the channel." }),
    empty ? steps() : null,
  );
}

function steps() {
  const command = store.commands[0]?.command ?? "/finetune";
  const items = [
    ["Attach a dataset file", [`Use the paperclip below, or drop a .jsonl, .csv or .json file here. ${store.workspace.app_name || "The bot"} checks it and answers in its thread.`]],
    ["Start a run", ["Type ", h("code", { text: `${command} start` }), " or press the button under the dataset. A form opens, filled in already, with the time and the price."]],
    ["Talk to your model", ["When the run is done, reply in its thread: the tuned model answers there, word by word."]],
  ];
  return h("ol", { class: "steps" }, items.map(([title, text]) => h("li", {}, h("div", {}, h("strong", { text: title }), h("p", {}, text)))));
}

function directWelcome(channel) {
  const other = channel.members?.find((id) => id !== store.me) ?? channel.id;
  const isApp = other === store.workspace.bot_user_id;
  const text = isApp ? "Talk to the app in private here. Its Home tab shows what needs you, your runs and the spend." : "Only the two of you can read this.";
  return h("section", { class: "welcome", dataset: { testid: "welcome" } }, h("h2", {}, avatar(other, 40), store.channelName(channel)), h("p", { class: "muted", text }));
}
