"""Answers on their way: a thread draws each from its provider, the event loop hands it on.

There are only so many threads, and only so many for one key. A place is taken until the provider's iterator is
closed, also after the client has gone.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress

from providers.base import ChatChunk
from workers.gateway.openai_protocol import Refusal

MOST_AT_ONCE = 64
MOST_A_KEY = 8
BUSY_SECONDS = 2.0
"""A client that found no place is told to try again after so long."""

Draw = Callable[[], Iterator[ChatChunk]]


class Generation:
    """One answer. Read `chunks()` once; `cancel()` closes the provider's iterator after its next piece."""

    def __init__(self, draw: Draw, release: Callable[[], None]) -> None:
        self._draw = draw
        self._release = release
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[ChatChunk | Exception | None] = asyncio.Queue()
        self._cancelled = threading.Event()
        threading.Thread(target=self._run, name="generation", daemon=True).start()

    def cancel(self) -> None:
        """Nobody reads any more."""
        self._cancelled.set()

    async def chunks(self) -> AsyncGenerator[ChatChunk]:
        """The answer's pieces. Raises what the provider raised."""
        try:
            while (piece := await self._pieces.get()) is not None:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            self.cancel()

    def _run(self) -> None:
        try:
            self._draw_all()
        except Exception as error:  # noqa: BLE001 -- a thread's edge: raised again where the answer is read
            self._hand_over(error)
        else:
            self._hand_over(None)
        finally:
            self._release()

    def _draw_all(self) -> None:
        if self._cancelled.is_set():
            return
        pieces = self._draw()
        try:
            for piece in pieces:
                if self._cancelled.is_set():
                    return
                if not piece.stage:
                    self._hand_over(piece)
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()

    def _hand_over(self, piece: ChatChunk | Exception | None) -> None:
        with suppress(RuntimeError):  # the loop is closed: this process is ending
            self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)


class Places:
    """How many answers may be on their way."""

    def __init__(self, at_once: int = MOST_AT_ONCE, a_key: int = MOST_A_KEY) -> None:
        self._at_once = at_once
        self._a_key = a_key
        self._taken: Counter[int] = Counter()
        self._lock = threading.Lock()

    def start(self, key_id: int, draw: Draw) -> Generation:
        """Begin to draw an answer. Raises Refusal where there is no place."""
        with self._lock:
            if self._taken[key_id] >= self._a_key:
                raise _busy(f"This API key has {self._a_key} requests under way already. Wait for one to end.")
            if self._taken.total() >= self._at_once:
                raise _busy("Too many requests are under way. Try again in a moment.")
            self._taken[key_id] += 1
        try:
            return Generation(draw, lambda: self._release(key_id))
        except RuntimeError:  # there is no thread to be had
            self._release(key_id)
            raise

    def taken(self) -> int:
        """How many answers are on their way now."""
        with self._lock:
            return self._taken.total()

    def _release(self, key_id: int) -> None:
        with self._lock:
            self._taken[key_id] -= 1
            if self._taken[key_id] <= 0:
                del self._taken[key_id]


def _busy(words: str) -> Refusal:
    return Refusal(429, words, type="rate_limit_error", code="rate_limit_exceeded", retry_after=BUSY_SECONDS)
