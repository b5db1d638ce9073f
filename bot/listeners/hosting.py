"""Buttons of hosted models: keep, host longer, delete now, deploy again. Rights are asked again on every click."""

from slack_bolt import Ack, App, BoltContext

from bot.blocks import hosting as blocks
from bot.blocks import words
from bot.blocks.elements import Drawn
from bot.blocks.elements import context as small
from bot.listeners import home
from bot.listeners.clicks import Body, arrived, as_number, number, thread
from bot.middleware import Desk, after_ack, tell
from workers import hosting


def register(app: App, desk: Desk) -> None:
    """Listen to these buttons."""

    @app.action("hosted_keep")
    def keep(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        with desk.context.db.write() as session:
            row = hosting.keep(session, actor, number(body)) if arrived(session, actor, body) else None
        ack()
        if row is not None:
            text = blocks.kept(row)
            _answer(desk, body, context, Drawn(text=text, blocks=[small(text)]))

    @app.action("hosted_longer")
    def longer(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        with desk.context.db.write() as session:
            row = hosting.host_longer(session, actor, number(body)) if arrived(session, actor, body) else None
        ack()
        if row is not None:
            said = words.note("⏳ It is being deployed anew. That takes some minutes; its thread is told.")
            _answer(desk, body, context, said)

    @app.action("hosted_end")
    def end(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        with desk.context.db.write() as session:
            new = arrived(session, actor, body)
            if new:
                hosting.end(session, actor, number(body))
        ack()
        if new:
            said = words.note("🧹 The deployment is being deleted. Its message shows when that is done.")
            _answer(desk, body, context, said)

    @app.action("endpoint_wake")
    def wake(ack: Ack, body: Body, context: BoltContext) -> None:
        woken(ack, body, context, number(body))

    @app.action("endpoint_wake_with")
    def wake_with(ack: Ack, body: Body, context: BoltContext) -> None:
        endpoint_id, _, capacity = str(body["actions"][0]["selected_option"]["value"]).partition(":")
        woken(ack, body, context, as_number(endpoint_id), as_number(capacity))

    def woken(ack: Ack, body: Body, context: BoltContext, endpoint_id: int, capacity: int | None = None) -> None:
        actor = desk.people.actor(context)
        with desk.context.db.write() as session:
            new = arrived(session, actor, body)
            if new:
                hosting.wake(session, actor, endpoint_id, capacity)
        ack()
        if new:
            said = words.note("⏳ The model is being deployed again. That takes some minutes; its thread is told.")
            _answer(desk, body, context, said)


def _answer(desk: Desk, body: Body, context: BoltContext, said: Drawn) -> None:
    with after_ack(desk, body, context):
        if (body.get("view") or {}).get("type") == "home":
            home.publish(desk, context)
        tell(desk.client, context, said, thread_ts=thread(body))
