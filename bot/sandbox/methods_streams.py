"""chat.startStream, chat.appendStream, chat.stopStream."""

from bot.sandbox import content, posting, streams
from bot.sandbox.cast import BOT
from bot.sandbox.errors import SlackProblem, missing
from bot.sandbox.methods_chat import own_message, place, thread_of
from bot.sandbox.registry import Call, method
from bot.sandbox.workspace import Json


@method("chat.startStream")
def start(call: Call) -> Json:
    """Begin a streamed answer in a thread."""
    channel = place(call)
    thread_ts = thread_of(call, channel)
    if thread_ts is None:
        raise missing("thread_ts")
    if not channel.is_im:
        if not call.arguments.text("recipient_user_id"):
            raise SlackProblem("missing_recipient_user_id")
        if not call.arguments.text("recipient_team_id"):
            raise SlackProblem("missing_recipient_team_id")
        call.workspace.user(call.arguments.text("recipient_user_id"))
    markdown, chunks = _given(call)
    message = posting.post(call.hub, channel, BOT.id, "", thread_ts=thread_ts, quiet=True)
    streams.begin(call.hub, message)
    if markdown or chunks:
        streams.append(call.hub, message, markdown, chunks)
    return {"channel": channel.id, "ts": message.ts}


@method("chat.appendStream")
def append(call: Call) -> Json:
    """Add to a streamed answer."""
    message = own_message(call, "message_not_owned_by_app")
    markdown, chunks = _given(call)
    streams.require_open(message)
    if not markdown and not chunks:
        raise SlackProblem("no_text")
    streams.append(call.hub, message, markdown, chunks)
    return {"channel": message.channel, "ts": message.ts}


@method("chat.stopStream")
def stop(call: Call) -> Json:
    """End a streamed answer, perhaps with blocks below it."""
    message = own_message(call, "message_not_owned_by_app")
    markdown, chunks = _given(call)
    blocks = call.arguments.nested("blocks", "invalid_blocks_format") or []
    metadata = content.read(call.arguments.only("metadata")).metadata
    streams.finish(call.hub, message, markdown, chunks, blocks)
    message.metadata = metadata or message.metadata
    shown = call.hub.present.message(message, metadata=True)
    return {"channel": message.channel, "ts": message.ts, "message": shown}


def _given(call: Call) -> tuple[str, list[Json]]:
    chunks = call.arguments.nested("chunks", "invalid_chunks") or []
    if not isinstance(chunks, list) or not all(isinstance(one, dict) for one in chunks):
        raise SlackProblem("invalid_chunks")
    return call.arguments.text("markdown_text"), chunks
