"""What the workspace refuses.

SlackProblem          an answer {"ok": false, "error": code}
└── RateLimited       with status 429 and Retry-After
"""

from collections.abc import Sequence
from typing import Any


class SlackProblem(Exception):
    """The call is refused with Slack's code for it."""

    def __init__(self, code: str, messages: Sequence[str] = (), **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.messages = list(messages)
        self.extra = extra

    def answer(self) -> dict[str, Any]:
        """The body of Slack's answer."""
        body: dict[str, Any] = {"ok": False, "error": self.code, **self.extra}
        if self.messages:
            body["response_metadata"] = {"messages": self.messages}
        return body


class RateLimited(SlackProblem):
    """Too many calls of this method."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("ratelimited")
        self.retry_after = retry_after


def missing(name: str) -> SlackProblem:
    """A required argument is not there."""
    return SlackProblem("invalid_arguments", [f"[ERROR] missing required field: {name}"])
