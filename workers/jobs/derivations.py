"""Making something out of a dataset: its next version with findings mended, a file in another format, a comparison."""

import gzip
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from sqlmodel import Session

from workers import announcements, dataset_cards, datasets, differences, tasks
from workers.context import Context
from workers.dataprep import convert as converting
from workers.dataprep import fixes
from workers.dataprep.analysis import lines_to_leave_out
from workers.dataprep.checks.catalogue import fixable
from workers.dataprep.formats import ColumnMapping, detect
from workers.dataprep.report import check_file
from workers.dataprep.source import Limits, UnreadableDataset, opened
from workers.errors import LeaseLost, UserError
from workers.jobs.dataset import described, figures
from workers.tables import Dataset, Derivation, DerivationStatus, Owned, Task
from workers.tasks import Lease

OURS = Limits(max_bytes=Limits.max_plain_bytes)
"""What lies in our storage was small enough when it was attached; unpacked and mended it may have grown."""
MOST_PLAIN_BYTES = 20_000_000
"""A larger converted file is gzipped."""
MOST_POSTED_BYTES = 100_000_000
"""A larger one is not posted: the notifier would be busy with it alone."""
KEPT_SECONDS = 24 * 3600.0
"""How long a converted file stays in our storage; Slack has it then."""
MOST_DIFFERENCES = 30
MOST_LOSSES, MOST_PLACES = 10, 5


class CannotMake(UserError):
    """It cannot be made out of this dataset."""


def fix(context: Context, lease: Lease) -> None:
    """Make the next version. The task of kind "fix_dataset"."""
    with _attempt(context, lease) as (made, dataset, folder):
        if made is None or dataset is None:
            return
        path, out = _file(context, dataset, folder / "before"), folder / "mended.jsonl"
        limits = OURS
        mapping = _mapping(dataset)
        with opened(path, limits) as source:
            detected = detect(source, mapping)
            wanted = set(made.choice["checks"])
            drop = lines_to_leave_out(source, detected, wanted - fixable(), limits)
            summary = fixes.apply(source, detected, wanted & fixable(), drop, out)
        if not summary.kept:
            raise CannotMake("Nothing would be left of it: every example would be removed.")
        report = check_file(out, name=dataset.name, limits=limits)  # a table is written in its method's own format
        changes: dict[str, Any] = {
            "kept": summary.kept,
            "dropped": summary.dropped,
            "changed": summary.changed,
            "by_check": dict(summary.by_check),
            "diff": [asdict(one) for one in summary.differences[:MOST_DIFFERENCES]],
        }
        size = out.stat().st_size
        with _stored(context, lease, f"datasets/mended-{made.id}", out) as key, lease.finish() as session:
            parent = _still_there(session, made, dataset)
            child = Dataset(
                team_id=parent.team_id,
                enterprise_id=parent.enterprise_id,
                channel_id=parent.channel_id,
                creator_id=made.creator_id,
                parent_id=parent.id,
                message_ts=parent.message_ts,
                thread_ts=parent.thread_ts,
                name=parent.name,
                version=datasets.next_version(session, parent.team_id, parent.channel_id, parent.name),
                role=parent.role,
                role_reason=parent.role_reason,
                shared=parent.shared,
                changes=changes,
                **figures(described(report, {}), key, size),
            )
            session.add(child)
            session.flush()
            _done(session, made, result_id=child.id)
            dataset_cards.redraw(session, child)


