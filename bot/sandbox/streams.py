"""Streamed answers: begun, appended to, and ended by the bot, by a person, or by the clock."""

import asyncio
from typing import Any

from bot.sandbox import events, posting
from bot.sandbox.block_kit import problems_of_blocks, with_ids
from bot.sandbox.content import MOST_MARKDOWN, checked_blocks
from bot.sandbox.errors import SlackProblem
from bot.sandbox.hub import Hub
from bot.sandbox.workspace import Json, Message

OPEN, DONE, EXPIRED, STOPPED = "open", "done", "expired", "stopped"


def begin(hub: Hub, message: Message) -> None:
    """The message streams from now on, for a few minutes at most."""
    message.stream = OPEN
    posting.show(hub, message)
    hub.spawn(_expire(hub, message))


def append(hub: Hub, message: Message, markdown: str, chunks: list[Json]) -> None:
    """Add to a stream. Raises SlackProblem if it is none any more."""
    require_open(message)
    _take(hub, message, markdown, chunks)
    posting.show(hub, message)


def finish(hub: Hub, message: Message, markdown: str, chunks: list[Json], blocks: list[Json]) -> None:
    """The bot ends its stream, perhaps with blocks below it. Raises SlackProblem."""
    require_open(message)
    _take(hub, message, markdown, chunks)
    message.stream_blocks += with_ids(checked_blocks(blocks), hub.workspace.ids)
    _end(hub, message, DONE)


def stop(hub: Hub, message: Message) -> None:
    """A person has read enough. Raises SlackProblem."""
    if message.stream != OPEN:
        raise SlackProblem("message_not_in_streaming_state")
    _end(hub, message, STOPPED)


def require_open(message: Message) -> None:
    """Raises SlackProblem with why the stream takes nothing."""
    if message.stream == STOPPED:
        raise SlackProblem("stopped_by_user")
    if message.stream != OPEN:
        raise SlackProblem("message_not_in_streaming_state")


async def _expire(hub: Hub, message: Message) -> None:
    await asyncio.sleep(hub.plan.stream_seconds)
    if message.stream == OPEN:
        _end(hub, message, EXPIRED)


def _end(hub: Hub, message: Message, how: str) -> None:
    before = hub.present.message(message)
    message.stream = how
    _draw(hub, message, complete=True)
    posting.show(hub, message)
    events.changed(hub, hub.workspace.channels[message.channel], message, before)


def _take(hub: Hub, message: Message, markdown: str, chunks: list[Json]) -> None:
    text, tasks, blocks = message.text + markdown, [dict(one) for one in message.stream_tasks], message.stream_blocks
    for chunk in chunks:
        match chunk.get("type"):
            case "markdown_text":
                text += str(chunk.get("text", ""))
            case "task_update":
                _merge(tasks, _task(chunk))
            case "plan_update":
                _merge(tasks, {"type": "plan", "task_id": "", "title": str(chunk.get("title", ""))})
            case "blocks":
                blocks = [*blocks, *checked_blocks(chunk.get("blocks") or [])]
            case other:
                raise SlackProblem("invalid_chunks", [f"[ERROR] unsupported chunk type: {other}"])
    if len(text) > MOST_MARKDOWN:
        raise SlackProblem("msg_too_long")
    problems = problems_of_blocks([one for one in tasks if one["type"] == "task_card"])
    if problems:
        raise SlackProblem("invalid_chunks", problems)
    message.text, message.stream_tasks, message.stream_blocks = text, tasks, blocks
    _draw(hub, message, complete=False)


def _merge(tasks: list[Json], task: Json) -> None:
    same = next((one for one in tasks if one["task_id"] == task["task_id"]), None)
    if same is None:
        tasks.append(task)
    else:
        same.update(task)


def _task(chunk: Json) -> Json:
    task: Json = {"type": "task_card", "task_id": chunk.get("id")}
    for name in ("title", "status", "sources"):
        if chunk.get(name):
            task[name] = chunk[name]
    for name in ("details", "output"):
        if chunk.get(name):
            task[name] = _rich(chunk[name])
    return task


def _rich(text: Any) -> Json:
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": str(text)}]}
    return {"type": "rich_text", "elements": [section]}


def _draw(hub: Hub, message: Message, *, complete: bool) -> None:
    """While there is only text it is shown as text; else as blocks, the text among them."""
    tasks = [one for one in message.stream_tasks if one["type"] == "task_card"]
    plan = next((one for one in message.stream_tasks if one["type"] == "plan"), None)
    if not (tasks or message.stream_blocks or complete):
        message.blocks = []
        return
    blocks: list[Json] = [{"type": "plan", "title": plan["title"], "tasks": tasks}] if plan else tasks
    if message.text.strip():
        blocks = [*blocks, {"type": "markdown", "text": message.text}]
    message.blocks = with_ids([*blocks, *message.stream_blocks], hub.workspace.ids)
