"""Checks of raw chat records, as OpenAI writes them. The seven errors carry the names of OpenAI's cookbook.

A check gets a record's parsed value (untrusted JSON) and yields what is wrong with it. Keys and roles are today's:
tools, developers, refusals and content in parts are no errors.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from workers.dataprep.checks.found import Found, Severity
from workers.dataprep.checks.parts import part_problems

Check = Callable[[Mapping[str, Any]], Iterator[Found]]

KEYS = frozenset(
    {"role", "content", "name", "function_call", "weight", "tool_calls", "tool_call_id", "refusal", "audio"}
    | {"annotations", "reasoning_content"}
)
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
CALLS = ("tool_calls", "function_call")


def _messages(record: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
    """The messages with their places, counted from 1; what is no message is left out."""
    messages = record.get("messages")
    if not isinstance(messages, list):
        return []
    return [(place, one) for place, one in enumerate(messages, 1) if isinstance(one, dict)]


def _calls(message: Mapping[str, Any]) -> bool:
    return bool(message.get("tool_calls") or message.get("function_call"))


def missing_messages_list(record: Mapping[str, Any]) -> Iterator[Found]:
    """No list of messages, or an empty one."""
    messages = record.get("messages")
    if "messages" not in record:
        yield Found("missing_messages_list", "There is no `messages` list. Add one, or drop the line.", fix="drop")
    elif not isinstance(messages, list):
        words = f"`messages` is {_kind(messages)}, where a list of messages should be. Mend it, or drop the line."
        yield Found("missing_messages_list", words, fix="drop")
    elif not messages:
        yield Found("missing_messages_list", "The `messages` list is empty. Fill it, or drop the line.", fix="drop")


def data_type(record: Mapping[str, Any]) -> Iterator[Found]:
    """A value of the wrong kind where a message, a name, an id or a refusal should be."""
    messages = record.get("messages")
    for place, message in enumerate(messages if isinstance(messages, list) else (), 1):
        if not isinstance(message, dict):
            words = f"This is {_kind(message)}, where a message with `role` and `content` should be. Mend or drop it."
            yield Found("data_type", words, place, "drop")
            continue
        for key in ("name", "tool_call_id", "refusal"):
            if message.get(key) is not None and not isinstance(message[key], str):
                yield Found("data_type", f"`{key}` is {_kind(message[key])}, where text should be.", place, "drop")


def message_missing_key(record: Mapping[str, Any]) -> Iterator[Found]:
    """A message without role, or without content where it calls no tool."""
    for place, message in _messages(record):
        role = message.get("role")
        if "role" not in message:
            words = "The message has no `role`. Say who speaks: system, user, assistant or tool."
            yield Found("message_missing_key", words, place, "drop")
        elif "content" not in message and not _calls(message) and not message.get("refusal"):
            words = "The message has no `content`. Write its text, or drop the line."
            yield Found("message_missing_key", words, place, "drop")
        if role == "tool" and message.get("tool_call_id") is None:
            words = "The tool's result has no `tool_call_id`. Name the call that it answers."
            yield Found("message_missing_key", words, place, "drop")
        if role == "function" and message.get("name") is None:
            words = "The function's result has no `name`. Name the function that it comes from."
            yield Found("message_missing_key", words, place, "drop")


def message_unrecognized_key(record: Mapping[str, Any]) -> Iterator[Found]:
    """A key that no vendor knows."""
    for place, message in _messages(record):
        unknown = sorted(key for key in message if key not in KEYS)
        if unknown:
            named = ", ".join(f"`{key[:40]}`" for key in unknown[:5]) + (", …" if len(unknown) > 5 else "")
            words = f"The message has {named}, which providers do not know. Remove it; move what matters to the text."
            yield Found("message_unrecognized_key", words, place, "trim")


def unrecognized_role(record: Mapping[str, Any]) -> Iterator[Found]:
    """A role that no vendor knows."""
    for place, message in _messages(record):
        role = message.get("role")
        if "role" in message and (not isinstance(role, str) or role not in ROLES):
            shown = repr(role[:40]) if isinstance(role, str) else _kind(role)
            words = f"The role is {shown}. Use system, developer, user, assistant or tool."
            yield Found("unrecognized_role", words, place, "drop")


def missing_content(record: Mapping[str, Any]) -> Iterator[Found]:
    """Content that is empty, or neither text nor a list of parts."""
    for place, message in _messages(record):
        content = message.get("content")
        if "content" not in message or (isinstance(content, str | list) and content):
            continue
        if content is None and (_calls(message) or message.get("refusal") or message.get("role") == "function"):
            continue
        if content == "" and _calls(message):
            continue
        said = "null" if content is None else "empty" if content in ("", []) else f"{_kind(content)}, not text"
        words = f"The message's content is {said}. Write what is said there, or drop the line."
        yield Found("missing_content", words, place, "drop")


def example_missing_assistant_message(record: Mapping[str, Any]) -> Iterator[Found]:
    """No answer to learn."""
    messages = _messages(record)
    if messages and not any(one.get("role") == "assistant" for _, one in messages):
        words = "There is no assistant message, so there is nothing to learn. Add the answer, or drop the line."
        yield Found("example_missing_assistant_message", words, fix="drop")


def content_parts(record: Mapping[str, Any]) -> Iterator[Found]:
    """A part of a message's content that is malformed, or that this role may not have."""
    for place, message in _messages(record):
        content = message.get("content")
        if isinstance(content, list):
            for words in part_problems(content, message.get("role")):
                yield Found("bad_content_part", words, place, "drop")


