"""What is done about a run's models at its vendor after the training: checkpoints listed, threads bound, deletion."""

import time

from sqlmodel import Session, select

from providers.errors import NotConfigured, NotFound, ProviderError
from workers import vendors
from workers.context import Context
from workers.errors import RetryLater
from workers.runs import checkpoints, model_deletion
from workers.tables import Announcement, AnnouncementStatus, ChatThread, Endpoint, Run, Task
from workers.tasks import Lease

RETRY_SECONDS = 30.0
PATIENCE_SECONDS = 24 * 3600.0
"""How long a vendor that does not answer is asked again."""
BIND_SECONDS = 1.0
"""How often it is looked whether the message is in Slack."""


def list_checkpoints(context: Context, lease: Lease) -> None:
    """Note the checkpoints of a training that has ended. A vendor that has none, or refuses, is left alone."""
    with context.db.read() as session:
        run = session.get_one(Run, lease.task.subject_id)
    found = None
    try:
        found = vendors.models(context, run.team_id, run.provider).checkpoints(run.provider_job_id)
    except ProviderError as error:
        if error.retryable and not _is_old(lease.task):
            raise RetryLater(error.user_message, error.retry_after or RETRY_SECONDS) from error
    with lease.finish() as session:
        if found is not None:
            checkpoints.keep(session, _locked(session, lease.task), found)


def bind_thread(context: Context, lease: Lease) -> None:
    """Let an endpoint answer in its message's thread, as soon as Slack shows the message."""
    with context.db.read() as session:
        endpoint = session.get_one(Endpoint, lease.task.subject_id)
        wanted = select(Announcement).where(
            Announcement.team_id == endpoint.team_id, Announcement.slot == checkpoints.slot_of(endpoint)
        )
        root = session.exec(wanted).one_or_none()
    lost = root is None or root.status is AnnouncementStatus.DEAD
    if root is not None and not root.ts and not lost:
        raise RetryLater("its message is not in Slack yet", BIND_SECONDS)
    with lease.finish() as session:
        if root is None or lost or _is_bound(session, root):
            return
        session.add(
            ChatThread(
                team_id=endpoint.team_id,
                enterprise_id=endpoint.enterprise_id,
                channel_id=root.channel_id,
                creator_id=endpoint.creator_id,
                thread_ts=root.ts,
                endpoint_id=endpoint.id or 0,
            )
        )


def _is_bound(session: Session, root: Announcement) -> bool:
    bound = select(ChatThread.id).where(
        ChatThread.team_id == root.team_id,
        ChatThread.channel_id == root.channel_id,
        ChatThread.thread_ts == root.ts,
    )
    return session.exec(bound).first() is not None


def delete_model(context: Context, lease: Lease) -> None:
    """Delete a run's models at the vendor. What is gone already is deleted already."""
    with context.db.read() as session:
        run = session.get_one(Run, lease.task.subject_id)
        names = model_deletion.models_of(session, run)
        hosted = model_deletion.hosted_of(session, run)
    if hosted and not _is_old(lease.task):
        raise RetryLater("its hosting has not ended yet", context.settings.poll_seconds)
    problem = ""
    try:
        keeper = vendors.models(context, run.team_id, run.provider)
        for name in filter(None, names):
            lease.check()
            try:
                keeper.delete_model(name)
            except NotFound:
                continue
    except ProviderError as error:
        if error.retryable and not _is_old(lease.task):
            raise RetryLater(error.user_message, error.retry_after or RETRY_SECONDS) from error
        problem = error.user_message
        if isinstance(error, NotConfigured):
            problem += " Delete it in the vendor's console, or add the credentials and try again."
    with lease.finish() as session:
        row = _locked(session, lease.task)
        if problem:
            model_deletion.not_deleted(session, row, problem)
        else:
            model_deletion.deleted(session, row)


def gave_up_deleting(session: Session, task: Task) -> None:
    """The task broke too often: the thread says so, with the id of the log line."""
    words = f"There was a fault on our side (error id {task.error_id or 'none'}). Try again, or delete it in the "
    model_deletion.not_deleted(session, _locked(session, task), f"{words}vendor's console.")


def _is_old(task: Task) -> bool:
    return time.time() - task.created_at > PATIENCE_SECONDS


def _locked(session: Session, task: Task) -> Run:
    row = session.get_one(Run, task.subject_id, with_for_update=True)
    session.add(row)
    return row
