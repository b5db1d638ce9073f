"""Vendor credentials: the overview's buttons and the form. Rights are asked again on every click and on submitting.

What is entered goes from the form into the vault, and nowhere else.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from slack_bolt import Ack, App, BoltContext
from slack_sdk.webhook import WebhookClient
from sqlmodel import Session

from bot.blocks import keys_form, words
from bot.blocks.elements import Drawn
from bot.listeners.clicks import Body, arrived
from bot.middleware import Desk, after_ack, tell
from workers import credential_use, credentials, inbound
from workers.errors import InvalidPlan, SetupProblem, UserError
from workers.rights import Actor


def register(app: App, desk: Desk) -> None:
    """Listen to the buttons and to the form."""
    _register_buttons(app, desk)

    @app.view("keys_form")
    def submitted(ack: Ack, body: Body, context: BoltContext) -> None:
        view = body["view"]
        channel_id, provider = keys_form.opened(view)
        actor = desk.people.actor(context, channel_id)
        vault, hosts = desk.context.vault, desk.context.providers.settings.more_azure_hosts
        try:
            with _explained(), desk.context.db.write() as session:
                new = inbound.first_time(session, actor.team_id, f"view:{view['id']}")
                if new:
                    values = keys_form.entered(provider, view["state"]["values"])
                    credentials.save(session, vault, actor, provider, values, more_hosts=hosts)
                    runs = credential_use.runs(session, actor.team_id).get(provider, 0)
        except InvalidPlan as error:
            ack(response_action="errors", errors=error.problems)
            return
        ack()
        if new:
            with after_ack(desk, body, context):
                tell(desk.client, context, words.note(keys_form.saved(provider, runs)), channel_id=channel_id)


def _register_buttons(app: App, desk: Desk) -> None:
    @app.action("keys_enter")
    def enter(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        provider = _provider(body)
        with _explained(), desk.context.db.write() as session:
            new = arrived(session, actor, body)
            known = credentials.known(session, desk.context.vault, actor, provider)
        ack()
        if new:
            with after_ack(desk, body, context):
                settings = desk.context.settings
                reached = f"{settings.public_gateway}/webhooks/openai/{actor.team_id}" if settings.gateway_url else ""
                view = keys_form.form(provider, known, actor.channel_id, reached)
                desk.client.views_open(trigger_id=body["trigger_id"], view=view)

    @app.action("keys_check")
    def check_again(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        with desk.context.db.write() as session:
            if arrived(session, actor, body):
                credentials.recheck(session, actor, _provider(body))
            drawn = overview(session, actor)
        ack()
        with after_ack(desk, body, context):
            _show(desk, context, drawn)

    @app.action("keys_forget")
    def forget(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        with desk.context.db.write() as session:
            if arrived(session, actor, body):
                credentials.forget(session, actor, _provider(body))
            drawn = overview(session, actor)
        ack()
        with after_ack(desk, body, context):
            _show(desk, context, drawn)


def overview(session: Session, actor: Actor) -> Drawn:
    """The workspace's credentials, and what they are needed for now. Raises NotAllowed."""
    return keys_form.overview(credentials.listed(session, actor), credential_use.runs(session, actor.team_id))


@contextmanager
def _explained() -> Iterator[None]:
    """An admin is told what is wrong with the vault."""
    try:
        yield
    except SetupProblem as problem:
        raise UserError(str(problem)) from problem


def _provider(body: Body) -> str:
    return str(body["actions"][0].get("value") or "")


def _show(desk: Desk, context: BoltContext, drawn: Drawn) -> None:
    """Put the overview in place of the message whose button was clicked, which only this person sees."""
    if context.response_url:
        answered = WebhookClient(context.response_url, timeout=desk.client.timeout).send(
            response_type="ephemeral", replace_original=True, text=drawn.text, blocks=drawn.blocks
        )
        if answered.status_code == HTTPStatus.OK:
            return
    tell(desk.client, context, drawn)
