"""The checks, one function each, listed once. The first seven carry the names of OpenAI's cookbook.

A check of a record gets its parsed value (untrusted JSON) and yields what is wrong with it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"  # not trainable until mended
    WARNING = "warning"  # trainable; look at it
    INFO = "info"  # good to know


@dataclass(frozen=True)
class Found:
    """What one check found in one record; `message` is the message's place in it, counted from 1."""

    check: str
    words: str
    message: int | None = None
    fix: str = ""
    severity: Severity = Severity.ERROR


KEYS = frozenset(
    {"role", "content", "name", "function_call", "weight", "tool_calls", "tool_call_id", "refusal", "audio", "parts"}
)
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
CALLS = ("tool_calls", "function_call")

Check = Callable[[Mapping[str, Any]], Iterator[Found]]


def _messages(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    messages = record.get("messages")
    return [one for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []


def missing_messages_list(record: Mapping[str, Any]) -> Iterator[Found]:
    """No list of messages, an empty one, or members that are no messages."""
    messages = record.get("messages")
    if not isinstance(messages, list) or not messages:
        yield Found("missing_messages_list", "There is no list of messages.", fix="drop")
    elif any(not isinstance(one, dict) for one in messages):
        yield Found("data_type", "A message is not an object.", fix="drop")


def message_missing_key(record: Mapping[str, Any]) -> Iterator[Found]:
    """A message without role, or without content where it calls no tool."""
    for place, message in enumerate(_messages(record), 1):
        if "role" not in message:
            yield Found("message_missing_key", "The message has no `role`.", place)
        elif "content" not in message and not any(key in message for key in CALLS):
            yield Found("message_missing_key", "The message has no `content`.", place)


def message_unrecognized_key(record: Mapping[str, Any]) -> Iterator[Found]:
    """A key that no vendor knows."""
    for place, message in enumerate(_messages(record), 1):
        unknown = sorted(str(key) for key in message if key not in KEYS)
        if unknown:
            words = f"The message has keys that are not known: {', '.join(unknown)[:200]}."
            yield Found("message_unrecognized_key", words, place, "trim")


def unrecognized_role(record: Mapping[str, Any]) -> Iterator[Found]:
    """A role that no vendor knows."""
    for place, message in enumerate(_messages(record), 1):
        role = message.get("role")
        if "role" in message and (not isinstance(role, str) or role not in ROLES):
            yield Found("unrecognized_role", f"The role {str(role)[:50]!r} is not known.", place)


def missing_content(record: Mapping[str, Any]) -> Iterator[Found]:
    """Content that is empty, or no text (parts are allowed in a user's message)."""
    for place, message in enumerate(_messages(record), 1):
        if "content" not in message or any(message.get(key) for key in CALLS):
            continue
        content = message["content"]
        if isinstance(content, list) and content and all(isinstance(one, dict) and "type" in one for one in content):
            continue
        if not isinstance(content, str) or not content:
            yield Found("missing_content", "The message has no text.", place, "drop")


def example_missing_assistant_message(record: Mapping[str, Any]) -> Iterator[Found]:
    """No answer to learn."""
    messages = _messages(record)
    if messages and not any(one.get("role") == "assistant" for one in messages):
        yield Found("example_missing_assistant_message", "There is no assistant message to learn from.", fix="drop")


def missing_system_message(record: Mapping[str, Any]) -> Iterator[Found]:
    """No system message: fine, if it will be missing when the model is used too."""
    if not any(one.get("role") in ("system", "developer") for one in _messages(record)):  # a role may be anything
        yield Found("missing_system_message", "There is no system message.", severity=Severity.WARNING)


def missing_user_message(record: Mapping[str, Any]) -> Iterator[Found]:
    """No question."""
    if not any(one.get("role") == "user" for one in _messages(record)):
        yield Found("missing_user_message", "There is no user message.", severity=Severity.WARNING)


def ends_without_answer(record: Mapping[str, Any]) -> Iterator[Found]:
    """The last message is not the assistant's: what follows the last answer is not learnt."""
    messages = _messages(record)
    if not messages or messages[-1].get("role") == "assistant":
        return
    if any(one.get("role") == "assistant" for one in messages):
        words = "The conversation does not end with the assistant's answer."
        yield Found("ends_without_answer", words, len(messages), "trim", Severity.WARNING)


def empty_answer(record: Mapping[str, Any]) -> Iterator[Found]:
    """An answer of nothing but spaces teaches silence."""
    for place, message in enumerate(_messages(record), 1):
        content = message.get("content")
        if message.get("role") == "assistant" and isinstance(content, str) and content and not content.strip():
            yield Found("empty_answer", "The answer has only spaces.", place, "drop")


CHAT_CHECKS: tuple[Check, ...] = (
    missing_messages_list,
    message_missing_key,
    message_unrecognized_key,
    unrecognized_role,
    missing_content,
    example_missing_assistant_message,
    missing_system_message,
    missing_user_message,
    ends_without_answer,
    empty_answer,
)
