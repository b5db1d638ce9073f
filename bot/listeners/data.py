"""The words `data …`: list, show, compare, delete and add datasets. A deletion asks first."""

from sqlmodel import Session

from bot import command_line, dataset_announcements
from bot.blocks import dataset_list, words
from bot.blocks.elements import Drawn
from workers import datasets, derivations, uploads
from workers.rights import Actor, Verb
from workers.settings import Settings
from workers.tables import Dataset


def carry_out(session: Session, settings: Settings, actor: Actor, wanted: command_line.Data, key: str) -> Drawn:
    """Do what was asked and return what to say; `key` tells this request from others. Raises UserError."""
    match wanted:
        case command_line.DataList():
            return dataset_list.draw(datasets.visible(session, actor), actor.channel_id)
        case command_line.DataShow(name):
            return show(session, settings, actor, datasets.find(session, actor, name))
        case command_line.DataDelete(name):
            return ask_deletion(session, actor, datasets.find(session, actor, name))
        case command_line.DataDiff(before, after):
            old, new = (datasets.find(session, actor, one) for one in (before, after))
            derivations.compare(session, actor, old.id or 0, new.id or 0, f"{actor.team_id}:{key}")
            return words.note("Comparing them; what differs is shown to you here in a moment.")
        case command_line.DataAdd(source):
            added = uploads.add_named(session, actor, source, key, settings.hub_owners)
            return words.note(f"{added.name} is being read; its report comes into this channel.")


def show(session: Session, settings: Settings, actor: Actor, row: Dataset) -> Drawn:
    """One dataset with its report, its versions and its runs."""
    others = [one for one in datasets.versions(session, row) if datasets.may(session, actor, Verb.VIEW, one)]
    drawn = dataset_announcements.report(session, settings, row, elsewhere=not datasets.is_home(actor, row))
    runs, elsewhere = datasets.runs_seen(session, actor, row)
    return dataset_list.show(row, others, runs, drawn, actor.channel_id, elsewhere=elsewhere)


def ask_deletion(session: Session, actor: Actor, row: Dataset) -> Drawn:
    """The question before a deletion, for those who may delete it. Raises NotAllowed, UserError."""
    datasets.deletable(session, actor, row)
    return dataset_list.ask_deletion(row)
