"""A provider job's news, written into the run: metrics, what the card shows, and its end."""

import math
import time
from dataclasses import replace
from typing import Any

from sqlmodel import Session, col, select

from providers.base import FIGURES as OWN_FIGURES
from providers.base import MetricPoint, ProviderEvent, ProviderJob, ProviderJobStatus
from providers.capabilities import CAPABILITIES
from providers.prices import vendor
from workers import announcements, tasks
from workers.run_status import RunStatus
from workers.runs import actual, division, lifecycle, material
from workers.tables import Run, RunEvent, RunMetric

FIGURES = ("epoch", "loss", "validation_loss", "learning_rate", "tokens_per_second", "memory_bytes")
"""What a metric point says, by name."""
COUNTS = ("total_steps", "total_epochs", "eta_seconds", "trained_tokens")
"""What a provider job says, by name."""
MOST_STEPS = 2**31 - 1
"""The largest step that the database holds; a vendor's answer may say anything."""
LONGEST_WORDS = 200
LONGEST_NAME = 500
LONGEST_NOTE = 1000


def record(session: Session, run: Run, job: ProviderJob, *, draw: bool = True) -> bool:
    """Write what is new since the last poll. True: the card has something to show, and follows when its turn comes.

    Without `draw` it is the caller who sees to the card.
    """
    for point in job.metrics:
        _keep(session, run, point)
    for event in job.events:
        _log(session, run, event)
        if run.provider == "local":  # our own trainer says little, and what people should know
            lifecycle.note(session, run, f"trainer-{event.id}", words(event.message, LONGEST_NOTE))
    before = run.progress
    after = _shown(before, job)
    run.poll_cursor = job.cursor
    if after != before:
        run.progress = after
        if draw:
            lifecycle.redraw(session, run, urgent=False)
    session.add(run)
    return after != before


def _keep(session: Session, run: Run, point: MetricPoint) -> None:
    if not 0 <= point.step <= MOST_STEPS:
        return
    row = session.get(RunMetric, (run.id, point.step))
    if row is None or row.attempt != run.submit_attempt:
        new = RunMetric(run_id=run.id or 0, step=point.step, attempt=run.submit_attempt)
        row = session.merge(new)
    for name in FIGURES:  # a step's validation is told after its loss
        value = known(getattr(point, name))
        if value is not None:
            setattr(row, name, value)
    row.figures = {**row.figures, **own_figures(point)}
    session.add(row)


def own_figures(point: MetricPoint) -> dict[str, float]:
    """What the method tells beside the loss; only what has a name here."""
    return {name: value for name, value in point.figures.items() if name in OWN_FIGURES and math.isfinite(value)}


def known(value: float | None) -> float | None:
    """The figure, unless it is no number: a diverged training's loss, which JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None


def _log(session: Session, run: Run, event: ProviderEvent) -> None:
    message = event.message.replace("\x00", "")[:2000]  # a character that PostgreSQL cannot keep
    session.add(RunEvent(run_id=run.id or 0, at=event.at, kind=f"provider_{event.level}", message=message))


def _shown(before: dict[str, Any], job: ProviderJob) -> dict[str, Any]:
    """The figures on the card: those of before, overlaid with the job's newest."""
    after = dict(before)
    after["stage"] = words(job.stage)
    after["vendor_status"] = words(job.vendor_status)
    after.pop("unknown_status", None)
    if job.status is ProviderJobStatus.UNKNOWN:
        after["unknown_status"] = words(job.vendor_status)
    for name in COUNTS:
        value = known(getattr(job, name))
        if value is not None:
            after[name] = value
    after["step"] = job.step
    for point in job.metrics:
        for name in FIGURES:
            value = known(getattr(point, name))
            if value is not None:
                after[name] = value
        if own := own_figures(point):
            after["figures"] = {**after.get("figures", {}), **own}
        if "loss" in after:
            after.setdefault("first_loss", after["loss"])
    return after


def words(text: str, most: int = LONGEST_WORDS) -> str:
    """A vendor's words as they are kept: on one line, without control characters, not too long."""
    return " ".join("".join(one if one.isprintable() else " " for one in text[: 4 * most]).split())[:most]


def ended(session: Session, run: Run, job: ProviderJob) -> None:
    """Take over a provider job's end, whatever it is. Its metrics and events were recorded before."""
    record(session, run, replace(job, metrics=(), events=()))
    run.next_poll_at = None
    succeeded = job.status is ProviderJobStatus.SUCCEEDED
    local = run.provider in lifecycle.LOCAL_PROVIDERS
    if succeeded and not local:
        run.tuned_model = words(job.tuned_model or "", LONGEST_NAME)
    if run.status is RunStatus.CANCELLING or job.status is ProviderJobStatus.CANCELLED:
        if run.status is not RunStatus.CANCELLING:
            lifecycle.transition(session, run, RunStatus.CANCELLING, "Ended at the provider.")
        lifecycle.transition(session, run, RunStatus.CANCELLED, _cancelled(run, job))
        from workers.runs import model_deletion  # which knows checkpoints, and they know runs' progress

        model_deletion.discard(session, run)
    elif succeeded:
        if run.status is RunStatus.PAUSED:  # it was resumed and has ended since the last look
            lifecycle.transition(session, run, RunStatus.TRAINING)
        if local:
            run.model_key = material.model_key(run)
        elif not CAPABILITIES[run.provider].must_deploy:
            run.model_name = run.tuned_model
        trained(session, run)
        return
    else:
        silent = f"{vendor(run.provider).text} ended the training without saying why. Look at its console."
        lifecycle.fail(session, run, job.error or ("The trainer ended without saying why." if local else silent))
    actual.settle(session, run)


def _cancelled(run: Run, job: ProviderJob) -> str:
    if run.tuned_model:
        name = vendor(run.provider).text
        return f"It had already been trained when {name} was asked to end it. The model is there: {run.tuned_model}"
    return f"Cancelled at step {job.step}." if job.step else "Cancelled."


def trained(session: Session, run: Run) -> None:
    """Training has ended with a model: the curve goes into the thread, and the model is hosted or evaluated.

    The curves of short runs that only cross-check another are not shown.
    """
    hosted = CAPABILITIES[run.provider].must_deploy
    run.trained_at = time.time()
    run.pause_requested = False
    run.progress = {**run.progress, "stage": "", "eta_seconds": None}
    lifecycle.transition(session, run, RunStatus.DEPLOYING if hosted else RunStatus.EVALUATING)
    if division.part_of(run) is None and _has_curve(session, run):
        announcements.post(
            session,
            owner=run,
            slot=f"run:{run.id}:curve",
            kind="loss_curve",
            subject_id=run.id,
            thread_slot=lifecycle.card_slot(run),
        )
    actual.settle(session, run)
    if hosted:
        from workers import hosting  # which knows runs' progress itself

        hosting.begin(session, run)
    else:
        tasks.add(session, "evaluate", run.id or 0, queue="cpu", team_id=run.team_id)
    if run.tuned_model:
        tasks.add(session, "list_checkpoints", run.id or 0, queue="cloud", team_id=run.team_id)


def _has_curve(session: Session, run: Run) -> bool:
    told = col(RunMetric.loss).is_not(None) | col(RunMetric.validation_loss).is_not(None)
    return session.exec(select(RunMetric.step).where(RunMetric.run_id == run.id, told).limit(1)).first() is not None
