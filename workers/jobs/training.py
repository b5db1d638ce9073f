"""Carrying out a run's training: at this machine's own trainer, or at a vendor that is asked to train.

`train` runs on the gpu queue and holds its worker until the trainer has ended; `submit` runs on the cloud queue and
holds nothing: `workers.jobs.watching` sees to the rest. Each may be killed between any two lines and be carried out
again.
"""

import hashlib
import shutil
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import or_
from sqlmodel import Session, col, select

from providers.base import Hyperparameter, ProviderJob, ProviderJobStatus, TrainingRequest
from providers.errors import NotAllowed, NotConfigured, ProviderError, SubmitUnknown
from workers import vendors
from workers.context import Context
from workers.db import epoch_now
from workers.errors import RetryLater, UserError
from workers.jobs.following import (
    checkpoints_key,
    follow,
    keep_checkpoint,
    locked,
    never_left_alone,
    patiently,
)
from workers.run_status import FINAL, RunStatus
from workers.runs import lifecycle, material, news, progress
from workers.runs.plan import Choices
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
IN_OTHER_HANDS = FINAL | {RunStatus.DEPLOYING, RunStatus.EVALUATING, RunStatus.PAUSED}
"""The states in which there is nothing to begin."""


def train(context: Context, lease: Lease) -> None:
    """Train a run on this machine, going on from its newest checkpoint if there is one."""
    _tidy(context)
    _salvage(context, lease)
    run = _begin(lease)
    if run is None:
        return
    provider = vendors.training(context, run.team_id, run.provider)
    folder = context.settings.runs_folder / str(run.id) / f"attempt-{run.submit_attempt}"
    try:
        request = _request(context, run, folder)
        _advance(lease, run, RunStatus.SUBMITTING)
        job = provider.submit(request)
        with never_left_alone(provider, job.id):
            _advance(lease, run, RunStatus.TRAINING, provider_job_id=job.id)
            job = follow(context, lease, provider, run, job)
    except (ProviderError, UserError) as error:
        _failed(lease, run, error.user_message)
    else:
        if job.status is not ProviderJobStatus.PAUSED:
            _end(context, lease, run, job)
    _tidy(context)


def submit(context: Context, lease: Lease) -> None:
    """Create the run's provider job at a vendor: once, whatever happens in between."""
    run = _begin(lease, resubmit=False)
    if run is None:
        return
    folder = context.settings.runs_folder / str(run.id) / "submit"
    sent_before = True
    try:
        provider = vendors.training(context, run.team_id, run.provider)
        request = replace(_request(context, run, folder), key=_vendors_key(run))
        with lease.write() as session:
            row = locked(session, run)
            sent_before = row.status is RunStatus.SUBMIT_UNKNOWN or row.provider_job_id == SUBMITTED
            row.provider_job_id = SUBMITTED  # from here on a create call may have gone out
            if row.status is RunStatus.PREPARING:
                lifecycle.transition(session, row, RunStatus.SUBMITTING)
        job = provider.find(request.key)
        if job is None and not sent_before:
            job = provider.submit(request)
    except SubmitUnknown:
        job = None
    except ProviderError as error:
        _not_now(context, lease, run, error, sent_before=sent_before)
        return
    except UserError as error:
        _failed(lease, run, error.user_message)
        return
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if job is None:
        _unknown(context, lease, run)
        return
    with lease.finish() as session:
        row = locked(session, run)
        row.provider_job_id = job.id
        row.next_poll_at = session.scalar(select(epoch_now() + context.settings.poll_seconds))
        row.progress = {name: value for name, value in row.progress.items() if name != "trouble"}
        if row.status is not RunStatus.CANCELLING:
            lifecycle.transition(session, row, RunStatus.TRAINING)
        progress.record(session, row, job)


