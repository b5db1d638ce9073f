"""Datasets as people deal with them: list, find, share, delete, choose columns.

Who may use one: the people of its channel; the whole workspace once its creator or an admin has shared it.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlmodel import Session, col, or_, select

from workers import dataset_cards, rights, tasks
from workers.dataprep.formats import ColumnMapping
from workers.errors import NotAllowed, NotFound, UserError
from workers.rights import Actor, Verb, require
from workers.run_status import FINAL
from workers.tables import (
    AuditEntry,
    Dataset,
    DatasetRole,
    Derivation,
    DerivationKind,
    Run,
    Upload,
    UploadStatus,
)

GRACE_SECONDS = 5.0
"""Between a deletion and its files' leaving: whatever transaction is under way has ended by then."""
FEW_EXAMPLES = 50
"""Below, and without a file to test on, nothing can be claimed about the result."""


class DatasetGone(UserError):
    """It was deleted, or its files are."""


# who may


def may(session: Session, actor: Actor, verb: Verb, row: Dataset) -> bool:
    """Whether the actor may do `verb` to the dataset; one that is shared counts as being wherever they ask."""
    if row.shared and row.team_id == actor.team_id:
        actor = replace(actor, channel_id=row.channel_id)
    return rights.allowed(session, actor, verb, row)


def is_home(actor: Actor, row: Dataset) -> bool:
    """Whether the actor asks from the dataset's own channel."""
    return actor.channel_id == row.channel_id


def must_be_home(actor: Actor, row: Dataset) -> None:
    """Raise NotAllowed where somebody would change, from another channel, what is shared with that one."""
    if not is_home(actor, row):
        raise NotAllowed(
            f"{row.name} is shared from another channel: mend it, choose its columns or attach its test file there, "
            "with the buttons of its report."
        )


def _must(session: Session, actor: Actor, row: Dataset) -> None:
    """Raise NotAllowed unless the actor is the dataset's creator or an admin."""
    if not may(session, actor, Verb.CONTROL, row):
        raise NotAllowed("Only the person who attached it, or an admin, can do that.")


# looking


def get(session: Session, actor: Actor, dataset_id: int, *, verb: Verb = Verb.VIEW) -> Dataset:
    """A dataset that the actor may see and that is not deleted. Raises NotFound, DatasetGone, NotAllowed."""
    require(session, actor, verb)
    row = session.get(Dataset, dataset_id)
    if row is None or not may(session, actor, Verb.VIEW, row):
        raise NotFound(f"There is no dataset {dataset_id} here. /finetune data lists those of this channel.")
    if row.deleted_at is not None:
        raise DatasetGone(f"{row.name} v{row.version} was deleted. Attach the file again if you still need it.")
    return row


def visible(session: Session, actor: Actor, *, limit: int = 100) -> list[Dataset]:
    """The datasets that the actor may use from this channel (or, outside any, their own), the newest first."""
    require(session, actor, Verb.VIEW)
    here = Dataset.channel_id == actor.channel_id if actor.channel_id else Dataset.creator_id == actor.user_id
    rows = session.exec(
        select(Dataset)
        .where(
            Dataset.team_id == actor.team_id,
            col(Dataset.deleted_at).is_(None),
            or_(here, col(Dataset.shared).is_(True)),
        )
        .order_by(col(Dataset.id).desc())
        .limit(limit)
    )
    return [row for row in rows if may(session, actor, Verb.VIEW, row)]


def usable(session: Session, actor: Actor) -> list[Dataset]:
    """Those among them that can be trained on."""
    return [row for row in visible(session, actor) if row.trainable]


def find(session: Session, actor: Actor, wanted: str) -> Dataset:
    """A dataset by its number, or the newest of that name (with or without its ending). Raises NotFound."""
    number = re.fullmatch(r"#?(\d{1,9})", wanted)
    if number is not None:
        return get(session, actor, int(number[1]))
    rows = visible(session, actor, limit=1000)
    versioned = re.fullmatch(r"(.+?)[ @]?v(\d{1,6})", wanted)
    found = _named(rows, wanted) or (_named(rows, versioned[1], int(versioned[2])) if versioned else None)
    if found is not None:
        return found
    raise NotFound(f"There is no dataset called “{wanted[:60]}” here. /finetune data lists those of this channel.")


