"""Every text of an example in which secrets, personal data or mojibake may stand: to look at, and to rewrite."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from workers.dataprep.example import Example, Message

MOST_DEPTH = 100
"""As deep as records may be nested at all."""


def texts(example: Example) -> Iterator[tuple[str, int | None]]:
    """Each text with the place of its message, counted from 1; None for what is in none of the messages."""
    for place, message in enumerate(example.messages, 1):
        yield from ((text, place) for text in _of_message(message))
    for message in example.rejected:
        yield from ((text, None) for text in _of_message(message))
    for value in (example.reference, example.tools, example.extra):
        if value:
            yield from ((text, None) for text in _strings(value))


def rewritten(example: Example, change: Callable[[str], str]) -> Example:
    """The example with every text changed; the same object where nothing changes."""
    messages = tuple(_message(one, change) for one in example.messages)
    rejected = tuple(_message(one, change) for one in example.rejected)
    reference, tools, extra = (_value(one, change, 0) for one in (example.reference, example.tools, example.extra))
    parts = (messages, rejected, reference, tools, extra)
    if parts == (example.messages, example.rejected, example.reference, example.tools, example.extra):
        return example
    return replace(example, messages=messages, rejected=rejected, reference=reference, tools=tools, extra=extra)


def rewritten_value(value: Any, change: Callable[[str], str]) -> Any:
    """A record's JSON value with every text changed, but for keys."""
    return _value(value, change, 0)


def _of_message(message: Message) -> Iterator[str]:
    if isinstance(message.content, str):
        yield message.content
    elif message.content:
        yield from _strings(message.content)
    if message.extra:
        yield from _strings(message.extra)


def _strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value, but for keys."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            waiting.extend(reversed(list(one.values())))
        elif isinstance(one, Sequence):
            waiting.extend(reversed(one))


def _message(message: Message, change: Callable[[str], str]) -> Message:
    if isinstance(message.content, str) and not message.extra:
        content = change(message.content)
        return message if content == message.content else replace(message, content=content)
    return replace(message, content=_value(message.content, change, 0), extra=_value(message.extra, change, 0))


def _value(value: Any, change: Callable[[str], str], depth: int) -> Any:
    """A JSON value with each text in it changed. It is bounded: records are not nested deeper than MOST_DEPTH."""
    if isinstance(value, str):
        return change(value)
    if depth > MOST_DEPTH:
        return value
    if isinstance(value, Mapping):
        return {key: _value(one, change, depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_value(one, change, depth + 1) for one in value)
    return value
