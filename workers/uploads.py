"""Files as they arrive: recorded before Slack's event is acked, downloaded and checked as tasks.

Several files of one message belong together: their report is posted once all of them are judged. Datasets that are
named (`hf:owner/name@revision`) and threads come in here too, without a file of Slack's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, select

from workers import announcements, dataset_cards, datasets, tasks
from workers.dataprep import hub
from workers.errors import UserError
from workers.plans import job_yaml
from workers.rights import Actor, Verb, require
from workers.tables import Dataset, DatasetRole, Owned, Task, Upload, UploadStatus
from workers.tasks import Lease

MOST_FILES = 10
"""Files of one message beyond these are refused (each in the report)."""
TOO_MANY = f"Only the first {MOST_FILES} files of a message are read. Attach it to another message."


JOB_FILES = (".yml", ".yaml")
JOB_FILE = "job-file:"
"""Before the `message_ts` of a job file: it is no part of the report on the datasets of its message."""


def is_job_file(name: str) -> bool:
    """Whether a file of this name is read as a plan, not as a dataset."""
    return name.lower().endswith(JOB_FILES)


@dataclass(frozen=True)
class ReceivedFile:
    """A file of a message, as Slack's event names it. `size` in bytes."""

    slack_file_id: str
    name: str
    size: int = 0
    addressed: bool = True  # whether it was handed to the bot, not just shared in a channel


def receive(
    session: Session,
    actor: Actor,
    *,
    message_ts: str,
    files: Sequence[ReceivedFile],
    thread_ts: str = "",
) -> list[Upload]:
    """Record the files of one message and ask for their download. Asking again changes nothing.

    Their report goes into the thread `thread_ts`: the message's own where it does not stand in one already.
    """
    return _receive(session, actor, message_ts, files, thread_ts or message_ts)


def attach_test(session: Session, actor: Actor, dataset_id: int, files: Sequence[ReceivedFile]) -> list[Upload]:
    """Record a file to test on as if it had come with the dataset. Raises NotFound, NotAllowed."""
    row = datasets.get(session, actor, dataset_id, verb=Verb.ATTACH)
    datasets.must_be_home(actor, row)
    return _receive(session, actor, row.message_ts, files, row.thread_ts, DatasetRole.TEST)


def _receive(
    session: Session,
    actor: Actor,
    message_ts: str,
    files: Sequence[ReceivedFile],
    thread_ts: str,
    meant_for: DatasetRole | None = None,
) -> list[Upload]:
    """`thread_ts` is empty where the report stands in the channel itself."""
    require(session, actor, Verb.ATTACH)
    uploads = []
    for place, file in enumerate(files):
        belongs = f"{JOB_FILE}{message_ts}" if is_job_file(file.name) else message_ts
        known = session.exec(
            select(Upload).where(
                Upload.team_id == actor.team_id,
                Upload.slack_file_id == file.slack_file_id,
                Upload.message_ts == belongs,
            )
        ).one_or_none()
        if known is None:
            known = Upload(
                team_id=actor.team_id,
                enterprise_id=actor.enterprise_id,
                channel_id=actor.channel_id,
                creator_id=actor.user_id,
                slack_file_id=file.slack_file_id,
                message_ts=belongs,
                thread_ts=thread_ts,
                name=file.name[:255],
                size=file.size,
                meant_for=str(meant_for or ""),
                addressed=file.addressed,
            )
            if place >= MOST_FILES:
                known.status, known.problem = UploadStatus.REFUSED, TOO_MANY
            too_large = is_job_file(file.name) and file.size > job_yaml.MOST_BYTES
            if too_large and not file.addressed:
                known.status, known.problem = UploadStatus.REFUSED, job_yaml.too_large(file.size)
            session.add(known)
            session.flush()
            if too_large and known.status is UploadStatus.RECEIVED:
                refuse(session, known, job_yaml.too_large(file.size))
            if known.status is UploadStatus.RECEIVED:
                tasks.add(session, "download", known.id or 0, queue="slack", team_id=actor.team_id)
        uploads.append(known)
    return uploads