def _named(rows: Sequence[Dataset], name: str, version: int | None = None) -> Dataset | None:
    """The first of that name, spelt exactly if there is one; of any version if none is asked for."""
    for row in [row for row in rows if row.name == name] + list(rows):
        spellings = {row.name.lower(), row.name.rpartition(".")[0].lower()}
        if name.lower() in spellings and version in {None, row.version}:
            return row
    return None


def versions(session: Session, row: Dataset) -> list[Dataset]:
    """Every version of the dataset that is not deleted, the newest first."""
    same = select(Dataset).where(
        Dataset.team_id == row.team_id,
        Dataset.channel_id == row.channel_id,
        Dataset.name == row.name,
        col(Dataset.deleted_at).is_(None),
    )
    return list(session.exec(same.order_by(col(Dataset.version).desc())))


def next_version(session: Session, team_id: str, channel_id: str, name: str) -> int:
    """The version that a dataset of this name in this channel gets; deleted ones count."""
    same = select(Dataset.version).where(
        Dataset.team_id == team_id, Dataset.channel_id == channel_id, Dataset.name == name
    )
    return max(session.exec(same), default=0) + 1


def runs_of(session: Session, row: Dataset) -> list[Run]:
    """The runs that use the dataset in any role, the newest first."""
    using = or_(
        col(Run.dataset_id) == row.id,
        col(Run.validation_dataset_id) == row.id,
        col(Run.test_dataset_id) == row.id,
    )
    return list(session.exec(select(Run).where(using).order_by(col(Run.id).desc())))


def runs_seen(session: Session, actor: Actor, row: Dataset) -> tuple[list[Run], int]:
    """The runs that use it and that the actor may see, the newest first; and how many others there are."""
    runs = runs_of(session, row)
    seen = [run for run in runs if rights.allowed(session, actor, Verb.VIEW, run)]
    return seen, len(runs) - len(seen)


def status(row: Dataset) -> str:
    """What can be done with it, in two or three words."""
    if row.deleted_at is not None:
        return "deleted"
    if row.report.get("guessed"):
        return "needs its columns chosen"
    return "ready" if row.trainable else "has errors"


def held_out_beside(session: Session, row: Dataset) -> bool:
    """Whether a dataset came with it that is kept for testing."""
    beside = select(Dataset.id).where(
        Dataset.team_id == row.team_id,
        Dataset.channel_id == row.channel_id,
        Dataset.message_ts == row.message_ts,
        col(Dataset.id) != row.id,
        col(Dataset.role).in_([DatasetRole.TEST, DatasetRole.VALIDATION]),
        col(Dataset.trainable).is_(True),
        col(Dataset.deleted_at).is_(None),
    )
    return session.exec(beside.limit(1)).first() is not None


# changing


def share(session: Session, actor: Actor, dataset_id: int, *, shared: bool) -> Dataset:
    """Let the whole workspace use it, or its channel alone again. Raises NotFound, NotAllowed."""
    row = get(session, actor, dataset_id)
    _must(session, actor, row)
    if row.shared != shared:
        row.shared = shared
        session.add(row)
        audit(session, actor, "share" if shared else "unshare", row)
        dataset_cards.redraw(session, row)
    return row


def delete(session: Session, actor: Actor, dataset_id: int) -> Dataset:
    """Delete it: its files leave storage, its row stays for the runs that name it. Raises NotAllowed, UserError."""
    upload = _lock(session, dataset_id)
    row = get(session, actor, dataset_id)
    deletable(session, actor, row)
    row.deleted_at = time.time()
    row.deleted_by = actor.user_id
    row.trainable = False
    row.report = {key: value for key, value in row.report.items() if key not in {"samples", "table", "findings"}}
    session.add(row)
    _forget_words(session, row)
    if upload is not None and upload.status is UploadStatus.STORED:  # it is being checked anew: that is not waited for
        upload.status, upload.progress = UploadStatus.CHECKED, {}
        session.add(upload)
    audit(session, actor, "delete", row)
    remove_files(session, row)
    dataset_cards.redraw(session, row)
    return row


