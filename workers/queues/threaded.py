"""The worker whose tasks are carried out by threads of its own process: for the queue slack.

Downloads and answers wait for the network far more than they compute, and only the notifier's process
has the Slack token.
"""

import threading
import time

import structlog

from workers.context import Context
from workers.jobs import runner
from workers.queues.connection import QueueName
from workers.queues.job import Wanted
from workers.queues.signing import installation_key
from workers.queues.worker import TaskWorker

log = structlog.get_logger()


class ThreadedWorker(TaskWorker):
    """Carries out up to `threads` attempts at once. `run(stop)` beside another loop of the process."""

    def __init__(
        self, context: Context, queue_name: str = QueueName.SLACK, *, threads: int = 8, grace: float = 10.0
    ) -> None:
        settings = context.settings
        super().__init__(queue_name, settings.redis, installation_key(settings.folder))
        self._context = context
        self._grace = grace
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
            runner.carry(self._context, wanted.task_id, wanted.attempt, stopping=stop)
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
