"""Shortcuts: "Start fine-tuning" from anywhere in Slack."""

from typing import Any

from slack_bolt import Ack, App, BoltContext

from bot.listeners import start
from bot.middleware import Desk, after_ack
from workers import inbound
from workers.rights import Verb, require


def register(app: App, desk: Desk) -> None:
    """Listen to the shortcut."""

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
