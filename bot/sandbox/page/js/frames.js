// Applies one frame of the live feed to the store.

import { store } from "./store.js";

const HANDLERS = {
  message_posted: (frame) => store.putMessage(messageOf(frame), "posted"),
  ephemeral_posted: (frame) => store.putMessage({ ...messageOf(frame), ephemeral: true }, "posted"),
  message_updated: (frame) => store.putMessage(messageOf(frame), "updated"),
  message_deleted: removeMessage,
  reaction_added: reactionChanged,
  reaction_removed: reactionChanged,
  view_opened: (frame) => store.upsertView(frame.view),
  view_pushed: (frame) => store.upsertView(frame.view),
  view_updated: (frame) => store.upsertView(frame.view),
  view_closed: (frame) => store.dropView(frame.view_id),
  home_published: (frame) => {
    store.home = frame.view ?? frame.home;
    store.emit("home");
  },
  members: ({ channel, members }) => store.setMembers(channel, members),
  status: (frame) => store.setStatus(frame),
  call: (frame) => store.addJournal([frame.entry ?? frame.call ?? frame]),
  connected: (frame) => store.setConnection({ botConnected: Boolean(frame.connected) }),
};

/** Apply a frame; kinds this page does not know are left alone. */
export function applyFrame(frame) {
  HANDLERS[frame.type]?.(frame);
}

function messageOf(frame) {
  const message = frame.message ?? frame;
  return { ...message, channel: message.channel ?? frame.channel };
}

function removeMessage({ channel, ts }) {
  if (store.messages.get(channel)?.delete(ts)) store.emit("message", { channel, ts, how: "deleted" });
}

function reactionChanged(frame) {
  if (frame.message) {
    store.putMessage(messageOf(frame), "updated");
    return;
  }
  const channel = frame.channel ?? frame.item?.channel;
  const message = store.message(channel, frame.ts ?? frame.item?.ts);
  if (!message) return;
  const name = frame.name ?? frame.reaction;
  const others = (message.reactions ?? []).filter((reaction) => reaction.name !== name);
  const users = new Set((message.reactions ?? []).find((reaction) => reaction.name === name)?.users ?? []);
  if (frame.type === "reaction_added") users.add(frame.user);
  else users.delete(frame.user);
  const reactions = users.size ? [...others, { name, count: users.size, users: [...users] }] : others;
  store.putMessage({ ...message, reactions }, "updated");
}
