"""sharegpt: `conversations` of turns with `from` and `value`, a system text and tools beside them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from workers.dataprep.checks import Found
from workers.dataprep.example import Example, Message
from workers.dataprep.formats.base import (
    missing,
    other_format,
    rest_of,
    tools_of,
    tools_problem,
    turns_of,
)
from workers.dataprep.formats.pairs import headed
from workers.dataprep.formats.speakers import as_turns, speaker, told, tools_text, turn_problems

KEYS = ("conversations", "conversation")
_KNOWN = frozenset({*KEYS, "system", "tools"})


def turns_in(record: Mapping[str, Any]) -> Any:
    """The list of turns, under either name."""
    return record["conversations"] if "conversations" in record else record.get("conversation")


def structure(record: Mapping[str, Any]) -> Iterator[Found]:
    """What is wrong with a record's list of turns and tools."""
    turns = turns_in(record)
    if not isinstance(turns, list) or not turns:
        yield Found(
            "missing_messages_list",
            "There is no list of turns in `conversations`. Fill it in, or leave the example out.",
            fix="drop",
        )
        return
    yield from turn_problems(turns)
    yield from tools_problem(record.get("tools"))


@dataclass(frozen=True)
class ShareGPT:
    """Conversations as ShareGPT's exports write them."""

    key: str = KEYS[0]
    id: ClassVar[str] = "sharegpt"
    method: ClassVar[str] = "sft"
    words: ClassVar[str] = "ShareGPT conversations"

    def matches(self, record: Mapping[str, Any]) -> bool:
        """It has `conversations`, or `conversation`."""
        return "conversations" in record or type(record.get("conversation")) is list

    def like(self, record: Mapping[str, Any]) -> Self:
        """With the list under the same key."""
        return self if "conversations" in record else type(self)(KEYS[1])

    def problems(self, record: Any) -> Iterator[Found]:
        """Turns that cannot be read, and conversations without an answer."""
        if not isinstance(record, dict) or not record.keys() & set(KEYS):
            yield from other_format(record, self.words)
            return
        yield from structure(record)
        turns = turns_in(record)
        if not isinstance(turns, list) or not turns:
            return
        roles = [speaker(one) for one in turns if isinstance(one, dict)]
        if "assistant" not in roles:
            yield missing("missing_answer", "turn of the assistant to learn from")

    def to_example(self, record: Any, line: int) -> Example | None:
        """The conversation, roles as OpenAI names them."""
        if type(record) is not dict:
            return None
        some = headed(record, told(turns_in(record)))
        if not some:
            return None
        tools = tools_of(record["tools"]) if "tools" in record else ()
        return Example(some, line, turns_of(some), tools=tools, extra=rest_of(record, _KNOWN))

    def to_record(self, example: Example) -> dict[str, Any]:
        """The system text and the tools stand beside the turns."""
        return {self.key: as_turns(_body(example)), **beside(example), **example.extra}


def _body(example: Example) -> tuple[Message, ...]:
    return example.messages[1:] if "system" in beside(example) else example.messages


def beside(example: Example) -> dict[str, Any]:
    """The system text and the tools of a ShareGPT record."""
    fields: dict[str, Any] = {}
    first = example.messages[0] if example.messages else None
    alone = len(example.messages) < 2 or example.messages[1].role != "system"
    if first and alone and first.role == "system" and type(first.content) is str and first.content and not first.extra:
        fields["system"] = first.content
    if example.tools:
        fields["tools"] = tools_text(example.tools)
    return fields
