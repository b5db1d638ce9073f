"""Answers to the question whether one's words in a thread may be learnt from; and going on or stopping."""

from slack_bolt import Ack, App, BoltContext

from bot.listeners.clicks import Body, arrived, number
from bot.middleware import Desk
from workers import consents


def register(app: App, desk: Desk) -> None:
    """Listen to both."""

    def answering(action_id: str, *, yes: bool) -> None:
        @app.action(action_id)
        def answered(ack: Ack, body: Body, context: BoltContext) -> None:
            actor = desk.people.actor(context)
            with desk.context.db.write() as session:
                if arrived(session, actor, body):
                    consents.answer(session, actor, number(body), yes=yes)
            ack()

    answering("consent_yes", yes=True)
    answering("consent_no", yes=False)

    @app.action("import_go_on")
    def go_on(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        with desk.context.db.write() as session:
            if arrived(session, actor, body):
                consents.go_on(session, actor, number(body))
        ack()

    @app.action("import_stop")
    def stop(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        with desk.context.db.write() as session:
            if arrived(session, actor, body):
                consents.stop(session, actor, number(body))
        ack()
