"""Faults on demand: the next calls of a method fail, are late, or are carried out without an answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bot.sandbox.errors import SlackProblem


class FaultKind(StrEnum):
    """What goes wrong."""

    ERROR = "error"  # the call is refused with an error of one's choice
    STATUS = "status"  # an HTTP status and no JSON
    DELAY = "delay"  # carried out and answered, but late
    DROP_RESPONSE = "drop_response"  # carried out, then the connection is cut without an answer
    RATELIMITED = "ratelimited"  # status 429 with Retry-After
    DISCONNECT = "disconnect"  # all sockets of the bot are cut at once; with an `error`, the bot is asked to come anew
    REDELIVER = "redeliver"  # the next events come twice; `method` may name the event's type


@dataclass
class Fault:
    """One kind of fault for the next `times` calls of a method ("*": of any)."""

    kind: FaultKind
    method: str = "*"
    times: int = 1
    error: str = ""
    status: int = 500
    seconds: float = 2.0
    retry_after: float = 1.0


class Faults:
    """Those that are still to happen, first come first served."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fields: Mapping[str, Any]) -> Fault:
        """Ask for a fault. Raises SlackProblem for one there is not."""
        try:
            fault = Fault(
                kind=FaultKind(str(fields["kind"])),
                method=str(fields.get("method") or "*"),
                times=max(1, int(fields.get("times") or 1)),
                error=str(fields.get("error") or ""),
                status=int(fields.get("status") or 500),
                seconds=float(fields.get("seconds") or 2.0),
                retry_after=float(fields.get("retry_after") or 1.0),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise SlackProblem("invalid_arguments", [f"no such fault: {error}"]) from error
        if fault.kind is not FaultKind.DISCONNECT:
            self._waiting.append(fault)
        return fault

    def clear(self) -> None:
        """Forget them all."""
        self._waiting.clear()

    def of_call(self, method: str) -> Fault | None:
        """The fault of this call, which is thereby used up once."""
        return self._take(method, lambda fault: fault.kind is not FaultKind.REDELIVER)

    def of_event(self, event_type: str) -> bool:
        """Whether this event comes twice."""
        return self._take(event_type, lambda fault: fault.kind is FaultKind.REDELIVER) is not None

    def _take(self, name: str, fits: Any) -> Fault | None:
        for fault in self._waiting:
            if fault.method in {"*", name} and fits(fault):
                fault.times -= 1
                if not fault.times:
                    self._waiting.remove(fault)
                return fault
        return None
