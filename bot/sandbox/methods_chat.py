"""chat.*: posting, editing and deleting messages."""

from bot.sandbox import content, posting
from bot.sandbox.cast import BOT
from bot.sandbox.errors import SlackProblem, missing
from bot.sandbox.registry import Call, method
from bot.sandbox.workspace import Channel, Json, Message


def thread_of(call: Call, channel: Channel, name: str = "thread_ts") -> str | None:
    """The thread a call names, by its parent; a reply's ts names the same. Raises SlackProblem."""
    thread_ts = call.arguments.text(name)
    if not thread_ts:
        return None
    root = channel.messages.get(thread_ts)
    if root is None:
        raise SlackProblem("thread_not_found")
    return root.thread_ts or root.ts


def own_message(call: Call, problem: str) -> Message:
    """The bot's own message that a call names. Raises SlackProblem."""
    channel = call.workspace.channel(call.arguments.needed("channel"))
    message = call.workspace.message(channel, call.arguments.needed("ts"))
    if not message.by_bot:
        raise SlackProblem(problem)
    return message


def place(call: Call) -> Channel:
    """Where to post: a channel the bot is in, or a person's direct conversation. Raises SlackProblem."""
    channel_id = call.arguments.needed("channel")
    if channel_id in call.workspace.users and channel_id != BOT.id:
        return call.workspace.direct(channel_id)
    return call.workspace.joined(channel_id)


@method("chat.postMessage")
def post_message(call: Call) -> Json:
    """Post to a channel or a thread."""
    channel = place(call)
    said = content.read(call.arguments)
    call.problems += said.remarks
    if said.is_empty:
        raise SlackProblem("no_text")
    thread_ts = thread_of(call, channel)
    broadcast = thread_ts is not None and call.arguments.flag("reply_broadcast")
    message = posting.post(
        call.hub,
        channel,
        BOT.id,
        said.text or "",
        blocks=said.blocks or [],
        attachments=said.attachments or [],
        metadata=said.metadata,
        thread_ts=thread_ts,
        subtype="thread_broadcast" if broadcast else None,
    )
    return {"channel": channel.id, "ts": message.ts, "message": call.hub.present.message(message, metadata=True)}


@method("chat.postEphemeral")
def post_ephemeral(call: Call) -> Json:
    """Show a message to one person."""
    channel = call.workspace.joined(call.arguments.needed("channel"))
    user = call.workspace.user(call.arguments.needed("user"))
    if user.id not in channel.members:
        raise SlackProblem("user_not_in_channel")
    said = content.read(call.arguments)
    call.problems += said.remarks
    if said.is_empty:
        raise SlackProblem("no_text")
    message = posting.post_ephemeral(
        call.hub,
        channel,
        BOT.id,
        user.id,
        said.text or "",
        blocks=said.blocks or [],
        attachments=said.attachments or [],
        thread_ts=thread_of(call, channel),
    )
    return {"message_ts": message.ts}


@method("chat.update")
def update(call: Call) -> Json:
    """Edit the bot's own message; fields that are not given keep what they have."""
    message = own_message(call, "cant_update_message")
    if message.stream == "open":
        raise SlackProblem("streaming_state_conflict")
    said = content.read(call.arguments)
    call.problems += said.remarks
    if said.text is None and said.blocks is None and said.attachments is None:
        raise SlackProblem("no_text")
    if said.is_empty and not message.files:
        raise SlackProblem("no_text")
    fields: Json = {}
    if said.attachments is not None:
        fields["attachments"] = said.attachments
    if "metadata" in call.arguments:
        fields["metadata"] = said.metadata
    posting.change(call.hub, message, text=said.text, blocks=said.blocks, **fields)
    shown = call.hub.present.message(message, metadata=True)
    return {"channel": message.channel, "ts": message.ts, "text": message.text, "message": shown}


@method("chat.delete")
def delete(call: Call) -> Json:
    """Take the bot's own message back."""
    message = own_message(call, "cant_delete_message")
    posting.remove(call.hub, message)
    return {"channel": message.channel, "ts": message.ts}


@method("chat.getPermalink")
def permalink(call: Call) -> Json:
    """A message's address."""
    channel = call.workspace.channel(call.arguments.needed("channel"))
    ts = call.arguments.text("message_ts")
    if not ts:
        raise missing("message_ts")
    message = call.workspace.message(channel, ts)
    address = f"{call.hub.plan.url}/archives/{channel.id}/p{ts.replace('.', '')}"
    if message.is_reply:
        address += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": address}
