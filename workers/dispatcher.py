"""Turns due tasks into RQ jobs, again and again until they are claimed.

    python -m workers dispatcher

Also queues again what lost its worker, asks for watchers while runs at vendors are due, and now and then has hosted
models and dates of retirement looked after. Any number may run: the database keeps them apart. An outage of the
database or of Redis is waited out.
"""

import threading
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import structlog
from redis.exceptions import RedisError
from sqlalchemy import delete
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from workers import tasks
from workers.db import Database, epoch_now
from workers.jobs import kinds
from workers.queues.bell import enqueue
from workers.queues.connection import QueueName, connect_briefly
from workers.queues.signing import SignedJson
from workers.runs import watching
from workers.settings import Settings
from workers.tables import InboundEvent, Task, TaskStatus

log = structlog.get_logger()

TICK_SECONDS = 0.5
LONGEST_PAUSE = 10.0
"""Between two looks while the database is away."""
BATCH = 200
MOST_WATCHERS, RUNS_A_WATCHER = 4, 500
"""Watchers at once, and how many runs must be due for each of them but the first."""
TEND_SECONDS = 30.0
TENDED = ("workers.hosting:tend", "workers.radar:tend")
"""`(session, settings) -> None`, called every `TEND_SECONDS`: short, and without the network."""
KEEP_SECONDS = 7 * 86_400.0
"""How long the keys of what Slack and vendors delivered are remembered."""
SWEEP_SECONDS = 3600.0


class Dispatcher:
    """The loop. `run(stop)` until told to stop; `tick()` is one round of it."""

    def __init__(self, settings: Settings, db: Database, key: str) -> None:
        self._settings = settings
        self._db = db
        self._serializer = SignedJson(key)
        self._connection = connect_briefly(settings.redis, 2.0)
        self._redis_away = False
        self._next_sweep = time.monotonic() + 60.0
        self._next_tending = time.monotonic() + 5.0

    def run(self, stop: threading.Event) -> None:
        """Tick until `stop` is set, whatever is away meanwhile."""
        pause = TICK_SECONDS
        while not stop.wait(pause):
            try:
                self.tick()
            except SQLAlchemyError as error:
                pause = min(pause * 2, LONGEST_PAUSE)
                log.warning("dispatcher_database_away", error=type(error).__name__, pause=pause)
            else:
                pause = TICK_SECONDS
                beat(self._settings)

    def tick(self) -> None:
        """Reap, ask for watchers, dispatch. Looks before it writes, so that an idle round costs no lock."""
        work = self._look()
        if work.expired:
            self._reap()
        if work.watchers:
            self._ask_for(work.watchers)
        if work.due or work.watchers or work.expired:
            self._dispatch()
        if time.monotonic() >= self._next_tending:
            self._next_tending = time.monotonic() + TEND_SECONDS
            self._tend()
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + SWEEP_SECONDS
            self._sweep()

    def _look(self) -> "_Work":
        with self._db.read() as session:
            now = session.scalar(select(epoch_now())) or 0.0
            queued, running = Task.status == TaskStatus.QUEUED, Task.status == TaskStatus.RUNNING
            due = select(Task.id).where(queued, col(Task.due_at) <= now, col(Task.dispatch_after) <= now)
            expired = select(Task.id).where(running, col(Task.lease_until) < now)
            found = [session.scalar(one.limit(1)) is not None for one in (due, expired)]
            runs = watching.due(session)
            wanted = min(MOST_WATCHERS, 1 + runs // RUNS_A_WATCHER) if runs else 0
            names = [f"watch:{number}" for number in range(wanted)]
            alive = (TaskStatus.QUEUED, TaskStatus.RUNNING)
            there = select(Task.key).where(col(Task.key).in_(names), col(Task.status).in_(alive))
            missing = sorted(set(names) - set(session.scalars(there))) if names else []
            return _Work(due=found[0], expired=found[1], watchers=tuple(missing))

    def _reap(self) -> None:
        with self._db.write() as session:
            for task in tasks.reap(session, self._settings.timing, limit=BATCH):
                kinds.give_up(session, task)

    def _ask_for(self, watchers: tuple[str, ...]) -> None:
        with self._db.write() as session:
            for key in watchers:
                tasks.repeat(session, "watch", queue=QueueName.CLOUD, key=key)
            session.info.pop("new_tasks", None)  # dispatched in this very tick: no need to ring

    def _tend(self) -> None:
        """Have looked after what needs it now and then. What breaks in one does not keep the others from it."""
        for path in TENDED:
            module, _, name = path.partition(":")
            try:
                with self._db.write() as session:
                    getattr(import_module(module), name)(session, self._settings)
            except Exception:  # the edge of somebody's upkeep: queues must not stand still for it
                log.exception("tending_failed", what=path)

    def _dispatch(self) -> None:
        """Enqueue what is due. While Redis is away nothing is marked as dispatched."""
        try:
            self._connection.ping()
            while True:
                with self._db.write() as session:
                    dispatches = tasks.take_due(session, self._settings.timing, limit=BATCH)
                enqueue(self._connection, self._serializer, dispatches)
                if len(dispatches) < BATCH:
                    break
        except RedisError as error:
            if not self._redis_away:
                log.warning("dispatcher_queue_away", error=type(error).__name__)
            self._redis_away = True
        else:
            if self._redis_away:
                log.info("dispatcher_queue_back")
            self._redis_away = False

    def _sweep(self) -> None:
        """Forget what nobody will ask for again."""
        with self._db.write() as session:
            old = epoch_now() - KEEP_SECONDS
            polls = (col(Task.kind) == "poll", col(Task.finished_at) < old)  # of an older version
            session.execute(delete(Task).where(*polls))
            session.execute(delete(InboundEvent).where(col(InboundEvent.received_at) < old))


@dataclass(frozen=True)
class _Work:
    """What a look found."""

    due: bool
    expired: bool
    watchers: tuple[str, ...]
    """Keys of the tasks that are to be asked for."""


def beat(settings: Settings) -> None:
    """Leave a sign of life for the health check."""
    path = _beat_file(settings)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch()


def seconds_since_beat(settings: Settings) -> float | None:
    """How long ago a dispatcher on this host last got round. None: never."""
    try:
        return max(0.0, time.time() - _beat_file(settings).stat().st_mtime)
    except FileNotFoundError:
        return None


def _beat_file(settings: Settings) -> Path:
    return settings.folder / "run" / "dispatcher.beat"
