"""Checking a stored file: it becomes a dataset with its report, or is refused with words. And its files' leaving."""

import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import structlog
from sqlmodel import Session, col, select

from workers import datasets, previews, uploads
from workers.context import Context
from workers.dataprep import hub, json_values, roles
from workers.dataprep.formats import ColumnMapping, lines
from workers.dataprep.report import DatasetReport, Progress, check_file
from workers.dataprep.source import Limits, Source, UnreadableDataset, opened
from workers.run_status import FINAL
from workers.tables import Dataset, DatasetRole, Derivation, Upload, UploadStatus
from workers.tasks import Lease

log = structlog.get_logger()

LARGE_BYTES = 5_000_000
"""A larger file's card shows how far the check is."""
AGAIN_SECONDS = 300.0
"""How long the files of a deleted dataset wait where a run has begun with it in the last moment."""


def check(context: Context, lease: Lease) -> None:
    """Check one upload. The message's report is announced with the last of its files."""
    with context.db.read() as session:
        upload = session.get_one(Upload, lease.task.subject_id)
    if upload.status is not UploadStatus.STORED:
        with lease.finish():
            return
    limits = Limits(max_bytes=context.settings.max_upload_bytes)
    mapping = ColumnMapping.from_json(upload.mapping) if upload.mapping else None
    with tempfile.TemporaryDirectory(prefix="finetune-bot-") as folder:
        try:
            path = _material(context, upload, Path(folder), limits)
            watcher = _Watcher(context, lease, upload)
            report = check_file(path, name=upload.name, mapping=mapping, limits=limits, progress=watcher)
            table = _table(path, limits) if report.guessed or report.format == "table" else {}
        except UnreadableDataset as error:
            with lease.finish() as session:
                row = _still_wanted(session, upload)
                if row is not None:
                    uploads.refuse(session, row, error.user_message)
            return
        except FileNotFoundError:
            with context.db.read() as session:
                if _deleted(session, upload) is None:
                    raise
            with lease.finish():
                return
    with lease.finish() as session:
        row = _still_wanted(session, upload)
        if row is not None:
            _checked(session, row, upload, described(report, table))


def _checked(session: Session, row: Upload, upload: Upload, report: dict[str, Any]) -> None:
    """Keep what was found."""
    row.status = UploadStatus.CHECKED
    row.progress = {}
    row.storage_key, row.size = upload.storage_key, upload.size  # of a named dataset, known only now
    session.add(row)
    _keep(session, row, report)
    _guess_roles(session, row)
    uploads.announce_when_judged(session, row)


def _still_wanted(session: Session, upload: Upload) -> Upload | None:
    """The upload as it is now, locked with its siblings, so that the checks of one message take turns.

    None where somebody has chosen other columns since (another check has that to do), or deleted the dataset.
    """
    uploads.siblings(session, upload)
    row = session.get_one(Upload, upload.id, populate_existing=True)
    deleted = _deleted(session, upload)
    if deleted is not None:
        datasets.remove_files(session, deleted, again=f"check {upload.checks}")  # it may have been fetched anew
        return None
    return row if row.checks == upload.checks else None


def _deleted(session: Session, upload: Upload) -> Dataset | None:
    """The dataset that the upload had become, if that is deleted. (Whoever deletes it locks the upload first.)"""
    deleted = select(Dataset).where(Dataset.upload_id == upload.id, col(Dataset.deleted_at).is_not(None))
    return session.exec(deleted).one_or_none()


class _Watcher:
    """Tells how far the check of a large file is, now and then."""

    def __init__(self, context: Context, lease: Lease, upload: Upload) -> None:
        self._lease = lease
        self._upload_id = upload.id or 0
        self._every = context.settings.card_seconds
        self._next = 0.0

    def __call__(self, progress: Progress) -> None:
        """Raises LeaseLost where another worker has the check."""
        self._lease.check()
        if progress.bytes_total < LARGE_BYTES or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + self._every
        known = {
            "bytes_done": progress.bytes_done,
            "bytes_total": progress.bytes_total,
            "examples": progress.examples,
        }
        uploads.progressed(self._lease, self._upload_id, known)


def _material(context: Context, upload: Upload, folder: Path, limits: Limits) -> Path:
    """The upload's file on this machine. A named dataset is fetched once, and stored like any other.

    Raises UnreadableDataset.
    """
    path = folder / "upload"
    if upload.source:
        upload.storage_key = f"uploads/{upload.id}"
        if not context.storage.exists(upload.storage_key):  # else an earlier attempt has fetched it
            there = hub.fetched(upload.source, folder, root=context.settings.hub_folder, limits=limits)
            with opened(there, limits, folder=folder) as source:
                context.storage.put(upload.storage_key, source.path)
    context.storage.get(upload.storage_key, path)
    upload.size = path.stat().st_size
    return path


