"""How the workspace reaches the bot: one interface over Socket Mode and signed HTTP, with redelivery of events."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from bot.sandbox.faults import Faults
from bot.sandbox.journal import Journal, Kind

Json = dict[str, Any]
QUEUE_SECONDS = 120.0
"""How long an event waits for a bot that is away."""


class What(StrEnum):
    """The kinds of requests to a bot; the values are Socket Mode's types."""

    EVENT = "events_api"
    COMMAND = "slash_commands"
    INTERACTION = "interactive"


class Failure(StrEnum):
    """Why a request was not acknowledged; the values are redelivery's reasons."""

    AWAY = "connection_failed"  # the bot is not there
    LATE = "timeout"  # no acknowledgement in three seconds
    REFUSED = "http_error"  # an answer that is no acknowledgement


@dataclass(frozen=True)
class Retry:
    """The n-th repetition of an event, and why."""

    number: int
    reason: str


@dataclass(frozen=True)
class Answer:
    """What came back: the acknowledgement's payload, or why there is none."""

    payload: Json = field(default_factory=dict)
    failure: Failure | None = None
    seconds: float = 0.0


class Carrier(Protocol):
    """A way to the bot."""

    @property
    def connected(self) -> bool:
        """Whether the bot can be reached, as far as is known."""

    async def carry(self, what: What, payload: Json, retry: Retry | None) -> Answer:
        """Deliver once, and wait for the acknowledgement."""

    async def until_connected(self) -> None:
        """Wait for the bot."""


class Delivery:
    """Delivers through a carrier, notes it in the journal, and repeats events that were not acknowledged."""

    def __init__(
        self,
        carrier: Carrier,
        journal: Journal,
        faults: Faults,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        retry_seconds: Sequence[float],
    ) -> None:
        self.carrier = carrier
        self._journal = journal
        self._faults = faults
        self._spawn = spawn
        self._retry_seconds = tuple(retry_seconds)

    async def ask(self, what: What, payload: Json) -> Answer:
        """Deliver a command or an interaction, once: a person is waiting."""
        return await self._once(what, payload, None)

    def announce(self, payload: Json) -> None:
        """Deliver an event in the background, several times if need be."""
        self._spawn(self._event(payload))
        if self._faults.of_event(payload["event"]["type"]):
            self._spawn(self._again(payload))

    async def _again(self, payload: Json) -> None:
        await asyncio.sleep(0.2)
        await self._once(What.EVENT, payload, Retry(1, Failure.LATE.value))

    async def _event(self, payload: Json) -> None:
        retry = None
        for number, pause in enumerate((*self._retry_seconds, None), start=1):
            if not self.carrier.connected:
                try:
                    await asyncio.wait_for(self.carrier.until_connected(), QUEUE_SECONDS)
                except TimeoutError:
                    self._journal.write(Kind.DELIVERY, type=What.EVENT, request=payload, error=Failure.AWAY.value)
                    return
            answer = await self._once(What.EVENT, payload, retry)
            if answer.failure is None or pause is None:
                return
            retry = Retry(number, answer.failure.value)
            await asyncio.sleep(pause)

    async def _once(self, what: What, payload: Json, retry: Retry | None) -> Answer:
        began = time.monotonic()
        answer = await self.carrier.carry(what, payload, retry)
        self._journal.write(
            Kind.DELIVERY,
            type=what.value,
            request=payload,
            response=answer.payload or None,
            retry_num=retry.number if retry else None,
            error=answer.failure.value if answer.failure else None,
            ack_seconds=None if answer.failure else round(answer.seconds or time.monotonic() - began, 4),
        )
        return answer
