"""Files as they arrive: recorded before Slack's event is acked, downloaded and checked as tasks.

Several files of one message belong together: their report is posted once all of them are judged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session, select

from workers import announcements, tasks
from workers.rights import Actor, Verb, require
from workers.tables import Task, Upload, UploadStatus
from workers.tasks import Lease

MOST_FILES = 10
"""Files of one message beyond these are refused (each in the report)."""


@dataclass(frozen=True)
class ReceivedFile:
    """A file of a message, as Slack's event names it. `size` in bytes."""

    slack_file_id: str
    name: str
    size: int = 0


def receive(session: Session, actor: Actor, *, message_ts: str, files: Sequence[ReceivedFile]) -> list[Upload]:
    """Record the files of one message and ask for their download. Asking again changes nothing."""
    require(session, actor, Verb.ATTACH)
    uploads = []
    for file in files[:MOST_FILES]:
        known = session.exec(
            select(Upload).where(
                Upload.team_id == actor.team_id,
                Upload.slack_file_id == file.slack_file_id,
                Upload.message_ts == message_ts,
            )
        ).one_or_none()
        if known is None:
            known = Upload(
                team_id=actor.team_id,
                enterprise_id=actor.enterprise_id,
                channel_id=actor.channel_id,
                creator_id=actor.user_id,
                slack_file_id=file.slack_file_id,
                message_ts=message_ts,
                name=file.name[:255],
                size=file.size,
            )
            session.add(known)
            session.flush()
            tasks.add(session, "download", known.id or 0, queue="slack", team_id=actor.team_id)
        uploads.append(known)
    return uploads


def stored(lease: Lease, upload_id: int, storage_key: str) -> None:
    """The bytes are in storage: ask for the check. Finishes the task."""
    with lease.finish() as session:
        upload = session.get_one(Upload, upload_id)
        upload.status = UploadStatus.STORED
        upload.storage_key = storage_key
        session.add(upload)
        tasks.add(session, "check_dataset", upload_id, queue="cpu", team_id=upload.team_id)


def refused(lease: Lease, upload_id: int, words: str) -> None:
    """The file cannot become a dataset: say why in its thread. Finishes the task."""
    with lease.finish() as session:
        refuse(session, session.get_one(Upload, upload_id), words)


def refuse(session: Session, upload: Upload, words: str) -> None:
    """Mark the upload as refused and announce its message if that was the last open one."""
    siblings(session, upload)  # locked together, so that two files of one message take turns
    upload.status = UploadStatus.REFUSED
    upload.problem = words
    session.add(upload)
    session.flush()
    announce_when_judged(session, upload)


def siblings(session: Session, upload: Upload) -> list[Upload]:
    """All uploads of the same message, in the order they were attached."""
    return list(
        session.exec(
            select(Upload)
            .where(
                Upload.team_id == upload.team_id,
                Upload.channel_id == upload.channel_id,
                Upload.message_ts == upload.message_ts,
            )
            .order_by(Upload.id)  # type: ignore[arg-type]
            .with_for_update()
        )
    )


def announce_when_judged(session: Session, upload: Upload) -> bool:
    """Post one report for the message once every file of it is checked or refused. True if it was."""
    if any(one.status in {UploadStatus.RECEIVED, UploadStatus.STORED} for one in siblings(session, upload)):
        return False
    announcements.post(
        session,
        owner=upload,
        slot=f"files:{upload.channel_id}:{upload.message_ts}",
        kind="dataset_report",
        data={"message_ts": upload.message_ts},
        thread_ts=upload.message_ts,
    )
    return True


def gave_up(session: Session, task: Task) -> None:
    """The download or the check broke too often: refuse the file, with the id of the log line."""
    refuse(
        session,
        session.get_one(Upload, task.subject_id),
        f"It could not be read because of a fault on our side (error id {task.error_id or 'none'}). Nothing was "
        "trained on it. Please attach it again; if that fails too, tell an admin the error id.",
    )