def described(report: DatasetReport, table: dict[str, Any]) -> dict[str, Any]:
    """The report as it is kept: with three examples for reading, and a table's first records."""
    kept = {**report.to_json(), "samples": [previews.of(one) for one in report.samples]}
    return kept | ({"table": table} if table else {})


def _table(path: Path, limits: Limits) -> dict[str, Any]:
    with opened(path, limits) as source:
        records = list(islice(_records(source), previews.MOST_ROWS))
        columns = list(source.columns) or list(dict.fromkeys(key for one in records for key in one))
        return previews.table(columns, records)


def _records(source: Source) -> Iterator[dict[str, Any]]:
    for _, line in islice(lines(source), 1000):
        value = json_values.strict(line).value if line and line.strip() else None
        if isinstance(value, dict):
            yield value


def _keep(session: Session, upload: Upload, report: dict[str, Any]) -> None:
    """Write the dataset; a file of the same name in the same channel is its next version.

    A table whose columns were chosen anew keeps its row: nothing was trained on it yet.
    """
    row = session.exec(select(Dataset).where(Dataset.upload_id == upload.id)).one_or_none()
    if row is None:
        row = Dataset(
            team_id=upload.team_id,
            enterprise_id=upload.enterprise_id,
            channel_id=upload.channel_id,
            creator_id=upload.creator_id,
            upload_id=upload.id,
            message_ts=upload.message_ts,
            thread_ts=upload.thread_ts,
            name=upload.name,
            version=datasets.next_version(session, upload.team_id, upload.channel_id, upload.name),
            **figures(report, upload.storage_key, upload.size),
        )
    else:
        for name, value in figures(report, upload.storage_key, upload.size).items():
            setattr(row, name, value)
    session.add(row)
    session.flush()


def figures(report: dict[str, Any], storage_key: str, size: int) -> dict[str, Any]:
    """The columns of a dataset that follow from its file."""
    return {
        "sha256": report["sha256"],
        "size": size,
        "storage_key": storage_key,
        "format": report["format"],
        "method": report["method"],
        "examples": report["examples"],
        "trainable": bool(report["trainable"]) and not report.get("guessed"),
        "mapping": report.get("mapping") or {},
        "report": report,
    }


def _guess_roles(session: Session, upload: Upload) -> None:
    """Guess anew what each file of the message is for; what somebody said is not guessed.

    A file with errors takes part only where its name says what it is for: it may be mended, or never be.
    """
    found = []
    for one in uploads.siblings(session, upload):
        row = session.exec(select(Dataset).where(Dataset.upload_id == one.id)).one_or_none()
        if row is None:
            continue
        if one.meant_for:
            row.role, row.role_reason = DatasetRole(one.meant_for), "attached for that"
            session.add(row)
        else:
            found.append(row)
    found = [row for row in found if not datasets.is_prose(row)] or found  # a document beside data is no test of it
    guesses = roles.guess([(row.name, row.examples) for row in found]) if found else []
    pairs = list(zip(found, guesses, strict=True))
    if not any(guess.reason.startswith("named") for row, guess in pairs if not row.trainable):
        ready = [row for row in found if row.trainable]
        pairs = list(zip(ready, roles.guess([(row.name, row.examples) for row in ready]) if ready else [], strict=True))
    for row, guess in pairs:
        row.role, row.role_reason = guess.role, guess.reason
        session.add(row)


def delete(context: Context, lease: Lease) -> None:
    """The files of a deleted dataset leave storage, once no run needs them. The task of kind "delete_dataset"."""
    with context.db.read() as session:
        row = session.get_one(Dataset, lease.task.subject_id)
        busy = any(run.status not in FINAL for run in datasets.runs_of(session, row))
        made = session.exec(
            select(Derivation.storage_key).where(Derivation.dataset_id == row.id, col(Derivation.storage_key) != "")
        ).all()
    if busy:
        lease.retry_later("a run that began in the last moment uses it", AGAIN_SECONDS)
        return
    for key in {row.storage_key, *made} - {""}:
        context.storage.delete(key)
    log.info("dataset_files_deleted", dataset_id=row.id)
    with lease.finish():
        pass
