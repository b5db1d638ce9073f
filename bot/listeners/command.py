"""`/finetune …` in a channel, and the same words after a mention of the bot."""

import re
from typing import Any

from slack_bolt import Ack, App, BoltContext
from sqlmodel import Session

from bot import command_line, run_cards
from bot.blocks import words
from bot.blocks.elements import Drawn
from bot.listeners import credentials, data, start
from bot.middleware import Desk, after_ack
from workers import inbound
from workers.rights import Actor, Verb, require
from workers.run_status import RunStatus
from workers.runs import lifecycle
from workers.settings import Settings

COMMAND = re.compile(r"/finetune\b.*")
"""The command's name; an app beside this one may have its own, such as /finetune-dev."""


def register(app: App, desk: Desk) -> None:
    """Listen to the command."""

    @app.command(COMMAND)
    def typed(ack: Ack, body: dict[str, Any], context: BoltContext) -> None:
        actor = desk.people.actor(context)
        wanted = command_line.parse(str(body.get("text") or ""))
        key = f"command:{body['trigger_id']}"
        with desk.context.db.write() as session:
            new = inbound.first_time(session, actor.team_id, key)
            require(session, actor, Verb.VIEW)
            opens = new and isinstance(wanted, command_line.Start)
            drawn = carry_out(session, desk.context.settings, actor, wanted, key=key) if new and not opens else None
        if drawn is not None:
            ack(text=drawn.text, blocks=drawn.blocks)
            return
        ack()
        if opens:
            with after_ack(desk, body, context):
                start.open_form(desk, actor, body["trigger_id"])


def carry_out(session: Session, settings: Settings, actor: Actor, wanted: command_line.Command, *, key: str) -> Drawn:
    """Do what was asked, except opening a form; returns what to say. `key` tells this request. Raises UserError."""
    if isinstance(wanted, command_line.Data):
        return data.carry_out(session, settings, actor, wanted, key)
    match wanted:
        case command_line.Status():
            return words.runs(lifecycle.visible(session, actor))
        case command_line.Cancel(run_id):
            run = lifecycle.cancel(session, actor, run_id)
            return words.note(f"{run.name} (run {run.id}) is {run.status}.")
        case command_line.Pause(run_id):
            run = lifecycle.pause(session, actor, run_id)
            is_over = run.status is RunStatus.PAUSED
            how = "is paused." if is_over else "is asked to pause. Its card shows when it stands still."
            return words.note(f"{run.name} (run {run.id}) {how}")
        case command_line.Resume(run_id):
            run = lifecycle.resume(session, actor, run_id)
            return words.note(f"{run.name} (run {run.id}) goes on. Its card shows how far it is.")
        case command_line.Show(run_id):
            return run_cards.shown(session, lifecycle.find(session, actor, run_id))
        case command_line.Keys():
            return credentials.overview(session, actor)
        case command_line.Help(intro):
            return words.note(f"{intro} Everything that can be typed: /finetune help") if intro else words.help_text()
        case command_line.Start():
            return words.note("A form opens only from a command or a button: type /finetune start.")
