"""Provider jobs of runs that are over: created all the same, by a call that was under way when the run ended.

Nobody waits for them, and they cost: each is cancelled at its vendor, again and again until the vendor says that it has
ended, and the run's thread is told.
"""

import time
from contextlib import suppress

from sqlmodel import Session

from providers.base import ProviderJob, ProviderJobStatus, TrainingProvider
from providers.errors import InvalidRequest, ProviderError
from providers.prices import vendor
from workers import tasks, vendors
from workers.context import Context
from workers.errors import RetryLater
from workers.jobs.following import locked
from workers.runs import lifecycle, news, progress
from workers.tables import Run, Task
from workers.tasks import Lease

PATIENCE_SECONDS = 24 * 3600.0
"""After this a person must see to it."""
ENDED = frozenset({ProviderJobStatus.SUCCEEDED, ProviderJobStatus.FAILED, ProviderJobStatus.CANCELLED})


def ask_to_end(session: Session, run: Run) -> None:
    """Have the run's provider job ended at the vendor, and tell its thread. Asking again is asking once."""
    name = vendor(run.provider).text
    text = f"{name} has created this training after the run had ended here. It is being cancelled there."
    lifecycle.note(session, run, "stray", text)
    tasks.add(session, "end_stray", run.id or 0, queue="cloud", team_id=run.team_id)


def end(context: Context, lease: Lease) -> None:
    """Cancel it; RetryLater until the vendor says that it has ended."""
    with context.db.read() as session:
        run = session.get_one(Run, lease.task.subject_id)
    name, model = vendor(run.provider).text, ""
    try:
        job = _cancelled(vendors.training(context, run.team_id, run.provider), run.provider_job_id)
    except ProviderError as error:
        waited = time.time() - lease.task.created_at
        if waited < PATIENCE_SECONDS:
            raise RetryLater(
                error.user_message,
                max(context.settings.poll_seconds, news.seconds_until_asked_again(error, waited)),
            ) from None
        text = f"It could not be cancelled at {name}, and may be billed: look at its console. {error.user_message}"
    else:
        if job.status not in ENDED:
            raise RetryLater("it has not ended yet", context.settings.poll_seconds)
        model = progress.words(job.tuned_model or "", progress.LONGEST_NAME)
        text = f"It has ended at {name}."
        if model:
            text = f"It had been trained at {name} before it could be cancelled. The model is there: {model}"
    with lease.finish() as session:
        row = locked(session, run)
        row.tuned_model = model
        lifecycle.note(session, row, "stray-ended", text)


def gave_up(session: Session, task: Task) -> None:
    """There is a fault on our side: somebody must look."""
    run = session.get_one(Run, task.subject_id, with_for_update=True)
    name = vendor(run.provider).text
    text = (
        f"It could not be cancelled at {name} because of a fault on our side (error id {task.error_id or 'none'}), and "
        f"may be billed: look at {name}'s console."
    )
    lifecycle.note(session, run, "stray-ended", text)


def _cancelled(provider: TrainingProvider, job_id: str) -> ProviderJob:
    """The job after it was asked to end. Raises ProviderError."""
    with suppress(InvalidRequest):  # it may have ended already
        provider.cancel(job_id)
    return provider.poll(job_id)
