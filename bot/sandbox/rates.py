"""Slack's rate limits: a bucket of calls a method, for the whole workspace; posts count a channel."""

import math
import time
from dataclasses import dataclass

from bot.sandbox.errors import RateLimited


@dataclass(frozen=True)
class Rate:
    """So many calls may come at once, and so many a second in the long run."""

    burst: float
    per_second: float


def _tier(per_minute: int) -> Rate:
    return Rate(burst=per_minute, per_second=per_minute / 60)


TIER_1, TIER_2, TIER_3, TIER_4 = _tier(1), _tier(20), _tier(50), _tier(100)
POSTING = Rate(burst=10, per_second=1)
UNLIMITED = Rate(burst=math.inf, per_second=math.inf)

RATES = {
    **dict.fromkeys(["api.test", "auth.test"], UNLIMITED),
    **dict.fromkeys(["chat.startStream", "conversations.list", "users.list"], TIER_2),
    **dict.fromkeys(
        ["chat.postEphemeral", "chat.appendStream", "conversations.members", "users.info", "views.open", "views.push",
         "views.update", "views.publish", "files.getUploadURLExternal", "files.completeUploadExternal", "files.info",
         "assistant.threads.setStatus"],
        TIER_4,
    ),
    "chat.getPermalink": UNLIMITED,
    "chat.postMessage": POSTING,
}  # fmt: skip
"""What is not named here is of tier 3."""


class Rates:
    """The buckets of one workspace."""

    def __init__(self, *, enforced: bool) -> None:
        self._enforced = enforced
        self._left: dict[tuple[str, str], tuple[float, float]] = {}

    def spend(self, method: str, channel: str) -> None:
        """Count a call. Raises RateLimited."""
        rate = RATES.get(method, TIER_3)
        if not self._enforced or rate is UNLIMITED:
            return
        key = (method, channel if rate is POSTING else "")
        now = time.monotonic()
        left, since = self._left.get(key, (rate.burst, now))
        left = min(rate.burst, left + (now - since) * rate.per_second)
        if left < 1:
            self._left[key] = (left, now)
            raise RateLimited(math.ceil((1 - left) / rate.per_second))
        self._left[key] = (left - 1, now)
