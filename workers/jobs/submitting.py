"""Having a run's provider job created at a vendor: once, whatever happens in between.

    look      has the vendor a job of this run's key already?
    files     written into a folder of this attempt's own, and uploaded
    mark      right before the create call the run says that one may be out; a run that was cancelled meanwhile, or an
              attempt whose lease is lost, stops here
    create    sent once
    keep      the job's id, in a transaction of its own, before anything else is made of the answer
    hand over the run is watched from now on (`workers.jobs.watching`)

An attempt that is killed before the mark is simply made again, and what it had uploaded is found there. After the mark,
killed or without an answer, the job is only looked up, and never created again. An attempt holds its worker's thread
for as long as the upload takes, and no longer.
"""

import hashlib
import shutil
import time
from dataclasses import replace
from functools import partial

import structlog
from sqlmodel import Session, select

from providers.base import ProviderJob
from providers.errors import NotAllowed, NotConfigured, ProviderError, SubmitUnknown, Withdrawn
from workers import vendors
from workers.context import Context
from workers.db import epoch_now
from workers.errors import RetryLater, UserError
from workers.jobs import strays
from workers.jobs.following import locked
from workers.jobs.training import remove_folders, request_of
from workers.run_status import FINAL, RunStatus
from workers.runs import lifecycle, news, progress
from workers.runs.watching import SUBMITTED
from workers.tables import Run, Task
from workers.tasks import Lease

log = structlog.get_logger()

LOOKUPS = (3, 6, 12)
"""When to look for a provider job whose create call was never answered, in intervals of polling."""
NEVER_CONFIRMED = (
    "The provider never confirmed that it started this training. Look at its console before you start again: if the "
    "training is there, it is being billed."
)
BROKE = "It broke several times in a row because of a fault on our side."
OPEN = frozenset({RunStatus.PREPARING, RunStatus.SUBMITTING, RunStatus.SUBMIT_UNKNOWN, RunStatus.CANCELLING})
"""The states in which there may be a provider job to create, or to look up."""


def submit(context: Context, lease: Lease) -> None:
    """Create the run's provider job, or find it, and hand the run over to the watchers."""
    remove_folders(context)
    run = _begin(context, lease)
    if run is None:
        return
    sent_before = run.provider_job_id == SUBMITTED or run.status is RunStatus.SUBMIT_UNKNOWN
    folder = context.settings.runs_folder / str(run.id) / f"submit-{lease.task.attempt}"
    try:
        provider = vendors.training(context, run.team_id, run.provider)
        key = _key(run)
        job = provider.find(key)
        if job is None and not sent_before:
            request = replace(request_of(context, run, folder), key=key)
            job = provider.submit(request, partial(_mark, lease, run))
    except SubmitUnknown:
        job = None
    except Withdrawn:
        _withdrawn(lease, run)
        return
    except ProviderError as error:
        _not_now(context, lease, run, error, doubtful=sent_before)
        return
    except UserError as error:
        _failed(lease, run, error.user_message)
        return
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if job is None:
        _unknown(context, lease, run)
        return
    _keep(context, run, job)
    with lease.finish() as session:
        row = locked(session, run)
        if _hand_over(session, row, context.settings.poll_seconds):
            progress.record(session, row, job)


def gave_up(session: Session, task: Task) -> None:
    """The task broke too often. A provider job that is known is watched; otherwise the run fails."""
    run = session.get_one(Run, task.subject_id, with_for_update=True, populate_existing=True)
    if run.provider_job_id not in {"", SUBMITTED}:
        _hand_over(session, run, 0.0)
    elif run.status is RunStatus.QUEUED or run.status in OPEN:
        if run.provider_job_id == SUBMITTED:
            lifecycle.fail(session, run, f"{BROKE} {NEVER_CONFIRMED}", task.error_id)
        elif run.status is RunStatus.CANCELLING:
            lifecycle.transition(session, run, RunStatus.CANCELLED, "Cancelled.")
        else:
            lifecycle.fail(session, run, f"{BROKE} Your dataset is safe: start it again.", task.error_id)


def _begin(context: Context, lease: Lease) -> Run | None:
    """Open an attempt. None: there is nothing to do (cancelled meanwhile, or done by an earlier attempt)."""
    with lease.write() as session:
        run = session.get_one(Run, lease.task.subject_id, with_for_update=True)
        session.add(run)
        known = run.provider_job_id not in {"", SUBMITTED}
        if known:
            _hand_over(session, run, context.settings.poll_seconds)
        elif run.status is RunStatus.CANCELLING and not run.provider_job_id:
            lifecycle.transition(session, run, RunStatus.CANCELLED, "Cancelled before it was sent to the provider.")
        elif run.status is RunStatus.QUEUED:
            lifecycle.transition(session, run, RunStatus.PREPARING)
        nothing_to_do = known or run.status not in OPEN
    if nothing_to_do:
        with lease.finish():
            return None
    return run


