"""openai-chat: conversations with tools, weights and pictures; rft: prompts, and fields that a grader reads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from workers.dataprep.checks import CHAT_CHECKS, Found
from workers.dataprep.example import Example
from workers.dataprep.formats.base import (
    NOTHING,
    are_messages,
    message_records,
    messages,
    missing,
    other_format,
    rest_of,
    tools_of,
    turns_of,
)

SETTINGS = frozenset({"functions", "function_call", "parallel_tool_calls", "tool_choice", "response_format"})
"""Keys beside `messages` that OpenAI knows, and that are no reference."""
KNOWN = frozenset({"messages", "tools"})
_PLAIN = frozenset({"messages"})


def tools_and_rest(record: Mapping[str, Any], known: frozenset[str]) -> tuple[Any, Mapping[str, Any]]:
    """The declared tools, and the keys that are not known. Old `functions` count as tools and stay in the rest."""
    if record.keys() == _PLAIN:
        return (), NOTHING
    tools = tools_of(record.get("tools")) or tools_of(record.get("functions"))
    return tools, rest_of(record, known)


def with_tools(record: dict[str, Any], example: Example) -> dict[str, Any]:
    """The record with the example's tools and its other keys."""
    if example.tools and "functions" not in example.extra:
        record["tools"] = example.tools
    record.update(example.extra)
    return record


def _talk(record: Mapping[str, Any]) -> Any:
    """The conversation; AutoTrain keeps it in `text`."""
    return record["messages"] if "messages" in record else record.get("text")


@dataclass(frozen=True)
class OpenAIChat:
    """Conversations as OpenAI trains them, one a line."""

    key: str = "messages"
    id: ClassVar[str] = "openai-chat"
    method: ClassVar[str] = "sft"
    words: ClassVar[str] = "chat conversations"

    def matches(self, record: Mapping[str, Any]) -> bool:
        """It has `messages`."""
        return "messages" in record or are_messages(record.get("text"))

    def like(self, record: Mapping[str, Any]) -> Self:
        """With the list under the same key."""
        return self if "messages" in record else type(self)("text")

    def problems(self, record: Any) -> Iterator[Found]:
        """The cookbook's checks."""
        if not isinstance(record, dict) or not self.matches(record):
            yield from other_format(record, self.words)
            return
        if "messages" not in record:
            record = {**record, "messages": record.get("text")}
        for check in CHAT_CHECKS:
            yield from check(record)

    def to_example(self, record: Any, line: int) -> Example | None:
        """The conversation; its last message is the answer."""
        if type(record) is not dict:
            return None
        if record.keys() == _PLAIN:
            told = messages(record["messages"])
            return Example(told, line, turns_of(told)) if told else None
        told = messages(_talk(record))
        if not told:
            return None
        tools, rest = tools_and_rest(record, KNOWN if "messages" in record else frozenset({"text", "tools"}))
        return Example(told, line, turns_of(told), tools=tools, extra=rest)

    def to_record(self, example: Example) -> dict[str, Any]:
        """One line."""
        return with_tools({self.key: message_records(example.messages)}, example)


@dataclass(frozen=True)
class Reinforcement:
    """A prompt without an answer, and the reference fields that a grader compares an answer with."""

    id: ClassVar[str] = "rft"
    method: ClassVar[str] = "rft"
    words: ClassVar[str] = "prompts with reference fields for a grader"

    def matches(self, record: Mapping[str, Any]) -> bool:
        """Its messages end with a question, and it has fields that are no setting."""
        told = record.get("messages")
        if type(told) is not list or not told or type(told[-1]) is not dict or told[-1].get("role") == "assistant":
            return False
        return any(key not in KNOWN and key not in SETTINGS for key in record)

    def like(self, record: Mapping[str, Any]) -> Self:  # noqa: ARG002
        """There is one spelling."""
        return self

    def problems(self, record: Any) -> Iterator[Found]:
        """The cookbook's checks, but that an answer must be there; and a reference must."""
        if not isinstance(record, dict) or "messages" not in record:
            yield from other_format(record, self.words)
            return
        for check in CHAT_CHECKS:
            if check.__name__ not in {"example_missing_assistant_message", "ends_without_answer"}:
                yield from check(record)
        told = messages(record.get("messages"))
        if told and told[-1].role == "assistant":
            words = "The conversation ends with an answer, but for reinforcement the model answers. End with the user."
            yield Found("unexpected_answer", words, len(told), "drop")
        if not any(key not in KNOWN and key not in SETTINGS for key in record):
            yield missing("missing_reference", "field beside `messages` that a grader could read")

    def to_example(self, record: Any, line: int) -> Example | None:
        """The prompt, with every other field as its reference."""
        if type(record) is not dict:
            return None
        told = messages(record.get("messages"))
        if not told:
            return None
        tools, rest = tools_and_rest(record, KNOWN)
        settings = {key: value for key, value in rest.items() if key in SETTINGS}
        reference = {key: value for key, value in rest.items() if key not in SETTINGS}
        return Example(told, line, 0, reference=reference, tools=tools, extra=settings or NOTHING)

    def to_record(self, example: Example) -> dict[str, Any]:
        """One line."""
        return with_tools({"messages": message_records(example.messages), **example.reference}, example)
