"""Whether what the gateway needs answers: the database and the queue."""

import asyncio
from collections.abc import Callable

import anyio
import anyio.to_thread
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from workers.db import Database
from workers.queues.connection import connect_briefly

PATIENCE_SECONDS = 3.0
"""What has not answered by then is not ready."""


class Health:
    """Looks at each when asked, at most at a few at once: one that hangs does not take threads from answers."""

    def __init__(self, db: Database, queue_url: str) -> None:
        self._db = db
        self._queue_url = queue_url
        self._threads = anyio.CapacityLimiter(4)

    async def look(self) -> dict[str, bool]:
        """By name, whether it answers."""
        database, queue = await asyncio.gather(self._answers(self._ask_database), self._answers(self._ask_queue))
        return {"database": database, "queue": queue}

    async def _answers(self, ask: Callable[[], bool]) -> bool:
        with anyio.move_on_after(PATIENCE_SECONDS):
            return await anyio.to_thread.run_sync(ask, abandon_on_cancel=True, limiter=self._threads)
        return False

    def _ask_database(self) -> bool:
        try:
            with self._db.read() as session:
                session.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return False
        return True

    def _ask_queue(self) -> bool:
        connection = connect_briefly(self._queue_url, PATIENCE_SECONDS / 2)
        try:
            connection.ping()
        except RedisError:
            return False
        finally:
            connection.close()
        return True
