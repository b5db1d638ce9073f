"""Trigger ids: an interaction's right to open one form, within three seconds."""

import time
from dataclasses import dataclass

from bot.sandbox.errors import SlackProblem
from bot.sandbox.ids import secret

REMEMBERED = 1_000


@dataclass
class _Trigger:
    user: str
    until: float
    used: bool = False


class Triggers:
    """Those that were handed out."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._known: dict[str, _Trigger] = {}

    def new(self, user_id: str) -> str:
        """A trigger of this person's interaction."""
        trigger_id = f"{time.time_ns() // 1_000_000}.{time.time_ns() % 1_000_000_000}.{secret(32).lower()}"
        self._known[trigger_id] = _Trigger(user_id, time.monotonic() + self._seconds)
        while len(self._known) > REMEMBERED:
            self._known.pop(next(iter(self._known)))
        return trigger_id

    def exchange(self, trigger_id: str) -> str:
        """Use it up; returns whose it was. Raises SlackProblem."""
        trigger = self._known.get(trigger_id)
        if trigger is None:
            raise SlackProblem("invalid_trigger_id")
        if trigger.used:
            raise SlackProblem("exchanged_trigger_id")
        if time.monotonic() > trigger.until:
            raise SlackProblem("expired_trigger_id")
        trigger.used = True
        return trigger.user