def message_weight(record: Mapping[str, Any]) -> Iterator[Found]:
    """A weight that is not 0 or 1, or stands where nothing is learnt."""
    for place, message in _messages(record):
        if message.get("weight") is None:
            continue
        weight = message["weight"]
        if isinstance(weight, bool) or not isinstance(weight, int | float) or weight not in (0, 1):
            words = "The message's `weight` is not 0 or 1. Write 1 to learn this answer, 0 to leave it out."
            yield Found("bad_weight", words, place, "trim")
        elif message.get("role") != "assistant":
            words = "Only an assistant's message has a `weight`; here it does nothing. Remove it."
            yield Found("bad_weight", words, place, "trim", Severity.WARNING)


def nothing_to_learn(record: Mapping[str, Any]) -> Iterator[Found]:
    """Every answer has weight 0."""
    weights = [one.get("weight") for _, one in _messages(record) if one.get("role") == "assistant"]
    if weights and all(type(weight) in (int, float) and weight == 0 for weight in weights):
        words = "Every answer has weight 0, so nothing is learnt from this line. Give one weight 1, or drop the line."
        yield Found("nothing_to_learn", words, fix="drop", severity=Severity.WARNING)


def missing_system_message(record: Mapping[str, Any]) -> Iterator[Found]:
    """No system message: fine, if it will be missing when the model is used too."""
    messages = _messages(record)
    if messages and not any(
        one.get("role") in ("system", "developer") for _, one in messages
    ):  # a role may be anything
        words = "There is no system message. Fine, if you will use the model without one; else add the same one to all."
        yield Found("missing_system_message", words, severity=Severity.WARNING)


def missing_user_message(record: Mapping[str, Any]) -> Iterator[Found]:
    """No question."""
    messages = _messages(record)
    if messages and not any(one.get("role") == "user" for _, one in messages):
        words = "There is no user message: the model learns to speak unasked. Add the question, or drop the line."
        yield Found("missing_user_message", words, severity=Severity.WARNING)


def _kind(value: object) -> str:
    """What a JSON value is, in words."""
    names: Sequence[tuple[type, str]] = ((bool, "true or false"), (int | float, "a number"), (str, "text"))  # type: ignore[assignment]  # a union is no type
    for kind, name in (*names, (list, "a list"), (dict, "an object")):
        if isinstance(value, kind):
            return name
    return "null"
