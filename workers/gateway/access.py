"""Which key asks: from the Authorization header to the endpoint that it opens."""

import asyncio
import time

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from workers import keys
from workers.db import Database
from workers.gateway.openai_protocol import Refusal
from workers.tables import ApiKey, Endpoint

log = structlog.get_logger()


class Access:
    """Checks keys, and notes beside the requests when each was last used."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._noted: dict[int, float] = {}
        self._writing: set[asyncio.Task[None]] = set()

    async def check(self, request: Request) -> tuple[ApiKey, Endpoint]:
        """The key that asks and its endpoint. Raises Refusal."""
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        secret = secret.strip()
        if scheme.lower() != "bearer" or not secret:
            raise _refused("Send your API key as a header: 'Authorization: Bearer ftb-...'.")
        found = await run_in_threadpool(self._verify, secret)
        if found is None:
            raise _refused("This API key is unknown or was revoked. Ask in Slack for a new one.")
        self._note(found[0])
        return found

    async def close(self) -> None:
        """Wait for what is being noted."""
        await asyncio.gather(*self._writing)

    def _verify(self, secret: str) -> tuple[ApiKey, Endpoint] | None:
        with self._db.read() as session:
            return keys.verify(session, secret)

    def _note(self, key: ApiKey) -> None:
        """Write `last_used_at` beside the request, once a minute, also where writing fails."""
        key_id, now = key.id or 0, time.monotonic()
        if now - self._noted.get(key_id, -keys.USE_SECONDS) < keys.USE_SECONDS:
            return
        self._noted[key_id] = now
        task = asyncio.create_task(run_in_threadpool(self._write, key_id))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    def _write(self, key_id: int) -> None:
        try:
            with self._db.write() as session:
                keys.note_use(session, key_id)
        except SQLAlchemyError as error:
            log.warning("key_use_not_noted", api_key_id=key_id, error=type(error).__name__)


def _refused(words: str) -> Refusal:
    return Refusal(401, words, type="authentication_error", code="invalid_api_key")
