"""A report's buttons and forms: preview, columns, fixes, conversion, a test file, sharing, deletion."""

from typing import Any

from slack_bolt import Ack, App, BoltContext
from sqlmodel import Session

from bot.blocks import dataset_forms, examples, findings, words
from bot.blocks.elements import Block, Drawn
from bot.listeners import data
from bot.listeners.clicks import Body, arrived, as_number, number, thread
from bot.middleware import Desk, after_ack, tell
from workers import dataset_cards, datasets, derivations, inbound, previews, uploads
from workers.dataprep.convert import TARGETS
from workers.dataprep.formats import ColumnMapping
from workers.errors import UserError
from workers.rights import Actor, Verb
from workers.tables import Dataset
from workers.uploads import ReceivedFile


def register(app: App, desk: Desk) -> None:
    """Listen to them all."""
    _register_windows(app, desk)
    _register_menu(app, desk)
    _register_columns(app, desk)
    _register_forms(app, desk)


def _register_windows(app: App, desk: Desk) -> None:
    """Buttons that open something."""

    def opening(action_id: str) -> None:
        @app.action(action_id)
        def clicked(ack: Ack, body: Body, context: BoltContext) -> None:
            actor = desk.people.actor(context)
            with desk.context.db.write() as session:
                new = arrived(session, actor, body)
                view = _window(session, actor, action_id, number(body))
            ack()
            if new:
                with after_ack(desk, body, context):
                    desk.client.views_open(trigger_id=body["trigger_id"], view=view)

    for action_id in (
        "preview_dataset",
        "choose_columns",
        "fix_dataset",
        "convert_dataset",
        "attach_test",
        "show_changes",
    ):
        opening(action_id)


def _window(session: Session, actor: Actor, action_id: str, dataset_id: int) -> Block:
    """The window or form that a button opens. Raises UserError."""
    changing = action_id in {"choose_columns", "fix_dataset", "attach_test"}
    row = datasets.get(session, actor, dataset_id, verb=Verb.ATTACH if changing else Verb.VIEW)
    if changing:
        datasets.must_be_home(actor, row)
    match action_id:
        case "choose_columns":
            mapping = ColumnMapping.from_json(row.mapping) if row.mapping else ColumnMapping()
            return _columns(row, actor.channel_id, mapping)
        case "fix_dataset":
            if not dataset_cards.fixes(row):
                raise UserError("There is nothing in it that a machine can mend.")
            return dataset_forms.mend(row, actor.channel_id)
        case "convert_dataset":
            targets = [(one.id, one.words) for one in TARGETS.values() if row.method in one.methods]
            return dataset_forms.conversion(row, actor.channel_id, targets)
        case "attach_test":
            return dataset_forms.test_file(row, actor.channel_id)
        case "show_changes":
            parent = session.get(Dataset, row.parent_id) if row.parent_id else None
            seen = parent is not None and datasets.may(session, actor, Verb.VIEW, parent)
            return dataset_forms.changes(row, parent, with_examples=seen)
        case "findings":
            return findings.everything(row)
    return examples.preview(row)


