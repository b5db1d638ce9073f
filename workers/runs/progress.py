"""A provider job's news, written into the run: metrics, what the card shows, and its end."""

import math
import time
from typing import Any

from sqlmodel import Session

from providers.base import MetricPoint, ProviderEvent, ProviderJob
from workers import announcements, tasks
from workers.run_status import RunStatus
from workers.runs import division, lifecycle
from workers.tables import Run, RunEvent, RunMetric

FIGURES = ("epoch", "loss", "validation_loss", "learning_rate", "tokens_per_second", "memory_bytes")
"""What a metric point says, by name."""


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
    figures: dict[str, Any] = {name: _known(getattr(point, name)) for name in FIGURES}
    session.merge(RunMetric(run_id=run.id or 0, step=point.step, attempt=run.submit_attempt, **figures))


def _known(value: float | None) -> float | None:
    """The figure, unless it is no number: a diverged training's loss, which JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None


def _log(session: Session, run: Run, event: ProviderEvent) -> None:
    message = event.message.replace("\x00", "")[:2000]  # a character that PostgreSQL cannot keep
    session.add(RunEvent(run_id=run.id or 0, at=event.at, kind=f"provider_{event.level}", message=message))


def _shown(before: dict[str, Any], job: ProviderJob) -> dict[str, Any]:
    """The figures on the card: those of before, overlaid with the job's newest."""
    after = dict(before)
    after["stage"] = job.stage
    after["vendor_status"] = job.vendor_status
    for name in ("total_steps", "total_epochs", "eta_seconds", "trained_tokens"):
        value = _known(getattr(job, name))
        if value is not None:
            after[name] = value
    after["step"] = job.step
    for point in job.metrics:
        for name in FIGURES:
            value = _known(getattr(point, name))
            if value is not None:
                after[name] = value
        if "loss" in after:
            after.setdefault("first_loss", after["loss"])
    return after


def trained(session: Session, run: Run) -> None:
    """Training has ended with a model: the curve goes into the thread, the evaluation is asked for.

    The curves of short runs that only cross-check another are not shown.
    """
    run.trained_at = time.time()
    run.progress = {**run.progress, "stage": "", "eta_seconds": None}
    lifecycle.transition(session, run, RunStatus.EVALUATING)
    if division.part_of(run) is None:
        announcements.post(
            session,
            owner=run,
            slot=f"run:{run.id}:curve",
            kind="loss_curve",
            subject_id=run.id,
            thread_slot=lifecycle.card_slot(run),
        )
    tasks.add(session, "evaluate", run.id or 0, queue="cpu", team_id=run.team_id)