def remove_files(session: Session, row: Dataset, *, again: str = "") -> None:
    """Have a deleted dataset's files leave storage; `again`, with a word for why, where they may have come back."""
    key = f"delete_dataset:{row.id}:{again}" if again else ""
    tasks.add(session, "delete_dataset", row.id or 0, queue="cpu", team_id=row.team_id, key=key, due_in=GRACE_SECONDS)


def _lock(session: Session, dataset_id: int) -> Upload | None:
    """Lock the dataset, so that it is now as it stays; its upload first, which is returned, as a check does."""
    known = session.get(Dataset, dataset_id)
    upload = None
    if known is not None and known.upload_id:
        upload = session.get(Upload, known.upload_id, with_for_update=True, populate_existing=True)
    session.get(Dataset, dataset_id, with_for_update=True, populate_existing=True)
    return upload


def _forget_words(session: Session, row: Dataset) -> None:
    """What other rows keep of a deleted dataset's examples: how they were mended, and what differed in them."""
    for child in session.exec(select(Dataset).where(Dataset.parent_id == row.id)):
        if "diff" in child.changes:
            child.changes = {key: value for key, value in child.changes.items() if key != "diff"}
            session.add(child)
            if child.deleted_at is None:
                dataset_cards.redraw(session, child)
    row.changes = {key: value for key, value in row.changes.items() if key != "diff"}
    compared = select(Derivation).where(Derivation.team_id == row.team_id, Derivation.kind == DerivationKind.COMPARISON)
    for made in session.exec(compared):
        if row.id in {made.dataset_id, made.choice.get("other")} and "differences" in made.outcome:
            made.outcome = {key: value for key, value in made.outcome.items() if key != "differences"}
            session.add(made)


def deletable(session: Session, actor: Actor, row: Dataset) -> None:
    """Raise NotAllowed, or UserError while a run that is not over uses it."""
    _must(session, actor, row)
    busy = [run for run in runs_of(session, row) if run.status not in FINAL]
    if busy:
        seen = [f"{run.name} (run {run.id})" for run in busy if rights.allowed(session, actor, Verb.VIEW, run)]
        elsewhere = len(busy) - len(seen)
        others = f"{elsewhere} run{'' if elsewhere == 1 else 's'} elsewhere" if elsewhere else ""
        names = " and ".join(filter(None, (", ".join(seen[:5]), others)))
        raise UserError(f"{row.name} v{row.version} is in use by {names}. Wait for it to end, or cancel it first.")


def choose_columns(session: Session, actor: Actor, dataset_id: int, mapping: ColumnMapping) -> Upload:
    """Say which column of a table is what: it is checked again with that. Raises UserError."""
    upload = _lock(session, dataset_id)
    row = get(session, actor, dataset_id, verb=Verb.ATTACH)
    must_be_home(actor, row)
    if upload is None:
        raise UserError("Its columns cannot be chosen any more: it is a version made from another. Attach the table.")
    if runs_of(session, row):
        raise UserError("A run has used it as it is. Attach the table again to choose other columns for it.")
    upload.mapping = mapping.to_json()
    upload.status = UploadStatus.STORED
    upload.progress = {}
    upload.checks += 1
    session.add(upload)
    key = f"check_dataset:{upload.id}:{upload.checks}"
    tasks.add(session, "check_dataset", upload.id or 0, queue="cpu", team_id=upload.team_id, key=key)
    audit(session, actor, "choose_columns", row)
    dataset_cards.redraw(session, row)
    return upload


def audit(session: Session, actor: Actor, verb: str, row: Dataset, detail: Mapping[str, Any] | None = None) -> None:
    """Append to the audit log."""
    session.add(
        AuditEntry(
            team_id=actor.team_id,
            enterprise_id=actor.enterprise_id,
            channel_id=row.channel_id,
            creator_id=actor.user_id,
            verb=verb,
            object_kind="dataset",
            object_id=row.id,
            detail=dict(detail or {}),
        )
    )


def is_prose(dataset: Dataset) -> bool:
    """Whether it is a document that somebody wrote to be read; text in JSON lines or a table was made to be learnt."""
    return dataset.format == "text" and dataset.report.get("layout") == "text"
