"""The doorbell: after a commit, put the new tasks onto their queues at once.

It only saves time: what it misses, the dispatcher finds within half a second of Redis being back.
"""

import time
from collections.abc import Sequence

import structlog
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from sqlalchemy.exc import SQLAlchemyError

from workers import tasks
from workers.db import Database
from workers.queues.connection import connect_briefly
from workers.queues.job import CARRY_OUT, queue_of
from workers.queues.signing import SignedJson
from workers.tasks import Dispatch
from workers.timing import Timing

log = structlog.get_logger()

RING_SECONDS = 0.2
"""How long one step of ringing may take."""
QUIET_SECONDS = 5.0
"""After a failure nobody rings for so long: the dispatcher does the work meanwhile."""
JOB_TTL_SECONDS = 6 * 3600
"""A job that nobody took is dropped after this; its task has been dispatched again long before."""


def enqueue(connection: Redis, serializer: SignedJson, dispatches: Sequence[Dispatch]) -> None:
    """Put jobs onto their queues, one round trip a queue. Raises RedisError."""
    for name in sorted({dispatch.queue for dispatch in dispatches}):
        queue_of(name, connection, serializer).enqueue_many(
            Queue.prepare_data(
                CARRY_OUT,
                args=(dispatch.task_id, dispatch.attempt),
                timeout=-1,
                result_ttl=0,
                ttl=JOB_TTL_SECONDS,
                failure_ttl=0,
                description=dispatch.job_id,
                job_id=dispatch.job_id,
            )
            for dispatch in dispatches
            if dispatch.queue == name
        )


class Bell:
    """Rings for the tasks of a commit: `database.doorbell = Bell(...).ring`."""

    def __init__(self, db: Database, url: str, key: str, timing: Timing) -> None:
        self._db = db
        self._timing = timing
        self._serializer = SignedJson(key)
        self._connection = connect_briefly(url, RING_SECONDS)
        self._quiet_until = 0.0

    def ring(self, task_ids: list[int]) -> None:
        """Dispatch these tasks now, if that is quickly possible. Trouble is logged, never raised."""
        if time.monotonic() < self._quiet_until:
            return
        try:
            self._connection.ping()  # before anything is marked as dispatched
            with self._db.write() as session:
                dispatches = tasks.take_due(session, self._timing, only=task_ids)
            enqueue(self._connection, self._serializer, dispatches)
        except (RedisError, SQLAlchemyError) as error:
            self._quiet_until = time.monotonic() + QUIET_SECONDS
            log.warning("doorbell_failed", tasks=len(task_ids), error=type(error).__name__)
