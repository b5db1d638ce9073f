"""Messages: a reply in a thread with an endpoint is recorded for an answer; a mention is answered with help."""

import re
from collections.abc import Callable
from typing import Any

from slack_bolt import App, BoltContext

from bot import command_line, escape
from bot.blocks.elements import Drawn
from bot.listeners.command import carry_out
from bot.middleware import Desk, after_ack, tell
from workers import chat, inbound
from workers.rights import Actor, Verb, require

ANSWER = "answer_to_mention"
"""Where the middleware leaves for the listener what is to be said."""

_MENTION = re.compile(r"<@[A-Z0-9]+(?:\|[^>]*)?>\s*")


def register(app: App, desk: Desk) -> None:
    """Listen to messages and mentions."""

    def record(event: dict[str, Any], context: BoltContext, next: Callable[[], None]) -> None:  # noqa: A002 -- Bolt's name
        """A question to an endpoint becomes a turn before Slack is acked."""
        thread_ts = event.get("thread_ts")
        text = _said(event)
        if thread_ts and thread_ts != event["ts"] and text and context.user_id and not event.get("bot_id"):
            with desk.context.db.read() as session:
                where = (context.team_id or "", context.channel_id or "", thread_ts)
                concerns_us = chat.is_answered(session, *where) or chat.is_over(session, *where)
            if concerns_us:
                actor = desk.people.actor(context)
                with desk.context.db.write() as session:
                    chat.receive(session, actor, thread_ts=thread_ts, message_ts=event["ts"], text=text)
        next()

    @app.event({"type": "message", "subtype": None}, middleware=[record])
    @app.event({"type": "message", "subtype": "thread_broadcast"}, middleware=[record])
    def said() -> None:
        """Recorded already; the answer follows in the thread."""

    @app.event("message")
    def other_messages() -> None:
        """Edits, deletions, joins: nothing to do."""

    def carry_out_mention(event: dict[str, Any], context: BoltContext, next: Callable[[], None]) -> None:  # noqa: A002 -- Bolt's name
        """What a mention asks for is done before Slack is acked; if it cannot be, the mention comes again."""
        context[ANSWER] = None if event.get("files") else _mentioned(desk, event, desk.people.actor(context))
        next()

    @app.event("app_mention", middleware=[carry_out_mention])
    def mentioned(event: dict[str, Any], body: dict[str, Any], context: BoltContext) -> None:
        if context[ANSWER] is not None:  # with files, their report is the answer
            with after_ack(desk, body, context):
                tell(desk.client, context, context[ANSWER], thread_ts=str(event.get("thread_ts") or ""))


def _mentioned(desk: Desk, event: dict[str, Any], actor: Actor) -> Drawn | None:
    """Do what a mention asks for, once; returns what to say. None: nothing, or a model answers in its thread."""
    thread_ts = str(event.get("thread_ts") or "")
    key = f"mention:{actor.channel_id}:{event['ts']}"
    with desk.context.db.write() as session:
        if not inbound.first_time(session, actor.team_id, key):
            return None
        if thread_ts and chat.is_answered(session, actor.team_id, actor.channel_id, thread_ts):
            return None
        require(session, actor, Verb.VIEW)
        return carry_out(session, desk.context.settings, actor, command_line.parse(_said(event)), key=key)


def _said(event: dict[str, Any]) -> str:
    """What a person wrote, without the mention of the bot."""
    return escape.from_slack(_MENTION.sub("", str(event.get("text") or ""))).strip()
