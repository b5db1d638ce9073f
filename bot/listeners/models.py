"""Buttons about a run's models at its vendor: its checkpoints, a chat with one, the tuned model's deletion."""

from slack_bolt import Ack, App, BoltContext

from bot.blocks import checkpoints as drawn
from bot.blocks import words
from bot.listeners.clicks import Body, arrived, as_number, number, thread
from bot.middleware import Desk, after_ack, tell
from providers.prices import vendor
from workers.runs import checkpoints, model_deletion
from workers.tables import Run


def register(app: App, desk: Desk) -> None:
    """Listen to these buttons. Rights are asked again on every click."""

    @app.action("run_checkpoints")
    def list_checkpoints(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        with desk.context.db.read() as session:
            shown = drawn.draw(*checkpoints.listed(session, actor, number(body)))
        ack()
        with after_ack(desk, body, context):
            tell(desk.client, context, shown, thread_ts=thread(body))

    @app.action("checkpoint_chat")
    def chat(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        run, _, step = str(body["actions"][0].get("value") or "").partition(":")
        run_id, at_step = as_number(run), as_number(step)
        with desk.context.db.write() as session:
            if arrived(session, actor, body):
                checkpoints.chat(session, actor, run_id, at_step)
        ack()
        said = words.note("A message about this checkpoint is in the channel: reply in its thread to chat with it.")
        with after_ack(desk, body, context):
            tell(desk.client, context, said, thread_ts=thread(body))

    @app.action("run_more")
    def more(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        chosen = str((body["actions"][0].get("selected_option") or {}).get("value") or "")
        what, _, run = chosen.partition(":")
        run_id = as_number(run)
        with desk.context.db.write() as session:
            asked = arrived(session, actor, body) and what == "delete_model"
            deleting = model_deletion.ask_to_delete(session, actor, run_id) if asked else None
        ack()
        if deleting is not None:
            said = words.note(f"🗑️ {_asked_to_delete(deleting)}")
            with after_ack(desk, body, context):
                tell(desk.client, context, said, thread_ts=thread(body))


def _asked_to_delete(run: Run) -> str:
    if run.progress.get("model_deleted"):
        return f"The tuned model of {run.name} is deleted already."
    return f"{vendor(run.provider).text} is asked to delete the tuned model of {run.name}. Its card shows when it is."
