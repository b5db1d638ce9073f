"""The live feed: whatever changes is told to the browsers of those who may see it."""

import asyncio
from collections.abc import Collection
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

Json = dict[str, Any]
MOST_WAITING = 5_000


class Live:
    """Everybody who is listening, each with a queue of frames."""

    def __init__(self) -> None:
        self._listeners: dict[asyncio.Queue[Json | None], str] = {}

    def tell(self, frame: Json, audience: Collection[str] | None = None) -> None:
        """Send a frame to these users' browsers; None: to all."""
        for queue, user_id in list(self._listeners.items()):
            if audience is not None and user_id not in audience:
                continue
            if queue.qsize() >= MOST_WAITING:  # a browser that does not read; it reloads when it comes back
                self._listeners.pop(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(frame)

    async def serve(self, socket: WebSocket, user_id: str) -> None:
        """Feed one browser until it leaves."""
        await socket.accept()
        queue: asyncio.Queue[Json | None] = asyncio.Queue()
        self._listeners[queue] = user_id
        leaving = asyncio.create_task(_until_gone(socket, queue))
        try:
            while (frame := await queue.get()) is not None:
                await socket.send_json(frame)
            if not leaving.done():
                await socket.close(1001)
        except WebSocketDisconnect:
            return  # it left while something was on its way
        finally:
            leaving.cancel()
            self._listeners.pop(queue, None)

    def close(self) -> None:
        """Let everybody go."""
        for queue in self._listeners:
            queue.put_nowait(None)


async def _until_gone(socket: WebSocket, queue: asyncio.Queue[Json | None]) -> None:
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        queue.put_nowait(None)
