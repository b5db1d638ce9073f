"""Carrying out a run's training at this machine's own trainer (at a vendor: `workers.jobs.submitting`).

`train` runs on the gpu queue and holds its worker until the trainer has ended. It may be killed at any time: the next
attempt goes on from the newest checkpoint.
"""

import shutil
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import ColumnElement, or_
from sqlmodel import Session, col, select

from providers.base import Hyperparameter, Method, ProviderJob, ProviderJobStatus, TrainingRequest
from providers.errors import ProviderError
from providers.local.training.run_folder import JUDGED_FILE
from workers import vendors
from workers.context import Context
from workers.errors import UserError
from workers.jobs.following import (
    checkpoints_key,
    follow,
    keep_checkpoint,
    locked,
    never_left_alone,
    patiently,
)
from workers.plans.plan import Choices
from workers.run_status import FINAL, RunStatus
from workers.runs import lifecycle, material, progress
from workers.tables import Run, Task
from workers.tasks import Lease

log = structlog.get_logger()

JUDGED = frozenset({Method.DPO, Method.ORPO, Method.KTO})
"""The methods whose trainer judges held-out answers itself, before and after."""
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
        request = request_of(context, run, folder)
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


def gave_up(session: Session, task: Task) -> None:
    """The task broke too often: the run fails, with the id of the log line."""
    run = session.get_one(Run, task.subject_id, with_for_update=True, populate_existing=True)
    if run.status is RunStatus.CANCELLING:
        lifecycle.transition(session, run, RunStatus.CANCELLED, "Cancelled.")
    if run.status in FINAL:
        return
    reason = "It broke several times in a row because of a fault on our side. Your dataset is safe: start it again."
    lifecycle.fail(session, run, str(run.progress.get("interruption") or reason), task.error_id)


def remove_folders(context: Context) -> set[int]:
    """Remove the folders that runs which are over have left on this host (a killed attempt removes nothing): whose."""
    here = {int(path.name) for path in context.settings.runs_folder.glob("*") if path.name.isdecimal()}
    if not here:
        return here
    with context.db.read() as session:
        over = set(session.exec(select(Run.id).where(_is_over(), col(Run.id).in_(here))))
    for run_id in over:
        shutil.rmtree(context.settings.runs_folder / str(run_id), ignore_errors=True)
    return {run_id for run_id in over if run_id is not None}


def _is_over() -> ColumnElement[bool]:
    return or_(col(Run.status).in_(FINAL), col(Run.trained_at).is_not(None))


def _tidy(context: Context) -> None:
    """Remove what runs that are over have left: their folders on this host, their checkpoints in storage."""
    here = remove_folders(context)
    with context.db.read() as session:
        over = session.exec(
            select(Run.id, Run.checkpoint_key)
            .where(_is_over())
            .where(or_(col(Run.id).in_(here), col(Run.checkpoint_key) != ""))
        ).all()
    for run_id, checkpoint_key in over:
        assert run_id is not None
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


def _begin(lease: Lease) -> Run | None:
    """Open an attempt. None: there is nothing to do (cancelled meanwhile, or done by an earlier attempt)."""
    with lease.write() as session:
        run = session.get_one(Run, lease.task.subject_id, with_for_update=True)
        if run.status is RunStatus.CANCELLING:
            lifecycle.transition(session, run, RunStatus.CANCELLED, "Cancelled.")
        nothing_to_do = run.status in IN_OTHER_HANDS
        if not nothing_to_do:
            if run.status in {RunStatus.PREPARING, RunStatus.SUBMITTING, RunStatus.TRAINING}:
                where = f" at step {run.checkpoint_step}" if run.checkpoint_step else ""
                lifecycle.transition(session, run, RunStatus.QUEUED, f"Going on{where} after an interruption.")
                text = f"The training was interrupted and goes on{where or ' from the start'}. Nothing is lost."
                lifecycle.note(session, run, f"resumed-{lease.task.attempt}", text)
            if run.status is RunStatus.QUEUED:
                lifecycle.transition(session, run, RunStatus.PREPARING)
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


def request_of(context: Context, run: Run, folder: Path) -> TrainingRequest:
    """What the provider receives; the training files are written into this folder, the attempt's own."""
    choices = Choices.from_json(run.plan)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    train_path = folder / "train.jsonl"
    material.write_training(context, run, train_path)
    validation_path = folder / "validation.jsonl"
    watched = material.write_validation(context, run, validation_path)
    test_path = folder / "test.jsonl"
    judged = run.provider == "local" and choices.method in JUDGED and material.write_test(context, run, test_path)
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
        test_path=test_path if judged else None,
        suffix=run.model_name,
        folder=folder,
        resume_from=resume_from,
        seed=choices.seed,
        hyperparameters=_hyperparameters(context, run, choices),
        options=choices.options,
    )


def _hyperparameters(context: Context, run: Run, choices: Choices) -> dict[str, Hyperparameter]:
    chosen = choices.hyperparameters
    if run.provider in lifecycle.LOCAL_PROVIDERS:
        chosen["checkpoint_steps"] = context.settings.checkpoint_steps
    return chosen


def _end(context: Context, lease: Lease, run: Run, job: ProviderJob) -> None:
    """Take over a provider job's end, whatever it is."""
    if job.status is ProviderJobStatus.SUCCEEDED and run.provider in lifecycle.LOCAL_PROVIDERS:
        patiently(lease, lease.renew)  # a copy that was taken over must not replace its successor's model
        tuned = Path(job.tuned_model or "")
        material.keep_judged(context, run, tuned.with_name(JUDGED_FILE))
        material.publish_model(context, run, tuned)
    patiently(lease, partial(_note_end, lease, run, job))


def _note_end(lease: Lease, run: Run, job: ProviderJob) -> None:
    with lease.finish() as session:
        progress.ended(session, locked(session, run), job)


def _failed(lease: Lease, run: Run, words: str) -> None:
    with lease.finish() as session:
        lifecycle.fail(session, locked(session, run), words)
