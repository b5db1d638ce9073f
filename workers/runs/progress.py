"""A provider job's news, written into the run: metrics, what the card shows, and its end."""

import time
from typing import Any

from sqlmodel import Session

from providers.base import MetricPoint, ProviderEvent, ProviderJob
from workers import announcements, tasks
from workers.run_status import RunStatus
from workers.runs import lifecycle
from workers.tables import Run, RunEvent, RunMetric


def record(session: Session, run: Run, job: ProviderJob) -> None:
    """Write what is new since the last poll; the card follows when its turn comes."""
    for point in job.metrics:
        _keep(session, run, point)
    for event in job.events:
        _log(session, run, event)
    before = run.progress
    after = _shown(before, job)
    run.poll_cursor = job.cursor
    if after != before:
        run.progress = after
        lifecycle.redraw(session, run, urgent=False)
    session.add(run)


def _keep(session: Session, run: Run, point: MetricPoint) -> None:
    session.merge(
        RunMetric(
            run_id=run.id or 0,
            step=point.step,
            attempt=run.submit_attempt,
            epoch=point.epoch,
            loss=point.loss,
            validation_loss=point.validation_loss,
            learning_rate=point.learning_rate,
            tokens_per_second=point.tokens_per_second,
            memory_bytes=point.memory_bytes,
        )
    )


def _log(session: Session, run: Run, event: ProviderEvent) -> None:
    session.add(RunEvent(run_id=run.id or 0, at=event.at, kind=f"provider_{event.level}", message=event.message[:2000]))


def _shown(before: dict[str, Any], job: ProviderJob) -> dict[str, Any]:
    """The figures on the card: those of before, overlaid with the job's newest."""
    after = dict(before)
    after["stage"] = job.stage
    after["vendor_status"] = job.vendor_status
    for name in ("total_steps", "total_epochs", "eta_seconds", "trained_tokens"):
        value = getattr(job, name)
        if value is not None:
            after[name] = value
    after["step"] = job.step
    for point in job.metrics:
        for name in ("epoch", "loss", "validation_loss", "learning_rate", "tokens_per_second", "memory_bytes"):
            value = getattr(point, name)
            if value is not None:
                after[name] = value
        if point.loss is not None:
            after.setdefault("first_loss", point.loss)
    return after


def trained(session: Session, run: Run) -> None:
    """Training has ended with a model: the curve goes into the thread, the evaluation is asked for."""
    run.trained_at = time.time()
    run.progress = {**run.progress, "stage": "", "eta_seconds": None}
    lifecycle.transition(session, run, RunStatus.EVALUATING)
    announcements.post(
        session,
        owner=run,
        slot=f"run:{run.id}:curve",
        kind="loss_curve",
        subject_id=run.id,
        thread_slot=lifecycle.card_slot(run),
    )
    tasks.add(session, "evaluate", run.id or 0, queue="cpu", team_id=run.team_id)