def convert(context: Context, lease: Lease) -> None:
    """Write the examples in another format. The task of kind "convert_dataset"."""
    with _attempt(context, lease) as (made, dataset, folder):
        if made is None or dataset is None:
            return
        target = str(made.choice["target"])
        out = folder / _file_name(dataset, target)
        path = _file(context, dataset, folder / "before")
        written = converting.convert_file(path, target, out, mapping=_mapping(dataset), limits=OURS)
        if not written.count:
            why = next(iter(written.losses or {}), "It has no example that this format can express.")
            raise CannotMake(f"{why} Choose another format.")
        if out.stat().st_size > MOST_PLAIN_BYTES:
            out = _gzipped(out)
        if out.stat().st_size > MOST_POSTED_BYTES:
            raise CannotMake(
                f"The file would have {out.stat().st_size / 1e6:,.0f} MB, too much for a message. On your machine: "
                f"finetune-bot convert {dataset.name} --to {target} -o {out.name}"
            )
        outcome = {
            "file_name": out.name,
            "count": written.count,
            "size": out.stat().st_size,
            "left_out": written.left_out,
            "losses": _losses(written),
        }
        with _stored(context, lease, f"conversions/{made.id}", out) as key, lease.finish() as session:
            row = _still_there(session, made, dataset)
            _done(session, made, outcome=outcome, storage_key=key)
            _tell_all(session, made, row)
            tasks.add(
                session, "forget_conversion", made.id or 0, queue="cpu", team_id=made.team_id, due_in=KEPT_SECONDS
            )


def forget(context: Context, lease: Lease) -> None:
    """A converted file leaves our storage. The task of kind "forget_conversion"."""
    with context.db.read() as session:
        made = session.get_one(Derivation, lease.task.subject_id)
    if made.storage_key:
        context.storage.delete(made.storage_key)
    with lease.finish():
        pass


def compare(context: Context, lease: Lease) -> None:
    """Tell what differs between two datasets. The task of kind "compare_datasets"."""
    with _attempt(context, lease) as (made, dataset, folder):
        if made is None or dataset is None:
            return
        with context.db.read() as session:
            other = session.get_one(Dataset, int(made.choice["other"]))
        paths = [_file(context, one, folder / name) for one, name in ((dataset, "before"), (other, "after"))]
        before, after = (
            partial(converting.read_examples, path, mapping=_mapping(one), limits=OURS)
            for path, one in zip(paths, (dataset, other), strict=True)
        )
        outcome = differences.between(before, after)
        with lease.finish() as session:
            for one in sorted((dataset, other), key=lambda one: one.id or 0):
                _still_there(session, made, one)
            _done(session, made, outcome=outcome)
            _tell(session, made, kind="comparison")


def refuse(session: Session, made: Derivation, words: str) -> None:
    """It cannot be made: tell the person who asked."""
    made.status, made.problem = DerivationStatus.REFUSED, words
    session.add(made)
    dataset = session.get_one(Dataset, made.dataset_id)
    title = {"fixes": "was not mended", "conversion": "was not converted", "comparison": "was not compared"}[made.kind]
    _tell(session, made, kind="problem", data={"title": f"{dataset.name} {title}", "text": words})


def gave_up(session: Session, task: Task) -> None:
    """Making it broke too often: say so, with the id of the log line."""
    words = f"It broke because of a fault on our side (error id {task.error_id or 'none'}). The dataset is as it was."
    refuse(session, session.get_one(Derivation, task.subject_id), words)


def _tell_all(session: Session, made: Derivation, row: Dataset) -> None:
    """The converted file, with what was lost: under the dataset's report, or in the other channel that asked for it."""
    words, file = (f"derivation:{made.id}:{kind}" for kind in ("conversion", "conversion_file"))
    owner, place = _place(made, row)
    announcements.post(session, owner=owner, slot=words, kind="conversion", subject_id=made.id, **place)
    place = place or {"thread_slot": words}
    announcements.post(session, owner=owner, slot=file, kind="conversion_file", subject_id=made.id, **place)


def _tell(session: Session, made: Derivation, *, kind: str, data: dict[str, Any] | None = None) -> None:
    """A message for the person who asked alone, where they asked."""
    owner, place = _place(made, session.get_one(Dataset, made.dataset_id))
    slot = f"derivation:{made.id}:{kind}"
    announcements.post(
        session, owner=owner, slot=slot, kind=kind, subject_id=made.id, data=data, only_for=made.creator_id, **place
    )


def _place(made: Derivation, row: Dataset) -> tuple[Owned, dict[str, Any]]:
    """Whose the answer is, with its channel, and its thread: the dataset's, or none in a channel of its own."""
    asked_in = str(made.choice.get("channel") or "")
    owner = Owned(
        team_id=made.team_id,
        enterprise_id=made.enterprise_id,
        channel_id=asked_in or row.channel_id,
        creator_id=made.creator_id,
    )
    return owner, {} if asked_in else dataset_cards.place(row)


