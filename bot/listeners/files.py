"""A file attached to a message: recorded before the ack, then downloaded and checked as tasks.

A message comes as `message` of subtype `file_share`; pictures and office documents other than spreadsheets are none
of our business in a channel, unless the bot is mentioned or it is a direct message.
"""

from collections.abc import Callable, Mapping
from typing import Any

from slack_bolt import App, BoltContext

from bot.middleware import Desk
from workers import inbound, uploads
from workers.uploads import ReceivedFile

OTHER_PEOPLES = ("image/", "video/", "audio/", "application/pdf", "application/vnd.slack", "application/msword",
                 "application/vnd.openxmlformats", "application/vnd.ms-", "application/vnd.google")  # fmt: skip
"""Kinds of files that teams share all day, and that are no datasets."""
SPREADSHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
TABLES = (".xlsx", ".csv")
"""What some machines call an office document of another kind, and is a table all the same."""


def register(app: App, desk: Desk) -> None:
    """Listen to messages with files."""

    def record(event: dict[str, Any], context: BoltContext, next: Callable[[], None]) -> None:  # noqa: A002 -- Bolt's name
        received = _received(event, context.bot_user_id or "")
        if received:
            actor = desk.people.actor(context)
            with desk.context.db.write() as session:
                if inbound.first_time(session, actor.team_id, f"files:{actor.channel_id}:{event['ts']}"):
                    thread_ts = str(event.get("thread_ts") or "")
                    uploads.receive(session, actor, message_ts=event["ts"], files=received, thread_ts=thread_ts)
        next()

    @app.event({"type": "message", "subtype": "file_share"}, middleware=[record])
    def shared() -> None:
        """Recorded already; the report follows in the thread."""

    @app.event("file_shared")
    def announced() -> None:
        """The same files come with their message, which has the thread to answer in."""


def _received(event: Mapping[str, Any], bot_user_id: str) -> list[ReceivedFile]:
    addressed = event.get("channel_type") == "im" or f"<@{bot_user_id}>" in str(event.get("text") or "")
    return [
        ReceivedFile(file["id"], str(file.get("name") or "file"), int(file.get("size") or 0), addressed)
        for file in event.get("files") or []
        if addressed or _may_be_data(file)
    ]


def _may_be_data(file: Mapping[str, Any]) -> bool:
    kind, name = str(file.get("mimetype") or ""), str(file.get("name") or "")
    return kind == SPREADSHEET or name.lower().endswith(TABLES) or not kind.startswith(OTHER_PEOPLES)
