"""The worker whose tasks are carried out by threads of its own process: for the queues slack and cloud.

What they do waits for the network far more than it computes: downloads and answers (only the notifier's process has the
Slack token), and everything that vendors are asked. No task may hold the others up for as long as a vendor likes, and
thousands of runs are watched by one attempt beside them.

A killed process loses its attempts, whose leases run out; an attempt that lost its lease can write nothing any more.
"""

import os
import threading
import time
from collections.abc import Callable

import structlog

from workers.context import Context
from workers.jobs import runner
from workers.queues.connection import QueueName
from workers.queues.job import Wanted
from workers.queues.signing import installation_key
from workers.queues.worker import TaskWorker

log = structlog.get_logger()


class ThreadedWorker(TaskWorker):
    """Carries out up to `threads` attempts at once. `run(stop)` beside another loop of the process.

    `abandon` is called where an attempt goes on long after it lost its lease.
    """

    def __init__(
        self,
        context: Context,
        queue_name: str = QueueName.SLACK,
        *,
        threads: int = 8,
        grace: float = 10.0,
        abandon: Callable[[], None] | None = None,
    ) -> None:
        settings = context.settings
        super().__init__(queue_name, settings.redis, installation_key(settings.folder))
        self._context = context
        self._grace = grace
        self._abandon = abandon
        self._slots = threading.Semaphore(threads)
        self._running: set[threading.Thread] = set()

    def _ready(self) -> bool:
        self._running = {thread for thread in self._running if thread.is_alive()}
        if not self._slots.acquire(blocking=False):
            return False
        self._slots.release()
        return True

    def _take(self, wanted: Wanted, stop: threading.Event) -> None:
        self._slots.acquire()
        thread = threading.Thread(target=self._carry, args=(wanted, stop), name=f"task-{wanted.task_id}", daemon=True)
        self._running.add(thread)
        thread.start()

    def _carry(self, wanted: Wanted, stop: threading.Event) -> None:
        try:
            runner.carry(self._context, wanted.task_id, wanted.attempt, stopping=stop, abandon=self._abandon)
        finally:
            self._slots.release()

    def _wind_up(self) -> None:
        """Wait a while for what runs; what does not end keeps its lease until it expires elsewhere."""
        deadline = time.monotonic() + self._grace
        for thread in self._running:
            thread.join(max(0.0, deadline - time.monotonic()))
        left = sum(thread.is_alive() for thread in self._running)
        if left:
            log.warning("tasks_left_running", count=left)


def leave_at_once() -> None:
    """An attempt does not notice that another worker has its task, and may be about to ask a vendor for something that
    costs money: the process ends, and what else it did is done again when its leases have run out.
    """
    log.error("worker_abandons_lost_task")
    os._exit(1)
