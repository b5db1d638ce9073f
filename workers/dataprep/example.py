"""The one type that every dataset format becomes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Message:
    """One message. `content` is None where an assistant only calls tools; `extra` keeps every other key."""

    role: str
    content: str | None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Example:
    """One training record. `line` is its place in the file, counted from 1."""

    messages: tuple[Message, ...]
    line: int = 0

    @property
    def prompt(self) -> tuple[Message, ...]:
        """Everything before the answer that is learnt last."""
        return self.messages[:-1]

    @property
    def answer(self) -> str:
        """The last message's text: the reference answer."""
        return (self.messages[-1].content or "") if self.messages else ""
