"""Counts for Prometheus: this process's requests, and how the installation's work stands. No names, no contents."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import case, func
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from workers.db import Database, epoch_now
from workers.gateway.generation import Places
from workers.tables import Announcement, AnnouncementStatus, Run, Task, TaskStatus

ROUTES = frozenset({"/v1/chat/completions", "/v1/models", "/healthz", "/readyz", "/metrics"})
"""Whatever else is asked for is counted as "other"."""
SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class RequestFigures:
    """What this process has served."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "finetune_bot_requests", "Requests that ended.", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "finetune_bot_request_seconds", "How long requests took.", ["route"], buckets=SECONDS, registry=registry
        )
        self._tokens = Counter("finetune_bot_tokens", "Tokens of answered requests.", ["kind"], registry=registry)

    def note(self, path: str, status: int, seconds: float) -> None:
        """A request ended."""
        route = path if path in ROUTES else "other"
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def note_tokens(self, prompt: int, completion: int) -> None:
        """An answer was given."""
        self._tokens.labels("prompt").inc(prompt)
        self._tokens.labels("completion").inc(completion)


@dataclass(frozen=True)
class Standing:
    """How the installation's work stands."""

    tasks: Sequence[tuple[str, str, int]]  # queue, status, how many
    oldest_due_seconds: float
    announcements_pending: int
    runs: Sequence[tuple[str, int]]  # status, how many


def read_standing(db: Database) -> Standing:
    """Count it. Raises SQLAlchemyError."""
    many = func.count()
    due_since = case((col(Task.due_at) > col(Task.created_at), col(Task.due_at)), else_=col(Task.created_at))
    with db.read() as session:
        tasks = session.exec(select(Task.queue, Task.status, many).group_by(col(Task.queue), col(Task.status))).all()
        waiting = session.scalar(
            select(epoch_now() - func.min(due_since)).where(
                Task.status == TaskStatus.QUEUED, col(Task.due_at) <= epoch_now()
            )
        )
        pending = session.scalar(
            select(many).select_from(Announcement).where(Announcement.status == AnnouncementStatus.PENDING)
        )
        runs = session.exec(select(Run.status, many).group_by(col(Run.status))).all()
    return Standing(
        tasks=[(queue, str(status), count) for queue, status, count in tasks],
        oldest_due_seconds=max(0.0, float(waiting or 0.0)),
        announcements_pending=pending or 0,
        runs=[(str(status), count) for status, count in runs],
    )


class _StandingCollector(Collector):
    """Reads the database whenever the metrics are asked for."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("finetune_bot_database_up", "Whether the database answers.")
        try:
            standing = read_standing(self._db)
        except SQLAlchemyError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        tasks = GaugeMetricFamily("finetune_bot_tasks", "Tasks.", labels=["queue", "status"])
        for queue, status, count in standing.tasks:
            tasks.add_metric([queue, status], count)
        yield tasks
        runs = GaugeMetricFamily("finetune_bot_runs", "Runs.", labels=["status"])
        for status, count in standing.runs:
            runs.add_metric([status], count)
        yield runs
        yield GaugeMetricFamily(
            "finetune_bot_oldest_due_task_seconds",
            "For how long the oldest due task has been waiting for a worker.",
            value=standing.oldest_due_seconds,
        )
        yield GaugeMetricFamily(
            "finetune_bot_announcements_pending",
            "Messages that Slack does not show yet.",
            value=standing.announcements_pending,
        )


class _PlacesCollector(Collector):
    def __init__(self, places: Places) -> None:
        self._places = places

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "finetune_bot_generations", "Answers that are on their way.", value=self._places.taken()
        )


class Metrics:
    """Everything that `/metrics` shows."""

    def __init__(self, db: Database, places: Places) -> None:
        self._registry = CollectorRegistry()
        self.requests = RequestFigures(self._registry)
        self._registry.register(_PlacesCollector(places))
        self._registry.register(_StandingCollector(db))

    def text(self) -> bytes:
        """In Prometheus' text format. Asks the database, so call it in a thread."""
        return generate_latest(self._registry)
