"""files.*: uploads in three steps, and what is known of a file."""

import time

from bot.sandbox import content, posting
from bot.sandbox.cast import BOT
from bot.sandbox.errors import SlackProblem
from bot.sandbox.methods_chat import thread_of
from bot.sandbox.registry import Call, method
from bot.sandbox.workspace import Channel, File, Json

MOST_BYTES = 1 << 30
MOST_FILES = 10


@method("files.getUploadURLExternal")
def upload_url(call: Call) -> Json:
    """The first step: where to send the bytes."""
    name = call.arguments.needed("filename")
    length = call.arguments.number("length", 0, MOST_BYTES + 1) if call.arguments.text("length") else 0
    if length < 1:
        raise SlackProblem("invalid_arguments", ["[ERROR] missing required field: length"])
    if length > MOST_BYTES:
        raise SlackProblem("file_upload_size_restricted")
    file_id = call.workspace.ids.new("F")
    alt_text = call.arguments.text("alt_txt") or call.arguments.text("alt_text")
    call.workspace.files[file_id] = File(file_id, name, name, BOT.id, length, int(time.time()), alt_text)
    return {"upload_url": f"{call.hub.plan.url}/upload/v1/{file_id}", "file_id": file_id}


@method("files.completeUploadExternal")
def complete(call: Call) -> Json:
    """The last step: the files exist, and are perhaps shared. As with Slack, no message's ts is told."""
    given = call.arguments.nested("files")
    if not isinstance(given, list) or not given or not all(isinstance(one, dict) for one in given):
        raise SlackProblem("invalid_arguments", ["[ERROR] missing required field: files"])
    if len(given) > MOST_FILES:
        raise SlackProblem("too_many_files")
    files = [_uploaded(call, str(one.get("id"))) for one in given]
    targets = _targets(call)
    said = content.read(call.arguments.only("blocks"))
    threads = [thread_of(call, channel) for channel in targets]
    for file, one in zip(files, given, strict=True):
        file.complete = True
        file.title = str(one.get("title") or file.name)
    for channel, thread_ts in zip(targets, threads, strict=True):
        posting.post(
            call.hub,
            channel,
            BOT.id,
            call.arguments.text("initial_comment"),
            blocks=said.blocks or [],
            thread_ts=thread_ts,
            subtype="file_share",
            files=[file.id for file in files],
        )
    return {"files": [{**call.hub.present.file(file), "shares": {}} for file in files]}


def _uploaded(call: Call, file_id: str) -> File:
    file = call.workspace.file(file_id)
    if file.user != BOT.id or file.data is None:
        raise SlackProblem("file_not_found")
    if file.complete:
        raise SlackProblem("file_update_failed")
    return file


def _targets(call: Call) -> list[Channel]:
    named = [call.arguments.text("channel_id"), *call.arguments.text("channels").split(",")]
    return [call.workspace.joined(one.strip()) for one in dict.fromkeys(named) if one.strip()]


@method("files.info")
def info(call: Call) -> Json:
    """One file, if it was shared where the bot is."""
    return {"file": call.hub.present.file(_visible(call)), "comments": [], "response_metadata": {"next_cursor": ""}}


@method("files.list")
def list_(call: Call) -> Json:
    """The files that were shared where the bot is, newest first."""
    channel, user = call.arguments.text("channel"), call.arguments.text("user")
    found = [one for one in call.workspace.files.values() if one.complete and call.workspace.may_read(BOT.id, one)]
    if channel:
        found = [one for one in found if channel in {place for place, _ in one.shares}]
    if user:
        found = [one for one in found if one.user == user]
    count, number = call.arguments.number("count", 100, 1000), call.arguments.number("page", 1, 1_000_000)
    shown = list(reversed(found))[count * (number - 1) : count * number]
    pages = -(-len(found) // count)
    paging = {"count": count, "total": len(found), "page": number, "pages": pages}
    return {"files": [call.hub.present.file(one) for one in shown], "paging": paging}


@method("files.delete")
def delete(call: Call) -> Json:
    """Delete the bot's own file; its messages lose it."""
    file = _visible(call)
    if file.user != BOT.id:
        raise SlackProblem("cant_delete_file")
    call.workspace.files.pop(file.id)
    for channel_id, ts in file.shares:
        message = call.workspace.channels[channel_id].messages.get(ts)
        if message is None:
            continue
        message.files.remove(file.id)
        if message.files or message.text or message.blocks:
            posting.show(call.hub, message)
        else:
            posting.remove(call.hub, message)
    return {}


def _visible(call: Call) -> File:
    file = call.workspace.file(call.arguments.needed("file"))
    if not file.complete or not call.workspace.may_read(BOT.id, file):
        raise SlackProblem("file_not_found")
    return file
