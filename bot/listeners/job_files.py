"""Files that belong to runs: job files to begin with, a run's plan as one, its model's card and figures."""

import re
from collections.abc import Callable, Mapping

from slack_bolt import Ack, App, BoltContext
from sqlmodel import Session

from bot.blocks import job_file, words
from bot.listeners import start
from bot.listeners.clicks import Body, arrived, number, thread
from bot.middleware import Desk, after_ack, tell
from workers import job_files
from workers.rights import Verb, require
from workers.runs import lifecycle, model_card
from workers.tables import Run

TAKEN_ALONG: Mapping[str, tuple[Callable[[Session, Run], None], str]] = {
    "run_job_file": (job_files.ask_for, "📋 The job file is in the run's thread."),
    "run_model_card": (
        model_card.ask_for,
        "📋 The model's card and the figures of its training are in the run's thread.",
    ),
}
"""Buttons that bring files into a run's thread: what each asks for, and what is said."""


def register(app: App, desk: Desk) -> None:
    """Listen to these buttons."""

    @app.action(re.compile(f"^(start_from_job_file$|{job_file.BEGIN_WITH})"))
    def start_from_file(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        with desk.context.db.write() as session:
            new = arrived(session, actor, body)
            require(session, actor, Verb.START)
        ack()
        if new:
            with after_ack(desk, body, context):
                with desk.context.db.read() as session:
                    provider = str(body["actions"][0]["action_id"]).partition(job_file.BEGIN_WITH)[2]
                    choices = job_files.choices(session, actor, number(body), provider)
                start.open_if_alive(desk, actor, body["trigger_id"], choices.dataset_id, choices=choices)

    @app.action(re.compile(f"^({'|'.join(TAKEN_ALONG)})$"))
    def take_along(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        want, said = TAKEN_ALONG[str(body["actions"][0]["action_id"])]
        with desk.context.db.write() as session:
            arrived(session, actor, body)
            want(session, lifecycle.find(session, actor, number(body)))
        ack()
        with after_ack(desk, body, context):
            tell(desk.client, context, words.note(said), thread_ts=thread(body))
