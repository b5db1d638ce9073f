"""Job files: the button that begins with one, and the one that writes a run's plan as one."""

from slack_bolt import Ack, App, BoltContext

from bot.blocks import words
from bot.listeners import start
from bot.listeners.clicks import Body, arrived, number, thread
from bot.middleware import Desk, after_ack, tell
from workers import job_files
from workers.rights import Verb, require
from workers.runs import lifecycle


def register(app: App, desk: Desk) -> None:
    """Listen to these buttons."""

    @app.action("start_from_job_file")
    def start_from_file(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        with desk.context.db.write() as session:
            new = arrived(session, actor, body)
            require(session, actor, Verb.START)
        ack()
        if new:
            with after_ack(desk, body, context):
                with desk.context.db.read() as session:
                    choices = job_files.choices(session, actor, number(body))
                start.open_if_alive(desk, actor, body["trigger_id"], choices.dataset_id, choices=choices)

    @app.action("run_job_file")
    def as_file(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        with desk.context.db.write() as session:
            arrived(session, actor, body)
            job_files.ask_for(session, lifecycle.find(session, actor, number(body)))
        ack()
        with after_ack(desk, body, context):
            tell(desk.client, context, words.note("📋 The job file is in the run's thread."), thread_ts=thread(body))
