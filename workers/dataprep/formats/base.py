"""What every format has, and how values of untrusted JSON become messages."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, Self

import orjson

from workers.dataprep.checks import Found, Severity
from workers.dataprep.example import Example, Message

NOTHING: Mapping[str, Any] = {}
"""The `extra` of a message that has no other keys: one for all of them."""
MESSAGE_KEYS = frozenset({"role", "content"})
STRUCTURE_DEPTH = 100
"""JSON inside of a text is not read deeper than this."""


class DatasetFormat(Protocol):
    """A format: whether a record is in it, what is wrong with a record, and the way there and back.

    A record is one parsed JSON value, untrusted. Implementations are small frozen values, so that they can be sent
    to another process.
    """

    @property
    def id(self) -> str:
        """Its name, such as `openai-chat`."""

    @property
    def method(self) -> str:
        """What it trains: sft, dpo, kto or rft."""

    @property
    def words(self) -> str:
        """What people call it: "chat conversations"."""

    def matches(self, record: Mapping[str, Any]) -> bool:
        """Whether this object looks like a record of this format, broken or not."""

    def like(self, record: Mapping[str, Any]) -> Self:
        """This format, spelled as this record spells it, for writing such records back."""

    def problems(self, record: Any) -> Iterator[Found]:
        """What is wrong with the structure of this record."""

    def to_example(self, record: Any, line: int) -> Example | None:
        """The record's example; None only where `problems` has an error."""

    def to_record(self, example: Example) -> dict[str, Any]:
        """The example as a record of this format."""


def as_text(value: Any) -> str:
    """A cell's value as the text that is trained: numbers and truth values as JSON writes them."""
    if type(value) is str:
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, (dict, list)):
        return orjson.dumps(value).decode()
    return str(value)


def loaded(text: str) -> Any:
    """The JSON value that a text holds; None where it holds none."""
    from workers.dataprep import json_values

    return json_values.strict(text.encode("utf-8", "surrogatepass")).value


def is_message(value: Any) -> bool:
    """Whether this is one message, as OpenAI or as ShareGPT writes it."""
    return isinstance(value, dict) and ("role" in value or ("from" in value and "value" in value))


def are_messages(value: Any) -> bool:
    """Whether this is a list of messages."""
    return isinstance(value, list) and bool(value) and all(is_message(one) for one in value)


def content_of(value: Any) -> str | Sequence[Mapping[str, Any]] | None:
    """A message's content: text, parts or nothing; what else stands there becomes text."""
    if type(value) is str or value is None:
        return value
    if type(value) is list:
        return value if all(type(one) is dict for one in value) else [one for one in value if type(one) is dict]
    return as_text(value)


def message(value: Mapping[str, Any]) -> Message:
    """A message as OpenAI writes it."""
    role = value.get("role", "")
    content = value.get("content")
    if type(role) is not str:
        role = as_text(role)
    if type(content) is not str:
        content = content_of(content)
    if len(value) == 2 and "role" in value and "content" in value:
        return Message(role, content, NOTHING)
    extra = {key: one for key, one in value.items() if key not in MESSAGE_KEYS}
    return Message(role, content, extra or NOTHING)


def messages(values: Any) -> tuple[Message, ...]:
    """The messages of a list; what is no message in it is left out (and is a finding)."""
    if type(values) is not list:
        return ()
    return tuple([message(one) for one in values if type(one) is dict])


def message_record(one: Message) -> dict[str, Any]:
    """A message as OpenAI writes it."""
    if one.content is None and one.extra:
        return {"role": one.role, **one.extra}
    return {"role": one.role, "content": one.content, **one.extra}


def message_records(some: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as OpenAI writes them."""
    return [message_record(one) for one in some]


def tools_of(value: Any) -> Sequence[Mapping[str, Any]]:
    """Declared functions: OpenAI's list of tools, a bare list of functions, or either as JSON text."""
    if type(value) is str:
        value = loaded(value) if value.lstrip()[:1] in {"[", "{"} else None
    if type(value) is dict:
        value = [value]
    if type(value) is not list or not value:
        return ()
    if all(type(one) is dict and "function" in one for one in value):
        return value
    return [one if "function" in one else {"type": "function", "function": one} for one in value if type(one) is dict]


def tools_problem(value: Any) -> Iterator[Found]:
    """A `tools` column that holds something, but no list of functions."""
    empty = value is None or value == [] or (isinstance(value, str) and value.strip() in {"", "[]", "{}"})
    if not empty and not tools_of(value):
        yield Found("invalid_tools", "`tools` is not a list of functions. Write it as OpenAI does, or as JSON text.")


def rest_of(record: Mapping[str, Any], known: frozenset[str]) -> Mapping[str, Any]:
    """The keys of a record that its format does not know."""
    if record.keys() <= known:
        return NOTHING
    return {key: value for key, value in record.items() if key not in known}


def turns_of(some: Sequence[Message]) -> int:
    """How many of the last messages are the answer: one, or none where the assistant does not speak last."""
    return 1 if some and some[-1].role == "assistant" else 0


def other_format(record: Any, words: str) -> Iterator[Found]:
    """A line that is no object, or none of the format of the others."""
    if not isinstance(record, dict):
        yield Found("data_type", "This is no JSON object, so it is no example. Leave it out.", fix="drop")
    else:
        keys = ", ".join(sorted(map(str, record))[:6]) or "no keys"
        found = f"The file has {words}, but this one has {keys[:200]}. Write it like the others, or leave it out."
        yield Found("other_format", found, fix="drop")


def missing(check: str, what: str, *, place: int | None = None) -> Found:
    """Something that the example cannot do without."""
    return Found(check, f"There is no {what}. Fill it in, or leave the example out.", place, "drop")


def warned(check: str, words: str, *, place: int | None = None, fix: str = "") -> Found:
    """Something to look at."""
    return Found(check, words, place, fix, Severity.WARNING)
