"""The worker whose tasks are carried out by a horse: for the queues cpu and gpu."""

import threading
import time
from collections.abc import Sequence

import structlog
from redis.exceptions import RedisError
from rq.worker import WorkerStatus

from workers.queues.horse import COMMAND, Answer, Horse
from workers.queues.job import Wanted
from workers.queues.worker import TaskWorker
from workers.settings import Settings

log = structlog.get_logger()

MOST_SERVED = 100
"""A horse is replaced after so many attempts, whatever it may have leaked."""
IDLE_SECONDS = 3.0
"""An idle worker starts its horse after this, so that the next task need not wait for it."""
GRACE_SECONDS = 15.0
"""How long a task may go on after a stop: enough for a checkpoint."""
LONGEST_PAUSE = 30.0
"""Between two starts of a horse that does not come up."""


class ExecutingWorker(TaskWorker):
    """One horse, one attempt at a time. A horse's unexpected death gives its task back at once."""

    def __init__(
        self,
        settings: Settings,
        queue_name: str,
        key: str,
        *,
        command: Sequence[str] = COMMAND,
        grace: float = GRACE_SECONDS,
    ) -> None:
        super().__init__(queue_name, settings.redis, key)
        self._settings = settings
        self._command = command
        self._grace = grace
        self._horse: Horse | None = None
        self._pause = 0.0
        self._start_at = time.monotonic() + IDLE_SECONDS

    def _ready(self) -> bool:
        """Ready unless the horse is known not to come up. Starts it after an idle moment."""
        if self._horse is not None and self._horse.listen(0) is Answer.GONE:
            self._fell(self._horse)
        if self._horse is None and time.monotonic() >= self._start_at:
            self._horse = Horse(self._command)
        return self._horse is not None or self._pause == 0.0

    def _take(self, wanted: Wanted, stop: threading.Event) -> None:
        self._show(WorkerStatus.BUSY)
        self._horse = self._horse or Horse(self._command)
        self._horse.give(wanted)
        answer = self._wait(self._horse, stop)
        if answer is Answer.DONE:
            self._pause = 0.0
            if self._horse.served >= MOST_SERVED:
                self._dismiss()
        else:
            was_ready = self._horse.ready
            status = self._horse.kill()
            self._horse = None
            log.error("horse_died", task_id=wanted.task_id, attempt=wanted.attempt, status=status)
            self._start_at = time.monotonic()
            if was_ready:
                self._give_back(wanted)
            else:
                self._back_off()
        self._show(WorkerStatus.IDLE)

    def _wait(self, horse: Horse, stop: threading.Event) -> Answer:
        """Listen until the attempt is over; keep the worker's heartbeat, and pass a stop on."""
        deadline: float | None = None
        while True:
            answer = horse.listen(0.5)
            if answer in {Answer.DONE, Answer.GONE}:
                return answer
            now = time.monotonic()
            if stop.is_set() and deadline is None:
                horse.stop()
                deadline = now + self._grace
            if deadline is not None and now >= deadline:
                log.warning("task_cut_off", grace=self._grace)
                return Answer.GONE
            if now >= self._next_heartbeat and deadline is None:
                self._show(WorkerStatus.BUSY)

    def _show(self, status: WorkerStatus) -> None:
        """Tell Redis what the worker does, if Redis is there to listen."""
        self._next_heartbeat = time.monotonic() + 15.0
        try:
            self._beat()
            self.set_state(status)
        except RedisError as error:
            log.info("worker_not_shown", error=type(error).__name__)

    def _give_back(self, wanted: Wanted) -> None:
        """Let the dispatcher queue the task again at once, instead of when its lease runs out."""
        from sqlalchemy.exc import SQLAlchemyError

        from workers import tasks
        from workers.db import Database

        db = Database(self._settings.database)
        try:
            tasks.expire_lease(db, wanted.task_id, wanted.attempt)
        except SQLAlchemyError as error:
            log.warning("lease_not_given_back", task_id=wanted.task_id, error=type(error).__name__)
        finally:
            db.dispose()

    def _fell(self, horse: Horse) -> None:
        """The horse died while it had nothing to do: get another, soon, or later if it never came up."""
        log.error("idle_horse_died", status=horse.kill(), came_up=horse.ready)
        self._horse = None
        if horse.ready:
            self._start_at = time.monotonic()
        else:
            self._back_off()

    def _back_off(self) -> None:
        self._pause = min(max(1.0, self._pause * 2), LONGEST_PAUSE)
        self._start_at = time.monotonic() + self._pause

    def _dismiss(self) -> None:
        if self._horse is not None:
            self._horse.kill()
        self._horse = None

    def _wind_up(self) -> None:
        self._dismiss()
