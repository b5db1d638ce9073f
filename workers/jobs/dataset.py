"""Checking a stored file: it becomes a dataset with its report, or is refused with words."""

import tempfile
from pathlib import Path

from sqlmodel import Session, select

from workers import uploads
from workers.context import Context
from workers.dataprep import roles
from workers.dataprep.formats import UnreadableDataset
from workers.dataprep.report import DatasetReport, check_file
from workers.tables import Dataset, Upload, UploadStatus
from workers.tasks import Lease

MOST_SHOWN_CHARACTERS = 600
"""Of each rendered example in the report."""


def check(context: Context, lease: Lease) -> None:
    """Check one upload. The message's report is announced with the last of its files."""
    with context.db.read() as session:
        upload = session.get_one(Upload, lease.task.subject_id)
    if upload.status is not UploadStatus.STORED:
        with lease.finish():
            return
    with tempfile.TemporaryDirectory(prefix="finetune-bot-") as folder:
        path = Path(folder) / "upload"
        context.storage.get(upload.storage_key, path)
        try:
            report = check_file(path, name=upload.name, max_bytes=context.settings.max_upload_bytes)
        except UnreadableDataset as error:
            uploads.refused(lease, upload.id or 0, error.user_message)
            return
    with lease.finish() as session:
        uploads.siblings(session, upload)  # locked together, so that two checks of one message take turns
        row = session.get_one(Upload, upload.id)
        row.status = UploadStatus.CHECKED
        session.add(row)
        _keep(session, row, report)
        _guess_roles(session, row)
        uploads.announce_when_judged(session, row)


def _keep(session: Session, upload: Upload, report: DatasetReport) -> None:
    """Write the dataset; a file of the same name in the same channel is its next version."""
    same = select(Dataset).where(
        Dataset.team_id == upload.team_id, Dataset.channel_id == upload.channel_id, Dataset.name == upload.name
    )
    newest = max((row.version for row in session.exec(same)), default=0)
    session.add(
        Dataset(
            team_id=upload.team_id,
            enterprise_id=upload.enterprise_id,
            channel_id=upload.channel_id,
            creator_id=upload.creator_id,
            upload_id=upload.id,
            message_ts=upload.message_ts,
            name=upload.name,
            version=newest + 1,
            sha256=report.sha256,
            size=upload.size,
            storage_key=upload.storage_key,
            format=report.format,
            method=report.method,
            examples=report.examples,
            trainable=report.trainable,
            report={**report.to_json(), "samples": _samples(report)},
        )
    )
    session.flush()


def _samples(report: DatasetReport) -> list[list[dict[str, str]]]:
    """Three examples as they would be trained, cut for reading."""
    return [
        [
            {"role": message.role, "content": (message.content or "")[:MOST_SHOWN_CHARACTERS]}
            for message in example.messages[:6]
        ]
        for example in report.samples
    ]


def _guess_roles(session: Session, upload: Upload) -> None:
    """Guess anew what each trainable file of the message is for."""
    ids = [one.id for one in uploads.siblings(session, upload)]
    rows = [row for one in ids for row in session.exec(select(Dataset).where(Dataset.upload_id == one))]
    rows = [row for row in rows if row.trainable]
    if not rows:
        return
    guesses = roles.guess([(row.name, row.examples) for row in rows])
    for row, guessed in zip(rows, guesses, strict=True):
        row.role, row.role_reason = guessed.role, guessed.reason
        session.add(row)