def _not_now(context: Context, lease: Lease, run: Run, error: ProviderError, *, sent_before: bool) -> None:
    """The vendor did not create the provider job: fail the run, or raise RetryLater where that may pass.

    Where a create call may have gone out before, it is not failed for refused credentials: the training may be there.
    """
    with lease.write() as session:
        row = locked(session, run)
        doubtful = row.provider_job_id == SUBMITTED and sent_before
        waits = error.retryable or (doubtful and isinstance(error, NotAllowed | NotConfigured))
        waited = time.time() - float((row.progress.get("trouble") or {}).get("since") or time.time())
        waits = waits and waited < news.PATIENCE_SECONDS
        seconds = max(context.settings.poll_seconds, news.seconds_until_asked_again(error, waited))
        if waits:
            if not doubtful:  # it was refused for now, so nothing is there: it may be sent again
                row.provider_job_id = ""
            news.note_trouble(row, error, seconds)
            lifecycle.redraw(session, row, urgent=False)
    if waits:
        raise RetryLater(error.user_message, seconds)
    _failed(lease, run, f"{error.user_message} {NEVER_CONFIRMED}" if doubtful else error.user_message)


def gave_up(session: Session, task: Task) -> None:
    """The task broke too often: the run fails, with the id of the log line."""
    run = session.get_one(Run, task.subject_id)
    if run.status is RunStatus.CANCELLING:
        lifecycle.transition(session, run, RunStatus.CANCELLED, "Cancelled.")
    if run.status in FINAL:
        return
    reason = "It broke several times in a row because of a fault on our side. Your dataset is safe: start it again."
    lifecycle.fail(session, run, str(run.progress.get("interruption") or reason), task.error_id)


def _tidy(context: Context) -> None:
    """Remove what runs that are over have left: their folders on this host, their checkpoints in storage."""
    here = {int(path.name) for path in context.settings.runs_folder.glob("*") if path.name.isdecimal()}
    trained = col(Run.trained_at).is_not(None)
    with context.db.read() as session:
        over = session.exec(
            select(Run.id, Run.checkpoint_key)
            .where(or_(col(Run.status).in_(FINAL), trained))
            .where(or_(col(Run.id).in_(here), col(Run.checkpoint_key) != ""))
        ).all()
    for run_id, checkpoint_key in over:
        assert run_id is not None
        shutil.rmtree(context.settings.runs_folder / str(run_id), ignore_errors=True)
        context.storage.delete(checkpoints_key(run_id))  # with those that were only half copied
        if checkpoint_key:
            with context.db.write() as session:
                session.get_one(Run, run_id).checkpoint_key = ""


def _salvage(context: Context, lease: Lease) -> None:
    """Keep what a killed attempt has left on this host and had no time to store: its figures, its newest checkpoint."""
    with context.db.read() as session:
        run = session.get_one(Run, lease.task.subject_id)
    if run.status is not RunStatus.TRAINING or not run.provider_job_id:
        return
    try:
        left = vendors.training(context, run.team_id, run.provider).poll(run.provider_job_id, run.poll_cursor)
    except ProviderError as error:
        log.info("nothing_left_on_this_host", run_id=run.id, error=type(error).__name__)
        return
    with lease.write() as session:
        progress.record(session, locked(session, run), left)
    keep_checkpoint(context, lease, run, left)


def _begin(lease: Lease, *, resubmit: bool = True) -> Run | None:
    """Open an attempt. None: there is nothing to do (cancelled meanwhile, or done by an earlier attempt)."""
    with lease.write() as session:
        run = session.get_one(Run, lease.task.subject_id, with_for_update=True)
        if run.status is RunStatus.CANCELLING and (resubmit or not run.provider_job_id):
            lifecycle.transition(session, run, RunStatus.CANCELLED, "Cancelled.")
        nothing_to_do = run.status in IN_OTHER_HANDS
        if not nothing_to_do:
            if resubmit and run.status in {RunStatus.PREPARING, RunStatus.SUBMITTING, RunStatus.TRAINING}:
                where = f" at step {run.checkpoint_step}" if run.checkpoint_step else ""
                lifecycle.transition(session, run, RunStatus.QUEUED, f"Going on{where} after an interruption.")
                text = f"The training was interrupted and goes on{where or ' from the start'}. Nothing is lost."
                lifecycle.note(session, run, f"resumed-{lease.task.attempt}", text)
            if run.status is RunStatus.QUEUED:
                lifecycle.transition(session, run, RunStatus.PREPARING)
            if resubmit:
                run.submit_attempt += 1
                run.poll_cursor = ""
            session.add(run)
    if nothing_to_do:
        with lease.finish():
            return None
    return run


