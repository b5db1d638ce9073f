"""The buttons that repeat a run elsewhere: each opens the start form, filled in with that run's plan."""

import re

from slack_bolt import Ack, App, BoltContext

from bot.listeners import start
from bot.listeners.clicks import Body, arrived, as_number
from bot.middleware import Desk, after_ack
from workers.errors import NotFound
from workers.rights import Verb, require
from workers.runs import lifecycle, rehome


def register(app: App, desk: Desk) -> None:
    """Listen to them, wherever they stand."""

    @app.action(re.compile(f"^{rehome.ACTION}_"))
    def train_elsewhere(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        number, _, provider = str(body["actions"][0].get("value") or "").partition(":")
        if not provider:
            raise NotFound("This button is too old. Use a newer message.")
        with desk.context.db.write() as session:
            new = arrived(session, actor, body)
            run = lifecycle.find(session, actor, as_number(number))
            require(session, actor, Verb.START, run)
        ack()
        if new:
            with after_ack(desk, body, context):
                with desk.context.db.read() as session:
                    choices = rehome.choices(session, desk.context.settings, actor, as_number(number), provider)
                start.open_if_alive(desk, actor, body["trigger_id"], choices.dataset_id, choices=choices)
