"""Buttons of runs, endpoints and answers: start, pause, cancel, keys, feedback.

Rights are asked again on every click.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException

from slack_bolt import Ack, App, BoltContext
from slack_sdk.errors import SlackClientError
from sqlmodel import Session

from bot.blocks import endpoint, words
from bot.listeners import start
from bot.listeners.clicks import Body, arrived, number, thread
from bot.middleware import Desk, after_ack, tell
from workers import chat, keys
from workers.errors import NotFound
from workers.keys import NewKey
from workers.rights import Actor, Verb, allowed, require
from workers.runs import lifecycle
from workers.tables import Endpoint


def register(app: App, desk: Desk) -> None:
    """Listen to these buttons."""
    _register_runs(app, desk)
    _register_keys(app, desk)


def _register_runs(app: App, desk: Desk) -> None:
    @app.action("start_from_report")
    def start_from_report(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        with desk.context.db.write() as session:
            new = arrived(session, actor, body)
            require(session, actor, Verb.START)
        ack()
        if new:
            with after_ack(desk, body, context):
                start.open_if_alive(desk, actor, body["trigger_id"], number(body))

    @app.action("run_cancel")
    def cancel(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        with desk.context.db.write() as session:
            arrived(session, actor, body)
            lifecycle.cancel(session, actor, number(body))
        ack()

    @app.action("run_pause")
    def pause(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        with desk.context.db.write() as session:
            if arrived(session, actor, body):  # a click delivered again must not undo what was wished since
                lifecycle.pause(session, actor, number(body))
        ack()

    @app.action("run_resume")
    def resume(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        with desk.context.db.write() as session:
            if arrived(session, actor, body):
                lifecycle.resume(session, actor, number(body))
        ack()

    @app.action("feedback")
    def feedback(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        verdict, _, turn = str(body["actions"][0].get("value") or "").partition(":")
        if turn.isdecimal():
            with desk.context.db.write() as session:
                chat.note_feedback(session, actor, int(turn), good=verdict == "good")
        ack()
        with after_ack(desk, body, context):
            tell(desk.client, context, words.note("Noted, thank you."), thread_ts=thread(body))


def _register_keys(app: App, desk: Desk) -> None:
    @app.action("endpoint_key")
    def create_key(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        with desk.context.db.write() as session:
            target = _endpoint(session, actor, body)
            made = keys.create(session, actor, target) if arrived(session, actor, body) else None
        ack()
        if made is not None:
            with after_ack(desk, body, context):
                drawn = endpoint.key(target, desk.context.settings.public_gateway, made.secret, made.id)
                with _revoked_if_untold(desk, actor, made):
                    tell(desk.client, context, drawn, thread_ts=thread(body))

    @app.action("endpoint_keys")
    def list_keys(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        with desk.context.db.read() as session:
            target = _endpoint(session, actor, body)
            drawn = endpoint.keys(target, keys.listed(session, target, creator_id=actor.user_id))
        ack()
        with after_ack(desk, body, context):
            tell(desk.client, context, drawn, thread_ts=thread(body))

    @app.action("key_revoke")
    def revoke_key(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        with desk.context.db.write() as session:
            arrived(session, actor, body)
            keys.revoke(session, actor, number(body))
        ack()
        said = words.note("🔑 The key is revoked. Programs that use it are refused from now on.")
        with after_ack(desk, body, context):
            tell(desk.client, context, said, thread_ts=thread(body))


@contextmanager
def _revoked_if_untold(desk: Desk, actor: Actor, made: NewKey) -> Iterator[None]:
    """A key whose secret nobody was told must not stay: nobody could use it, and nobody would revoke it."""
    try:
        yield
    except (SlackClientError, HTTPException, OSError):
        with desk.context.db.write() as session:
            keys.revoke(session, actor, made.id)
        raise


def _endpoint(session: Session, actor: Actor, body: Body) -> Endpoint:
    """The endpoint that the button is about. Raises NotFound."""
    target = session.get(Endpoint, number(body))
    if target is None or not allowed(session, actor, Verb.VIEW, target):
        raise NotFound("This endpoint is not there any more, or not visible from this channel.")
    return target
