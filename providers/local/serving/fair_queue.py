"""Questions that wait, taken in turns: who has asked fifty keeps nobody else waiting for fifty answers.

Everybody has a line of their own. The next question is that of whoever has the fewest answers under way, and among
those of whoever was served longest ago.
"""

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping

from providers.local.serving.generation import Generation

MOST_WAITING = 1024
MOST_WAITING_EACH = 256


class Busy(Exception):
    """Too many questions wait already."""


class FairQueue:
    """Lines of questions. The caller holds a lock."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[Generation]] = OrderedDict()  # who was served longest ago comes first

    def __len__(self) -> int:
        return sum(len(line) for line in self._lines.values())

    def add(self, generation: Generation) -> None:
        """Put a question at the end of its asker's line. Raises Busy."""
        asker = generation.question.user
        if self._is_full(asker):
            self._forget_cancelled()
            if self._is_full(asker):
                raise Busy
        self._lines.setdefault(asker, deque()).append(generation)

    def take(
        self, room: int, running: Mapping[str, int], most_each: int, may: Callable[[Generation], bool]
    ) -> list[Generation]:
        """At most `room` questions that `may` begin now. `running` are the answers under way, by asker."""
        self._forget_cancelled()
        under_way = Counter(running)
        taken: list[Generation] = []
        held_up: set[str] = set()
        while len(taken) < room:
            turns = [one for one in self._lines if one not in held_up and under_way[one] < most_each]
            if not turns:
                break
            asker = min(turns, key=lambda one: under_way[one])  # the first of equals: served longest ago
            found = next((one for one in self._lines[asker] if may(one)), None)
            if found is None:
                held_up.add(asker)
                continue
            self._lines[asker].remove(found)
            self._lines.move_to_end(asker)
            under_way[asker] += 1
            taken.append(found)
        self._lines = OrderedDict((asker, line) for asker, line in self._lines.items() if line)
        return taken

    def oldest(self, may_not: Callable[[Generation], bool], seconds: float) -> Generation | None:
        """Of the questions that may not begin now, the oldest, if it has waited for so long."""
        waiting = [one for line in self._lines.values() for one in line if may_not(one)]
        found = min(waiting, key=lambda one: one.asked_at, default=None)
        return found if found is not None and time.monotonic() - found.asked_at >= seconds else None

    def _is_full(self, asker: str) -> bool:
        return len(self._lines.get(asker, ())) >= MOST_WAITING_EACH or len(self) >= MOST_WAITING

    def _forget_cancelled(self) -> None:
        for asker, line in self._lines.items():
            self._lines[asker] = deque(one for one in line if not one.cancelled.is_set())
