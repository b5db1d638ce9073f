"""response_urls: an interaction's right to answer where it happened, five times within thirty minutes."""

import time
from dataclasses import dataclass

from bot.sandbox.cast import TEAM_ID
from bot.sandbox.errors import SlackProblem
from bot.sandbox.ids import secret

USES = 5
SECONDS = 1800.0


@dataclass
class Occasion:
    """Where an answer goes: to a person in a channel, and maybe in place of the message that was acted on."""

    user: str
    channel: str
    message_ts: str = ""
    thread_ts: str | None = None
    uses: int = 0
    until: float = 0.0


class ResponseUrls:
    """Those that were handed out."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._known: dict[str, Occasion] = {}

    def new(self, occasion: Occasion) -> str:
        """The address for an occasion."""
        key = secret(24)
        occasion.until = time.monotonic() + SECONDS
        self._known[key] = occasion
        return f"{self._url}/response/{TEAM_ID}/{key}"

    def spend(self, key: str) -> Occasion:
        """Use it once. Raises SlackProblem."""
        occasion = self._known.get(key)
        if occasion is None or time.monotonic() > occasion.until:
            raise SlackProblem("expired_url")
        if occasion.uses >= USES:
            raise SlackProblem("used_url")
        occasion.uses += 1
        return occasion
