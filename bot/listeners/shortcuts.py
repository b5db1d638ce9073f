"""Shortcuts: "Start fine-tuning" from anywhere in Slack, "Use as training data" on a message of a thread."""

from typing import Any

from slack_bolt import Ack, App, BoltContext

from bot.blocks import words
from bot.listeners import start
from bot.middleware import Desk, after_ack, tell
from workers import consents, inbound
from workers.rights import Verb, require


def register(app: App, desk: Desk) -> None:
    """Listen to them."""

    @app.shortcut("start_run")
    def start_run(ack: Ack, body: dict[str, Any], context: BoltContext) -> None:
        actor = desk.people.actor(context, "")
        with desk.context.db.write() as session:
            new = inbound.first_time(session, actor.team_id, f"shortcut:{body['trigger_id']}")
            require(session, actor, Verb.START)
        ack()
        if new:
            with after_ack(desk, body, context):
                start.open_if_alive(desk, actor, body["trigger_id"], None)

    @app.shortcut("use_thread")
    def use_thread(ack: Ack, body: dict[str, Any], context: BoltContext) -> None:
        actor = desk.people.actor(context)
        message = body.get("message") or {}
        thread_ts = str(message.get("thread_ts") or message.get("ts") or body.get("message_ts") or "")
        with desk.context.db.write() as session:
            consents.start(session, actor, thread_ts, f"{actor.team_id}:shortcut:{body['trigger_id']}")
        ack()
        said = words.note(
            "🧵 The authors of this thread are asked whether their words may be used. Yours may, as it is you "
            "who asks. A card in the thread shows how many have agreed."
        )
        with after_ack(desk, body, context):
            tell(desk.client, context, said)
