"""What both workers share: take jobs off one queue, through any outage of Redis, until told to stop.

A job is deleted as soon as it is heard: the database knows what became of its task, so there is nothing
in Redis that a crash could leave half done. A job lost on the way is rung for again by the dispatcher.
"""

import os
import socket
import threading
import time
import uuid
from abc import abstractmethod
from typing import cast

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import DequeueTimeout
from rq.worker import BaseWorker, WorkerStatus

from workers.queues.connection import connect
from workers.queues.job import JobRefused, TaskJob, Wanted, queue_of
from workers.queues.signing import SignedJson

log = structlog.get_logger()

DEQUEUE_SECONDS = 1
"""How long one look at the queue waits; also how soon a stop is noticed."""
HEARTBEAT_SECONDS = 15.0
"""How often the worker shows in Redis that it lives."""


class TaskWorker(BaseWorker):
    """Serves one queue. RQ's tools see it; RQ's own bookkeeping of jobs is not used."""

    def __init__(self, queue_name: str, url: str, key: str) -> None:
        serializer = SignedJson(key)
        connection = connect(url)
        super().__init__(
            [queue_of(queue_name, connection, serializer)],
            name=f"{queue_name}-{uuid.uuid4().hex[:12]}",
            connection=connection,
            job_class=TaskJob,
            prepare_for_work=False,
            worker_ttl=60,
        )
        self.serializer = serializer
        self.queue: Queue = self.queues[0]
        self.hostname, self.pid, self.ip_address = socket.gethostname(), os.getpid(), "unknown"
        self._next_heartbeat = 0.0

    def run(self, stop: threading.Event) -> None:
        """Serve the queue until `stop` is set."""
        while not stop.is_set():
            try:
                self._appear()
                self._serve(stop)
            except RedisError as error:
                log.warning("queue_unreachable", queue=self.queue.name, error=type(error).__name__)
                stop.wait(1.0)
        self._wind_up()
        try:
            self.register_death()  # type: ignore[no-untyped-call]
        except RedisError as error:
            log.info("worker_left_without_goodbye", error=type(error).__name__)

    def _serve(self, stop: threading.Event) -> None:
        while not stop.is_set():
            if time.monotonic() >= self._next_heartbeat:
                self._beat()
            if not self._ready():
                stop.wait(0.2)
                continue
            wanted = self._next()
            if wanted is not None:
                self._take(wanted, stop)

    @abstractmethod
    def _take(self, wanted: Wanted, stop: threading.Event) -> None:
        """Carry out an attempt, now or in a thread."""

    def _ready(self) -> bool:
        """Whether the worker can take a job."""
        return True

    def _wind_up(self) -> None:
        """End what is still running, after the last job was taken."""

    def _next(self) -> Wanted | None:
        """The next job's wish. None: there is none, or it was not ours to carry out."""
        try:
            found = Queue.dequeue_any(
                [self.queue],
                DEQUEUE_SECONDS,
                connection=self.connection,
                job_class=TaskJob,
                serializer=self.serializer,
            )
        except DequeueTimeout:
            return None
        except RedisError:
            raise
        except Exception as error:  # a forged or damaged hash: it must not end the worker
            log.exception("job_unreadable", queue=self.queue.name, job_id=getattr(error, "job_id", ""))
            return None
        if found is None:
            return None
        job = cast(TaskJob, found[0])
        with self.connection.pipeline() as pipeline:
            pipeline.delete(job.key)
            pipeline.lrem(self.queue.intermediate_queue_key, 1, job.id)
            pipeline.execute()
        try:
            return job.wanted()
        except JobRefused as error:
            log.exception("job_refused", queue=self.queue.name, job_id=job.id, reason=str(error))
            return None

    def _appear(self) -> None:
        """Show the worker in Redis, again after an outage that forgot it."""
        self.connection.delete(self.key, self.queue.intermediate_queue_key)
        self.register_birth()  # type: ignore[no-untyped-call]
        self.set_state(WorkerStatus.IDLE)
        self._next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS

    def _beat(self) -> None:
        if self.connection.exists(self.key):
            self.heartbeat()
            self._next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS
        else:
            self._appear()

    def _set_connection(self, connection: Redis) -> Redis:
        """Keep the connection's own timeouts; RQ would wait for minutes on a server that hangs."""
        return connection
