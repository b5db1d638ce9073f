"""Following a local trainer: its news into the database, its checkpoints into storage, wishes to it.

A trainer never outlives the attempt that started it: however the following breaks, the trainer is ended before
the task is given back, so that no two of them ever work on one run.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

import structlog
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from providers.base import ProviderJob, ProviderJobStatus, TrainingProvider
from providers.errors import ProviderError
from workers.context import Context
from workers.errors import Interrupted, RetryLater
from workers.run_status import RunStatus
from workers.runs import lifecycle, progress
from workers.tables import Run, Task
from workers.tasks import Lease

log = structlog.get_logger()

LOOK_SECONDS = 0.5
"""How often the trainer's metrics are looked at."""
WRITE_SECONDS = 2.0
"""How often they are written into the database, where the wish to cancel is read."""
END_SECONDS = 60.0
"""How long a trainer that is to end is waited for; it ends at once unless the machine is stuck."""

ENDED = frozenset({ProviderJobStatus.SUCCEEDED, ProviderJobStatus.FAILED, ProviderJobStatus.CANCELLED})
LEFT = frozenset({ProviderJobStatus.PAUSED, ProviderJobStatus.INTERRUPTED})
"""It has ended, and another attempt goes on."""


class Wish(StrEnum):
    """What people want of a run that trains."""

    GO_ON = "go on"  # nothing
    PAUSE = "pause"  # a checkpoint, and the worker's place for somebody else
    END = "end"  # the end


@contextmanager
def never_left_alone(provider: TrainingProvider, job_id: str) -> Iterator[None]:
    """Whatever breaks the block, the trainer is gone before anybody hears of it."""
    try:
        yield
    except BaseException:
        _end_trainer(provider, job_id)
        raise


def _end_trainer(provider: TrainingProvider, job_id: str) -> None:
    asked, until = False, time.monotonic() + END_SECONDS
    while time.monotonic() < until:
        try:
            if not asked:
                provider.cancel(job_id)
                asked = True
            if provider.poll(job_id).status in ENDED | LEFT:
                return
        except ProviderError as error:
            log.warning("trainer_not_heard", job_id=job_id, error=type(error).__name__)
        time.sleep(LOOK_SECONDS)
    log.error("trainer_does_not_end", job_id=job_id)


def follow(context: Context, lease: Lease, provider: TrainingProvider, run: Run, job: ProviderJob) -> ProviderJob:
    """Watch the trainer to its end, and return that. Raises RetryLater, Interrupted: another attempt goes on.

    A trainer that was paused because somebody wanted that has ended too, and so has the lease.
    """
    cursor, wish, asked, tried = "", Wish.GO_ON, Wish.GO_ON, 0.0
    pending: list[ProviderJob] = []
    written = time.monotonic()
    while True:
        lease.check()
        job = provider.poll(job.id, cursor)
        cursor = job.cursor
        pending.append(job)
        if job.status in ENDED | LEFT:
            break
        if time.monotonic() - tried >= WRITE_SECONDS:
            tried = time.monotonic()
            try:
                wish = _write(lease, run, pending)
                pending.clear()
                written = tried
                keep_checkpoint(context, lease, run, job)
            except DBAPIError as error:
                _bear(lease, error, since=written)
        if wish is Wish.END and asked is not Wish.END:
            provider.cancel(job.id)
            asked = Wish.END
        elif asked is Wish.GO_ON and (wish is Wish.PAUSE or lease.stopping.is_set()):
            provider.pause(job.id)  # save what there is
            asked = Wish.PAUSE
        time.sleep(LOOK_SECONDS)
    patiently(lease, lambda: _write(lease, run, pending))
    if job.status in LEFT:
        _leave(context, lease, run, job)
    return job


def _leave(context: Context, lease: Lease, run: Run, job: ProviderJob) -> None:
    """Keep what another attempt goes on from, and hand over to it."""
    patiently(lease, lambda: keep_checkpoint(context, lease, run, job))
    if job.status is ProviderJobStatus.PAUSED:
        with lease.finish() as session:
            row = locked(session, run)
            if row.status is not RunStatus.TRAINING or not row.pause_requested:
                raise RetryLater("this worker is stopping", 0.0)
            lifecycle.transition(session, row, RunStatus.PAUSED, f"Paused at step {job.step}.")
        return
    with lease.write() as session:
        row = locked(session, run)
        row.progress = {**row.progress, "interruption": job.error}
    raise Interrupted(job.error or "the trainer was killed")


def _write(lease: Lease, run: Run, news: list[ProviderJob]) -> Wish:
    """Record the news, and hear what people want of the run."""
    with lease.write() as session:
        row = locked(session, run)
        for job in news:
            progress.record(session, row, job)
        if row.status is RunStatus.CANCELLING:
            return Wish.END
        return Wish.PAUSE if row.pause_requested else Wish.GO_ON


def keep_checkpoint(context: Context, lease: Lease, run: Run, job: ProviderJob) -> None:
    """Copy the newest complete checkpoint to storage, then name it in the database, then drop the old one."""
    if not job.checkpoints:
        return
    newest = job.checkpoints[-1]
    step = int(newest.name.rsplit("-", 1)[-1])
    if step <= run.checkpoint_step:
        return
    key = f"{checkpoints_key(run.id or 0)}/attempt-{run.submit_attempt}/checkpoint-{step}"
    context.storage.put_folder(key, newest)
    with lease.write() as session:
        row = locked(session, run)
        old, row.checkpoint_key, row.checkpoint_step = row.checkpoint_key, key, step
        session.get_one(Task, lease.task_id).crashes = 0  # it gets on: only crashes in a row count
    run.checkpoint_key, run.checkpoint_step = key, step
    if old and old != key:
        context.storage.delete(old)


def checkpoints_key(run_id: int) -> str:
    """Where the checkpoints of a run lie in storage, also those that were only half copied."""
    return f"runs/{run_id}"


def locked(session: Session, run: Run) -> Run:
    """The run's row in this transaction, to be changed."""
    row = session.get_one(Run, run.id, with_for_update=True)
    session.add(row)
    return row


def patiently(lease: Lease, act: Callable[[], object]) -> None:
    """Do it, again while the database is away; for as long as a lease lives without being renewed."""
    began = time.monotonic()
    while True:
        lease.check()
        try:
            act()
        except DBAPIError as error:
            _bear(lease, error, since=began)
        else:
            return
        time.sleep(LOOK_SECONDS)


def _bear(lease: Lease, error: DBAPIError, *, since: float) -> None:
    """A database that is away for a moment is waited for; raise its error once the lease may have run out."""
    if time.monotonic() - since >= lease.timing.lease_seconds:
        raise error
    log.warning("database_away", error=type(error).__name__)
