"""Shortcuts: "Start fine-tuning" from anywhere in Slack, "Use as training data" on a message of a thread."""

from typing import Any

from slack_bolt import Ack, App, BoltContext
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot import thread_import
from bot.blocks import thread_import as thread_import_blocks
from bot.blocks import words
from bot.blocks.elements import Block, Drawn
from bot.listeners import start
from bot.middleware import Desk, after_ack, tell
from workers import consents, inbound
from workers.rights import Actor, Verb, require

PROBE_SECONDS = 1
"""How long Slack is given, before the ack, to say whether the bot can read a thread; then it is taken to be so."""
TOO_LATE = frozenset({"expired_trigger_id", "exchanged_trigger_id", "trigger_exchanged"})


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

    _register_threads(app, desk)


def _register_threads(app: App, desk: Desk) -> None:
    """A shortcut can be used where the bot is no member: then it is said what to do, and nothing is recorded."""
    quick = WebClient(
        token=desk.client.token, base_url=desk.client.base_url, timeout=PROBE_SECONDS, retry_handlers=[]
    )  # fmt: skip

    @app.shortcut("use_thread")
    def use_thread(ack: Ack, body: dict[str, Any], context: BoltContext) -> None:
        actor = desk.people.actor(context)
        message = body.get("message") or {}
        thread_ts = str(message.get("thread_ts") or message.get("ts") or body.get("message_ts") or "")
        problem = _barrier(desk, quick, actor, thread_ts)
        key = f"shortcut:{body['trigger_id']}"
        with desk.context.db.write() as session:
            if problem:
                new = inbound.first_time(session, actor.team_id, key)
            else:
                consents.start(session, actor, thread_ts, f"{actor.team_id}:{key}")
        ack()
        with after_ack(desk, body, context):
            if not problem:
                tell(desk.client, context, words.note(thread_import_blocks.ASKED))
            elif new:
                name = str((body.get("channel") or {}).get("name") or "")
                view = thread_import_blocks.barred(problem, actor.channel_id, thread_ts, channel_name=name)
                _open(desk, body, context, view)

    @app.view(thread_import_blocks.AGAIN)
    def use_thread_again(ack: Ack, body: dict[str, Any], context: BoltContext) -> None:
        channel_id, thread_ts = thread_import_blocks.reopened(body["view"])
        actor = desk.people.actor(context, channel_id)
        problem = _barrier(desk, quick, actor, thread_ts)
        if problem:
            ack(
                response_action="update",
                view=thread_import_blocks.barred(problem, channel_id, thread_ts, still=True),
            )
            return
        with desk.context.db.write() as session:
            consents.start(session, actor, thread_ts, f"{actor.team_id}:view:{body['view']['id']}")
        ack(response_action="update", view=thread_import_blocks.under_way())


def _barrier(desk: Desk, quick: WebClient, actor: Actor, thread_ts: str) -> str:
    """Slack's word for why the bot cannot read the thread. Raises NotAllowed for who may not ask for it at all."""
    with desk.context.db.read() as session:
        require(session, actor, Verb.ATTACH)
    return thread_import.barrier(quick, actor.channel_id, thread_ts)


def _open(desk: Desk, body: dict[str, Any], context: BoltContext, view: Block) -> None:
    """Show the window; where it comes too late for Slack, the same as a message to the person alone."""
    try:
        desk.client.views_open(trigger_id=body["trigger_id"], view=view)
    except SlackApiError as error:
        if error.response.get("error") not in TOO_LATE:
            raise
        tell(desk.client, context, Drawn(text="I cannot read this thread.", blocks=view["blocks"]))
