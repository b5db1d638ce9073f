"""What went over the wire, both ways, for assertions and for the curious."""

import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Any

Json = dict[str, Any]
MOST_ENTRIES = 5_000


class Kind(StrEnum):
    """Which way it went."""

    CALL = "call"  # from the bot: a Web API call or a response_url
    DELIVERY = "delivery"  # to the bot: an event, a command, an interaction


class Journal:
    """The newest entries, numbered. `told` hears of each as it is written."""

    def __init__(self, told: Callable[[Json], None], *, keeping: bool) -> None:
        self._entries: deque[Json] = deque(maxlen=MOST_ENTRIES)
        self._told = told
        self._keeping = keeping
        self._count = 0

    def write(self, kind: Kind, **content: Any) -> None:
        """Note one exchange; what is None is left out."""
        if not self._keeping:
            return
        self._count += 1
        entry = {"n": self._count, "at": round(time.time(), 3), "kind": kind.value}
        entry |= {name: value for name, value in content.items() if value is not None}
        self._entries.append(entry)
        self._told(entry)

    def read(self, after: int = 0, kind: str = "") -> list[Json]:
        """The entries with a higher number, oldest first."""
        return [entry for entry in self._entries if entry["n"] > after and kind in {"", entry["kind"]}]
