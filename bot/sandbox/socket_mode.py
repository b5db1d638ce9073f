"""Socket Mode: the bot opens a WebSocket and is handed envelopes, which it acknowledges one by one."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from bot.sandbox.cast import APP_ID
from bot.sandbox.delivery import Answer, Failure, Retry, What
from bot.sandbox.ids import secret

Json = dict[str, Any]
log = structlog.get_logger()
TICKET_SECONDS = 30.0


@dataclass(eq=False)
class _Link:
    """One connection, with the envelopes that it has not acknowledged yet."""

    socket: WebSocket
    waiting: dict[str, asyncio.Future[Json]] = field(default_factory=dict)


class SocketCarrier:
    """The bot's connections. Of several, each envelope takes the next one in turn."""

    def __init__(self, ack_seconds: float, changed: Callable[[], None]) -> None:
        self._ack_seconds = ack_seconds
        self._changed = changed
        self._links: list[_Link] = []
        self._tickets: dict[str, float] = {}
        self._open = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return bool(self._links)

    async def until_connected(self) -> None:
        """Wait for a connection."""
        await self._open.wait()

    def ticket(self) -> str:
        """What a WebSocket's address must carry; good for one connection, soon."""
        ticket = secret(32)
        self._tickets[ticket] = time.monotonic() + TICKET_SECONDS
        return ticket

    async def serve(self, socket: WebSocket) -> None:
        """Hold one connection until either side ends it."""
        until = self._tickets.pop(socket.query_params.get("ticket", ""), 0.0)
        if until < time.monotonic():
            await socket.close(1008)
            return
        await socket.accept()
        link = _Link(socket)
        hello = {"type": "hello", "num_connections": len(self._links) + 1, "connection_info": {"app_id": APP_ID}}
        await socket.send_json({**hello, "debug_info": {"host": "sandbox", "approximate_connection_time": 18060}})
        self._links.append(link)
        self._tell()
        try:
            while True:
                self._take(link, await socket.receive_json())
        except WebSocketDisconnect:
            pass  # the usual end of a connection
        except (ValueError, KeyError, AttributeError):
            log.warning("socket_talks_nonsense")
            await socket.close(1003)
        finally:
            self._drop(link)

    async def carry(self, what: What, payload: Json, retry: Retry | None) -> Answer:
        """Send one envelope, and wait for its acknowledgement."""
        if not self._links:
            return Answer(failure=Failure.AWAY)
        link = self._links.pop(0)
        self._links.append(link)
        envelope_id = f"{secret(8)}-{secret(4)}-{secret(12)}".lower()
        envelope: Json = {"type": what.value, "envelope_id": envelope_id, "payload": payload}
        envelope["accepts_response_payload"] = what is not What.EVENT
        if what is What.EVENT:
            envelope |= {"retry_attempt": retry.number if retry else 0, "retry_reason": retry.reason if retry else ""}
        acked: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        link.waiting[envelope_id] = acked
        began = time.monotonic()
        try:
            await link.socket.send_json(envelope)
            payload = await asyncio.wait_for(acked, self._ack_seconds)
        except TimeoutError:
            return Answer(failure=Failure.LATE, seconds=time.monotonic() - began)
        except (WebSocketDisconnect, RuntimeError, ConnectionError):
            self._drop(link)
            return Answer(failure=Failure.AWAY, seconds=time.monotonic() - began)
        finally:
            link.waiting.pop(envelope_id, None)
        return Answer(payload, seconds=time.monotonic() - began)

    async def disconnect(self, reason: str = "") -> None:
        """End every connection; with a reason, announced as Slack does before it refreshes one."""
        for link in list(self._links):
            self._drop(link)
            if link.socket.application_state is not WebSocketState.CONNECTED:
                continue
            if reason:
                await link.socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {}})
            else:
                await link.socket.close(1012)

    def _take(self, link: _Link, message: Json) -> None:
        acked = link.waiting.get(str(message.get("envelope_id")))
        if acked is not None and not acked.done():
            payload = message.get("payload")
            acked.set_result(payload if isinstance(payload, dict) else {})

    def _drop(self, link: _Link) -> None:
        if link in self._links:
            self._links.remove(link)
            self._tell()
        for acked in link.waiting.values():
            if not acked.done():
                acked.set_exception(ConnectionError("the connection has ended"))

    def _tell(self) -> None:
        if self._links:
            self._open.set()
        else:
            self._open.clear()
        self._changed()
