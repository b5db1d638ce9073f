"""The one type that every dataset format becomes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Parts = Sequence[Mapping[str, Any]]
"""Content in several parts (text, pictures, audio), as the vendors write it: objects with a `type`."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `content` is None where an assistant only calls tools; `extra` keeps every other key."""

    role: str
    content: str | Parts | None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The words of the content: empty for none, the text parts joined for several."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(str(one.get("text")) for one in self.content or () if one.get("type") == "text")


@dataclass(frozen=True, slots=True)
class Example:
    """One training record; `line` is its place in the file (a line, a member of an array, a table's row).

    The last `turns` messages are the answer to learn: one for most conversations, none for reinforcement,
    where a grader compares what the model says with `reference`.
    """

    messages: tuple[Message, ...]
    line: int = 0
    turns: int = 1
    rejected: tuple[Message, ...] = ()
    """dpo: the answer to the same prompt that is not wanted."""
    label: bool | None = None
    """kto: whether the answer is wanted."""
    reference: Mapping[str, Any] = field(default_factory=dict)
    """rft: the fields that a grader reads."""
    tools: Sequence[Mapping[str, Any]] = ()
    """The functions that the model may call, as OpenAI declares them."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Every other key of the record, so that writing it back loses nothing."""

    @property
    def prompt(self) -> tuple[Message, ...]:
        """Everything before the answer that is learnt."""
        return self.messages[: len(self.messages) - self.turns]

    @property
    def answers(self) -> tuple[Message, ...]:
        """The messages that are the answer."""
        return self.messages[len(self.messages) - self.turns :]

    @property
    def answer(self) -> str:
        """The last message's words: the reference answer; empty where there is none."""
        return self.messages[-1].text if self.messages and self.turns else ""
