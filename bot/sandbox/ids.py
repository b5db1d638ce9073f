"""Ids and timestamps in Slack's form: opaque, unique, and increasing where Slack's do."""

import secrets
import time

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
WIDTH = 9


class Ids:
    """One workspace's source of ids and of message timestamps."""

    def __init__(self) -> None:
        self._count = 36 ** (WIDTH - 1) + secrets.randbelow(36 ** (WIDTH - 2))
        self._last_microsecond = 0

    def new(self, prefix: str) -> str:
        """An id such as `F1A2B3C4D5`."""
        self._count += 1
        digits = []
        rest = self._count
        while rest:
            rest, digit = divmod(rest, 36)
            digits.append(ALPHABET[digit])
        return prefix + "".join(reversed(digits))

    def ts(self) -> str:
        """A timestamp that is later than every one before; it names a message within its channel."""
        now = max(time.time_ns() // 1000, self._last_microsecond + 1)
        self._last_microsecond = now
        return f"{now // 1_000_000}.{now % 1_000_000:06d}"


def secret(length: int = 24) -> str:
    """Letters and digits that nobody guesses."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