def _mark(lease: Lease, run: Run) -> None:
    """From here on a create call may be out. Raises Withdrawn, LeaseLost: it is not to be sent."""
    with lease.write() as session:
        row = locked(session, run)
        if row.status not in {RunStatus.PREPARING, RunStatus.SUBMITTING}:
            raise Withdrawn("The run was cancelled before it was sent to the provider.")
        row.provider_job_id = SUBMITTED
        if row.status is RunStatus.PREPARING:
            lifecycle.transition(session, row, RunStatus.SUBMITTING)


def _keep(context: Context, run: Run, job: ProviderJob) -> None:
    """Note the provider job's id, also where the task is not ours any more: the job is there all the same.

    What is over here must not go on there: then it is ended at the vendor.
    """
    with context.db.write() as session:
        row = locked(session, run)
        if row.provider_job_id in {"", SUBMITTED}:
            row.provider_job_id = job.id
        if row.provider_job_id == job.id and row.status in FINAL:
            log.warning("provider_job_of_a_run_that_is_over", run_id=run.id, job_id=job.id, status=row.status)
            strays.ask_to_end(session, row)


def _hand_over(session: Session, run: Run, seconds: float) -> bool:
    """Have the run watched, if it is here that it waits for its provider job. It is looked at after `seconds`."""
    if run.status not in OPEN:
        return False
    run.next_poll_at = session.scalar(select(epoch_now() + seconds))
    run.progress = {name: value for name, value in run.progress.items() if name != "trouble"}
    session.add(run)
    if run.status is RunStatus.PREPARING:
        lifecycle.transition(session, run, RunStatus.SUBMITTING)
    if run.status is not RunStatus.CANCELLING:
        lifecycle.transition(session, run, RunStatus.TRAINING)
    return True


def _withdrawn(lease: Lease, run: Run) -> None:
    with lease.finish() as session:
        row = locked(session, run)
        if row.status is RunStatus.CANCELLING:
            lifecycle.transition(session, row, RunStatus.CANCELLED, "Cancelled before it was sent to the provider.")


def _not_now(context: Context, lease: Lease, run: Run, error: ProviderError, *, doubtful: bool) -> None:
    """There is no provider job yet, or it could not be looked up: fail the run, or raise RetryLater if it may pass.

    Where it is `doubtful` whether an earlier create call arrived, the run is not failed for refused credentials: the
    training may be there.
    """
    with lease.write() as session:
        row = locked(session, run)
        if not doubtful:  # whatever was sent was refused: it may be sent again
            row.provider_job_id = ""
        cancelled = row.status is RunStatus.CANCELLING and not doubtful
        waited = time.time() - float((row.progress.get("trouble") or {}).get("since") or time.time())
        waits = error.retryable or (doubtful and isinstance(error, NotAllowed | NotConfigured))
        waits = waits and waited < news.PATIENCE_SECONDS and not cancelled
        seconds = max(context.settings.poll_seconds, news.seconds_until_asked_again(error, waited))
        if waits:
            news.note_trouble(row, error, seconds)
            lifecycle.redraw(session, row, urgent=False)
    if waits:
        raise RetryLater(error.user_message, seconds)
    if cancelled:
        _withdrawn(lease, run)
        return
    _failed(lease, run, f"{error.user_message} {NEVER_CONFIRMED}" if doubtful else error.user_message)


def _unknown(context: Context, lease: Lease, run: Run) -> None:
    """The create call was never answered: look again later; after the last look, a person must."""
    looked = int(run.progress.get("lookups") or 0)
    if looked >= len(LOOKUPS):
        _failed(lease, run, NEVER_CONFIRMED)
        return
    with lease.write() as session:
        row = locked(session, run)
        row.provider_job_id = row.provider_job_id or SUBMITTED
        row.progress = {**row.progress, "lookups": looked + 1}
        if row.status is RunStatus.PREPARING:
            lifecycle.transition(session, row, RunStatus.SUBMITTING)
        if row.status is RunStatus.SUBMITTING:
            lifecycle.transition(session, row, RunStatus.SUBMIT_UNKNOWN)
    raise RetryLater("the create call was never answered", LOOKUPS[looked] * context.settings.poll_seconds)


def _failed(lease: Lease, run: Run, words: str) -> None:
    with lease.finish() as session:
        row = locked(session, run)
        if row.status not in FINAL:
            lifecycle.fail(session, row, words)


def _key(run: Run) -> str:
    """By what the provider job is found again: this run of this installation, and no other's on the same account."""
    own = hashlib.sha256(f"{run.team_id}:{run.request_key}:{run.created_at!r}".encode()).hexdigest()
    return f"run-{run.id}-{own[:12]}"