def _register_menu(app: App, desk: Desk) -> None:
    """The ⋯ menus, and the button that really deletes."""

    @app.action("dataset_menu")
    def chosen(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        verb, _, value = str((body["actions"][0].get("selected_option") or {}).get("value") or "").partition(":")
        dataset_id = as_number(value)
        view: Block | None = None
        drawn: Drawn | None = None
        with desk.context.db.write() as session:
            new = arrived(session, actor, body)
            match verb:
                case "share" | "unshare":
                    row = datasets.share(session, actor, dataset_id, shared=verb == "share")
                    who = "Everybody in this workspace" if row.shared else "Only its channel"
                    drawn = words.note(f"{who} can use {row.name} v{row.version} now.")
                case "delete":
                    drawn = data.ask_deletion(session, actor, datasets.get(session, actor, dataset_id))
                case "show":
                    drawn = data.show(session, desk.context.settings, actor, datasets.get(session, actor, dataset_id))
                case _:
                    windows = {"preview": "preview_dataset", "findings": "findings", "columns": "choose_columns"}
                    view = _window(session, actor, windows.get(verb, "preview_dataset"), dataset_id)
        ack()
        if not new:
            return
        with after_ack(desk, body, context):
            if view is not None:
                desk.client.views_open(trigger_id=body["trigger_id"], view=view)
            elif drawn is not None:
                tell(desk.client, context, drawn, thread_ts=thread(body))

    @app.action("delete_dataset")
    def delete(ack: Ack, body: Body, context: BoltContext) -> None:
        actor = desk.people.actor(context)
        with desk.context.db.write() as session:
            new = arrived(session, actor, body)
            row = datasets.delete(session, actor, number(body)) if new else None
        ack()
        if row is not None:
            with after_ack(desk, body, context):
                said = words.note(f"🗑️ {row.name} v{row.version} is deleted; its files leave our storage in a moment.")
                tell(desk.client, context, said, thread_ts=thread(body))


def _register_columns(app: App, desk: Desk) -> None:
    """The form that says which column is what: each change is shown at once."""

    @app.action("choose_column")
    def changed(ack: Ack, body: Body, context: BoltContext) -> None:
        view = body["view"]
        channel_id, dataset_id = dataset_forms.opened(view)
        actor = desk.people.actor(context, channel_id)
        with desk.context.db.read() as session:
            row = datasets.get(session, actor, dataset_id, verb=Verb.ATTACH)
        ack()
        with after_ack(desk, body, context):
            mapping = _mapping(row, view["state"]["values"])
            redrawn = _columns(row, channel_id, mapping)
            desk.client.views_update(view_id=view["id"], hash=view.get("hash"), view=redrawn)

    @app.view("columns_form")
    def submitted(ack: Ack, body: Body, context: BoltContext) -> None:
        view = body["view"]
        channel_id, dataset_id = dataset_forms.opened(view)
        actor = desk.people.actor(context, channel_id)
        with desk.context.db.write() as session:
            row = datasets.get(session, actor, dataset_id, verb=Verb.ATTACH)
            mapping = _mapping(row, view["state"]["values"])
            problem = ""
            if mapping.answer in {mapping.prompt, mapping.system}:
                problem = "The answer must be another column than the prompt and the system text."
            elif inbound.first_time(session, actor.team_id, f"view:{view['id']}"):
                datasets.choose_columns(session, actor, dataset_id, mapping)
        if problem:
            ack(response_action="errors", errors={"answer": problem})
        else:
            ack()


def _columns(row: Dataset, channel_id: str, mapping: ColumnMapping) -> Block:
    shown = previews.of_table(row.report.get("table") or {}, mapping) if mapping.answer else []
    return dataset_forms.columns(row, channel_id, mapping.to_json(), shown)


def _mapping(row: Dataset, values: dict[str, Any]) -> ColumnMapping:
    """What is chosen in the form. Raises UserError."""
    names = (row.report.get("table") or {}).get("columns") or []
    chosen = dataset_forms.chosen_columns(values)
    if any(place >= len(names) for place in chosen.values()) or "answer" not in chosen:
        raise UserError("Choose the column with the answers.")
    return ColumnMapping.from_json({part: names[place] for part, place in chosen.items()})


def _register_forms(app: App, desk: Desk) -> None:
    """Forms that ask for something to be made."""

    @app.view("fixes_form")
    def mend(ack: Ack, body: Body, context: BoltContext) -> None:
        view, actor, dataset_id = _submitted(desk, body, context)
        checks = dataset_forms.chosen_checks(view["state"]["values"])
        with desk.context.db.write() as session:
            derivations.apply_fixes(session, actor, dataset_id, checks, f"{actor.team_id}:view:{view['id']}")
        ack()
        _say(desk, body, context, actor, "🛠️ The new version is being made; its report comes next.")

    @app.view("convert_form")
    def convert(ack: Ack, body: Body, context: BoltContext) -> None:
        view, actor, dataset_id = _submitted(desk, body, context)
        target = dataset_forms.chosen_target(view["state"]["values"])
        if target not in TARGETS:
            raise UserError("Choose a format.")
        with desk.context.db.write() as session:
            derivations.convert(session, actor, dataset_id, target, f"{actor.team_id}:view:{view['id']}")
        ack()
        _say(desk, body, context, actor, f"📄 The file is being written as {target}; it comes next.")

    @app.view("test_file_form")
    def attach(ack: Ack, body: Body, context: BoltContext) -> None:
        view, actor, dataset_id = _submitted(desk, body, context)
        found = dataset_forms.chosen_files(view["state"]["values"])
        files = [
            ReceivedFile(str(one["id"]), str(one.get("name") or "file"), int(one.get("size") or 0)) for one in found
        ]
        with desk.context.db.write() as session:
            uploads.attach_test(session, actor, dataset_id, files)
        ack()


def _submitted(desk: Desk, body: Body, context: BoltContext) -> tuple[dict[str, Any], Actor, int]:
    view = body["view"]
    channel_id, dataset_id = dataset_forms.opened(view)
    return view, desk.people.actor(context, channel_id), dataset_id


def _say(desk: Desk, body: Body, context: BoltContext, actor: Actor, text: str) -> None:
    """Tell the person alone: in the thread of the report, or in the channel where it was clicked."""
    with after_ack(desk, body, context):
        thread_ts = dataset_forms.thread(body["view"])
        tell(desk.client, context, words.note(text), channel_id=actor.channel_id, thread_ts=thread_ts)
