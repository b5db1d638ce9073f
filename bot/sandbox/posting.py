"""Messages come, change and go: in the state, in the browsers, and in the events to the bot."""

import time
from collections.abc import Sequence
from typing import Any

from bot.sandbox import events
from bot.sandbox.block_kit import with_ids
from bot.sandbox.hub import Hub
from bot.sandbox.workspace import Channel, Json, Message


def post(hub: Hub, channel: Channel, user_id: str, text: str, *, quiet: bool = False, **fields: Any) -> Message:
    """A new message. `quiet`: no event yet, as of a stream that has only begun."""
    ts = hub.workspace.ids.ts()
    fields["blocks"] = with_ids(fields.get("blocks") or [], hub.workspace.ids)
    message = Message(channel=channel.id, ts=ts, user=user_id, text=text, **fields)
    channel.messages[ts] = message
    for file_id in message.files:
        hub.workspace.files[file_id].shares.append((channel.id, ts))
    hub.live.tell({"type": "message_posted", **_frame(hub, message)}, channel.members)
    root = channel.messages.get(message.thread_ts or "")
    if message.is_reply and root is not None:
        hub.live.tell({"type": "message_updated", **_frame(hub, root)}, channel.members)
    if not quiet:
        events.posted(hub, channel, message)
    return message


def post_ephemeral(hub: Hub, channel: Channel, author: str, only_for: str, text: str, **fields: Any) -> Message:
    """A message for one person only."""
    ts = hub.workspace.ids.ts()
    fields["blocks"] = with_ids(fields.get("blocks") or [], hub.workspace.ids)
    message = Message(channel=channel.id, ts=ts, user=author, text=text, only_for=only_for, **fields)
    channel.ephemerals[ts] = message
    hub.live.tell({"type": "ephemeral_posted", **_frame(hub, message)}, [only_for])
    return message


def change(hub: Hub, message: Message, *, text: str | None, blocks: Sequence[Json] | None, **fields: Any) -> None:
    """Edit a message; None keeps what there is."""
    channel = hub.workspace.channels[message.channel]
    before = hub.present.message(message)
    if text is not None:
        message.text = text
    if blocks is not None:
        message.blocks = with_ids(blocks, hub.workspace.ids)
    for name, value in fields.items():
        setattr(message, name, value)
    message.edited = {"user": message.user, "ts": f"{int(time.time())}.000000"}
    show(hub, message)
    if message.only_for is None:
        events.changed(hub, channel, message, before)


def show(hub: Hub, message: Message) -> None:
    """Tell the browsers how a message is now."""
    audience = [message.only_for] if message.only_for else hub.workspace.channels[message.channel].members
    hub.live.tell({"type": "message_updated", **_frame(hub, message)}, audience)


def remove(hub: Hub, message: Message) -> None:
    """Take a message back; with replies under it, a stub remains."""
    channel = hub.workspace.channels[message.channel]
    before = hub.present.message(message)
    if message.only_for:
        channel.ephemerals.pop(message.ts, None)
    elif channel.thread(message.ts):
        message.text, message.blocks, message.files = "This message was deleted.", [], []
        message.subtype = "tombstone"
        show(hub, message)
    else:
        channel.messages.pop(message.ts, None)
    if message.subtype != "tombstone":
        audience = [message.only_for] if message.only_for else channel.members
        hub.live.tell({"type": "message_deleted", "channel": channel.id, "ts": message.ts}, audience)
    if not message.only_for:
        events.deleted(hub, channel, message, before)


def react(hub: Hub, message: Message, user_id: str, name: str, *, add: bool) -> None:
    """Put a reaction on a message or take it back; the caller has looked whether it is there."""
    channel = hub.workspace.channels[message.channel]
    users = message.reactions.setdefault(name, [])
    if add:
        users.append(user_id)
    else:
        users.remove(user_id)
    if not users:
        message.reactions.pop(name)
    kind = "reaction_added" if add else "reaction_removed"
    frame = {"type": kind, **_frame(hub, message), "name": name, "user": user_id}
    hub.live.tell(frame, channel.members)
    events.reacted(hub, channel, message, user_id, name, added=add)


def _frame(hub: Hub, message: Message) -> Json:
    return {"channel": message.channel, "ts": message.ts, "message": hub.present.shown(message)}