def _advance(lease: Lease, run: Run, status: RunStatus, *, provider_job_id: str = "") -> None:
    """Move the run on, unless somebody wants it to end: then `follow` will see to that."""
    with lease.write() as session:
        row = locked(session, run)
        row.provider_job_id = provider_job_id or row.provider_job_id
        if row.status is not RunStatus.CANCELLING:
            lifecycle.transition(session, row, status)


def _request(context: Context, run: Run, folder: Path) -> TrainingRequest:
    """Write the training files of this attempt into its folder."""
    choices = Choices.from_json(run.plan)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    train_path = folder / "train.jsonl"
    material.write_training(context, run, train_path)
    validation_path = folder / "validation.jsonl"
    watched = material.write_validation(context, run, validation_path)
    resume_from = None
    if run.checkpoint_key:
        resume_from = folder / "resume" / f"checkpoint-{run.checkpoint_step}"
        context.storage.get_folder(run.checkpoint_key, resume_from)
    return TrainingRequest(
        key=f"run-{run.id}-{run.submit_attempt}",
        base_model=run.base_model,
        method=choices.method,
        train_path=train_path,
        validation_path=validation_path if watched else None,
        suffix=run.model_name,
        folder=folder,
        resume_from=resume_from,
        seed=choices.seed,
        hyperparameters=_hyperparameters(context, run, choices),
        options=choices.options,
    )


def _vendors_key(run: Run) -> str:
    """By what a vendor's job is found again: this run of this installation, and no other's on the same account."""
    own = hashlib.sha256(f"{run.team_id}:{run.request_key}:{run.created_at!r}".encode()).hexdigest()
    return f"run-{run.id}-{own[:12]}"


def _hyperparameters(context: Context, run: Run, choices: Choices) -> dict[str, Hyperparameter]:
    chosen = choices.hyperparameters
    if run.provider in lifecycle.LOCAL_PROVIDERS:
        chosen["checkpoint_steps"] = context.settings.checkpoint_steps
    return chosen


def _end(context: Context, lease: Lease, run: Run, job: ProviderJob) -> None:
    """Take over a provider job's end, whatever it is."""
    if job.status is ProviderJobStatus.SUCCEEDED and run.provider in lifecycle.LOCAL_PROVIDERS:
        patiently(lease, lease.renew)  # a copy that was taken over must not replace its successor's model
        material.publish_model(context, run, Path(job.tuned_model or ""))
    patiently(lease, partial(_note_end, lease, run, job))


def _note_end(lease: Lease, run: Run, job: ProviderJob) -> None:
    with lease.finish() as session:
        progress.ended(session, locked(session, run), job)


def _failed(lease: Lease, run: Run, words: str) -> None:
    with lease.finish() as session:
        lifecycle.fail(session, locked(session, run), words)


def _unknown(context: Context, lease: Lease, run: Run) -> None:
    """The create call was never answered: look again later; after the last look, a person must."""
    looked = int(run.progress.get("lookups") or 0)
    if looked >= len(LOOKUPS):
        _failed(lease, run, NEVER_CONFIRMED)
        return
    with lease.write() as session:
        row = locked(session, run)
        row.progress = {**row.progress, "lookups": looked + 1}
        if row.status is RunStatus.SUBMITTING:
            lifecycle.transition(session, row, RunStatus.SUBMIT_UNKNOWN)
    raise RetryLater("the create call was never answered", LOOKUPS[looked] * context.settings.poll_seconds)
