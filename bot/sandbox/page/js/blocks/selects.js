// Every select of Block Kit, single and multiple, over one combobox.

import { act } from "../act.js";
import { avatar } from "../avatar.js";
import { Combobox } from "../combobox.js";
import { withEmoji } from "../emoji.js";
import { session } from "../session.js";
import { store } from "../store.js";
import { attempt } from "../toast.js";
import { dispatches } from "./dispatch.js";

/** type → what fills it, its initial field and the field of its action, singular. */
export const SELECTS = {
  static_select: { source: staticGroups, initial: "initial_option", payload: "selected_option" },
  external_select: { source: null, initial: "initial_option", payload: "selected_option" },
  users_select: { source: people, initial: "initial_user", payload: "selected_user" },
  conversations_select: { source: conversations, initial: "initial_conversation", payload: "selected_conversation" },
  channels_select: { source: publicChannels, initial: "initial_channel", payload: "selected_channel" },
};
for (const [type, kind] of Object.entries({ ...SELECTS })) {
  SELECTS[`multi_${type}`] = { ...kind, initial: `${kind.initial}s`, payload: `${kind.payload}s`, multiple: true };
}

export function selectControl(element, block, context) {
  const kind = SELECTS[element.type];
  const known = new Map();
  const load = async (query) => remember(known, kind.source ? kind.source(element) : await suggestions(element, block, context, query));
  const initial = initialOptions(element, kind, context, known);
  const value = context.form.read(block, element, plainValue(initial, kind));
  const chosen = (kind.multiple ? (value ?? []) : [value]).map((id) => optionFor(id, initial, kind, element));
  const box = new Combobox({
    load,
    selected: chosen,
    multiple: kind.multiple,
    limit: element.max_selected_items,
    remote: !kind.source,
    minQuery: kind.source ? 0 : (element.min_query_length ?? 3),
    placeholder: element.placeholder?.text ?? "Choose …",
    label: element.placeholder?.text ?? "Choose",
    dataset: { actionId: element.action_id },
    onChange: (selected) => {
      const now = plainValue(selected, kind);
      context.form.write(block, element, now);
      if (dispatches(block)) act(context, block, element, { [kind.payload]: now }, box.element);
    },
  });
  return box.element;
}

function remember(known, groups) {
  for (const group of groups) for (const option of group.options) known.set(option.value, option);
  return groups;
}

const plainValue = (options, kind) => (kind.multiple ? options.map((option) => option.value) : (options[0]?.value ?? null));

function initialOptions(element, kind, context, known) {
  let initial = element[kind.initial];
  if (element.default_to_current_conversation && !initial && context.where.channel) initial = kind.multiple ? [context.where.channel] : context.where.channel;
  if (kind.source) remember(known, kind.source(element));
  return [initial ?? []].flat().map((item) => (typeof item === "string" ? (known.get(item) ?? { value: item, label: item }) : optionOf(item)));
}

function optionFor(id, initial, kind, element) {
  if (id === null || id === undefined) return null;
  const all = kind.source ? kind.source(element).flatMap((group) => group.options) : [];
  return [...initial, ...all].find((option) => option.value === id) ?? { value: id, label: id };
}

const optionOf = (option) => ({ value: option.value, label: withEmoji(option.text?.text ?? option.value), description: option.description && withEmoji(option.description.text) });

function staticGroups(element) {
  if (element.option_groups) return element.option_groups.map((group) => ({ label: withEmoji(group.label?.text ?? ""), options: (group.options ?? []).map(optionOf) }));
  return [{ options: (element.options ?? []).map(optionOf) }];
}

function people() {
  return [{ options: [...store.users.values()].map((user) => ({ value: user.id, label: user.real_name || user.name, description: `@${user.name}`, icon: avatar(user.id, 22) })) }];
}

function conversations(element) {
  const include = element.filter?.include;
  const kindOf = (channel) => (channel.is_im ? "im" : channel.is_private ? "private" : "public");
  const shown = [...store.channels.values()].filter((channel) => !include || include.includes(kindOf(channel)));
  return [{ options: shown.map((channel) => ({ value: channel.id, label: `${channel.is_im ? "" : "#"}${store.channelName(channel)}` })) }];
}

function publicChannels() {
  const shown = [...store.channels.values()].filter((channel) => !channel.is_im && !channel.is_private);
  return [{ options: shown.map((channel) => ({ value: channel.id, label: `#${channel.name}` })) }];
}

async function suggestions(element, block, context, query) {
  const answer = await attempt(session.api.options({ ...context.where, block_id: block.block_id ?? "", action_id: element.action_id, value: query }), "No suggestions");
  if (!answer) return [];
  const payload = answer.options ?? answer.option_groups ?? answer;
  if (!Array.isArray(payload)) return staticGroups(payload);
  return staticGroups(payload[0]?.options ? { option_groups: payload } : { options: payload });
}