def add_named(session: Session, actor: Actor, source: str, key: str, owners: Sequence[str]) -> Upload:
    """Record a dataset that is named (`hf:owner/name@revision`) and ask for its check. Raises UserError.

    Only datasets of these owners may be read; "*" stands for all.
    """
    require(session, actor, Verb.ATTACH)
    named = hub.parse(source)
    if named.owner not in owners and "*" not in owners:
        allowed = ", ".join(owners) or "nobody's so far"
        raise UserError(
            f"This installation may not read datasets of “{named.owner}” by name (allowed: {allowed}). An admin can "
            "add it to FINETUNE_BOT_HUB_ORGANISATIONS; or attach the file itself to a message."
        )
    known = session.exec(
        select(Upload).where(Upload.team_id == actor.team_id, Upload.slack_file_id == f"hf:{key}")
    ).one_or_none()
    if known is not None:
        return known
    split = f" ({named.split})" if named.split else ""
    upload = Upload(
        team_id=actor.team_id,
        enterprise_id=actor.enterprise_id,
        channel_id=actor.channel_id,
        creator_id=actor.user_id,
        slack_file_id=f"hf:{key}",
        message_ts=f"hf:{key}",
        name=f"{named.owner}/{named.name}@{named.revision[:12]}{split}",
        source=str(named),
        status=UploadStatus.STORED,
    )
    session.add(upload)
    session.flush()
    show(session, upload)
    tasks.add(session, "check_dataset", upload.id or 0, queue="cpu", team_id=actor.team_id)
    return upload


def add_made(session: Session, owner: Owned, *, name: str, key: str, thread_ts: str, made: str, size: int) -> Upload:
    """Record a file that we have made ourselves and stored under `key`, and ask for its check."""
    upload = Upload(
        team_id=owner.team_id,
        enterprise_id=owner.enterprise_id,
        channel_id=owner.channel_id,
        creator_id=owner.creator_id,
        slack_file_id=made,
        message_ts=made,
        thread_ts=thread_ts,
        name=name[:255],
        size=size,
        storage_key=key,
        status=UploadStatus.STORED,
    )
    session.add(upload)
    session.flush()
    tasks.add(session, "check_dataset", upload.id or 0, queue="cpu", team_id=owner.team_id)
    return upload


def progressed(lease: Lease, upload_id: int, progress: Mapping[str, Any]) -> None:
    """Show how far the check of a large file is. Raises LeaseLost."""
    with lease.write() as session:
        upload = session.get_one(Upload, upload_id)
        upload.progress = dict(progress)
        session.add(upload)
        show(session, upload, urgent=False)


def stored(lease: Lease, upload_id: int, storage_key: str) -> None:
    """The bytes are in storage: ask for the check. Finishes the task."""
    with lease.finish() as session:
        upload = session.get_one(Upload, upload_id)
        upload.status = UploadStatus.STORED
        upload.storage_key = storage_key
        session.add(upload)
        kind = "read_job_file" if is_job_file(upload.name) else "check_dataset"
        tasks.add(session, kind, upload_id, queue="cpu", team_id=upload.team_id)


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
    """Post one report for the message once every file of it is checked or refused, and the pictures. True if so."""
    files = siblings(session, upload)
    if any(one.status in {UploadStatus.RECEIVED, UploadStatus.STORED} for one in files):
        return False
    show(session, upload)
    for one in files:
        dataset = session.exec(select(Dataset).where(Dataset.upload_id == one.id)).one_or_none()
        if dataset is not None and dataset.deleted_at is None:
            dataset_cards.show_lengths(session, dataset, one.checks)
    return True


def show(session: Session, upload: Upload, *, urgent: bool = True) -> None:
    """Want the report on the files of the upload's message to show what is known now."""
    announcements.post(
        session,
        owner=upload,
        slot=dataset_cards.files_slot(upload.channel_id, upload.message_ts),
        kind="dataset_report",
        data={"message_ts": upload.message_ts},
        thread_ts=upload.thread_ts,
        urgent=urgent,
    )


def gave_up(session: Session, task: Task) -> None:
    """The download or the check broke too often: refuse the file, with the id of the log line."""
    refuse(
        session,
        session.get_one(Upload, task.subject_id),
        f"It could not be read because of a fault on our side (error id {task.error_id or 'none'}). Nothing was "
        "trained on it. Please attach it again; if that fails too, tell an admin the error id.",
    )