def _done(
    session: Session,
    made: Derivation,
    *,
    result_id: int | None = None,
    outcome: dict[str, Any] | None = None,
    storage_key: str = "",
) -> None:
    row = session.get_one(Derivation, made.id)
    row.status = DerivationStatus.DONE
    row.result_id, row.outcome, row.storage_key = result_id, outcome or {}, storage_key
    session.add(row)


@contextmanager
def _attempt(context: Context, lease: Lease) -> Iterator[tuple[Derivation | None, Dataset | None, Path]]:
    """What is to be made, of what, and a folder to work in; nothing where it is made already.

    What cannot be made is refused at the end of the block.
    """
    with context.db.read() as session:
        made = session.get_one(Derivation, lease.task.subject_id)
        dataset = session.get_one(Dataset, made.dataset_id)
    with tempfile.TemporaryDirectory(prefix="finetune-bot-") as folder:
        if made.status is not DerivationStatus.ASKED:
            with lease.finish():
                pass
            yield None, None, Path(folder)
            return
        try:
            yield made, dataset, Path(folder)
        except (UnreadableDataset, UserError) as error:
            with lease.finish() as session:
                refuse(session, session.get_one(Derivation, made.id), error.user_message)


def _still_there(session: Session, made: Derivation, dataset: Dataset) -> Dataset:
    """The dataset as it is now, locked. Raises CannotMake for one that was deleted, or is not shared any more."""
    row = session.get_one(Dataset, dataset.id, with_for_update=True)
    if row.deleted_at is not None:
        raise CannotMake(f"{row.name} v{row.version} was deleted in the meantime.")
    if made.choice.get("channel") not in {None, "", row.channel_id} and not row.shared:
        raise CannotMake(f"{row.name} v{row.version} is not shared with the workspace any more.")
    return row


@contextmanager
def _stored(context: Context, lease: Lease, name: str, path: Path) -> Iterator[str]:
    """Store what this attempt has made under a key of its own; it leaves again where the attempt comes too late."""
    for attempt in range(1, lease.task.attempt):
        context.storage.delete(f"{name}-{attempt}")  # of one that was killed before it could say so
    key = f"{name}-{lease.task.attempt}"
    context.storage.put(key, path)
    try:
        yield key
    except (CannotMake, LeaseLost):
        context.storage.delete(key)
        raise


def _file(context: Context, dataset: Dataset, path: Path) -> Path:
    """The dataset's file on this machine. Raises CannotMake for one that was deleted."""
    if dataset.deleted_at is not None:
        raise CannotMake(f"{dataset.name} v{dataset.version} was deleted in the meantime.")
    context.storage.get(dataset.storage_key, path)
    return path


def _mapping(dataset: Dataset) -> ColumnMapping | None:
    return ColumnMapping.from_json(dataset.mapping) if dataset.mapping else None


def _losses(written: converting.Written) -> list[dict[str, Any]]:
    """What the format could not express, the most frequent first, with the first lines of each."""
    places: dict[str, list[int]] = {}
    for line, found in written.findings:
        listed = places.setdefault(found.words, [])
        if line is not None and len(listed) < MOST_PLACES:
            listed.append(line)
    counted = sorted((written.losses or {}).items(), key=lambda one: -one[1])
    return [
        {"words": words[:400], "count": count, "lines": places.get(words, [])} for words, count in counted[:MOST_LOSSES]
    ]


def _file_name(dataset: Dataset, target: str) -> str:
    stem = re.sub(r"[^\w.-]+", "-", dataset.name.rpartition(".")[0] or dataset.name).strip("-.") or "dataset"
    return f"{stem[:80]}-v{dataset.version}.{target}.{converting.TARGETS[target].layout}"


def _gzipped(path: Path) -> Path:
    packed = path.with_name(f"{path.name}.gz")
    with path.open("rb") as plain, gzip.open(packed, "wb", compresslevel=6) as out:
        shutil.copyfileobj(plain, out, 1 << 20)
    return packed
