"""Checks of an example's calls of tools: what is called, with what, and what comes back."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from workers.dataprep.checks.excerpts import beginning
from workers.dataprep.checks.found import Found, Severity
from workers.dataprep.example import Example, Message

MOST_NAMES = 5


def tool_calls(example: Example) -> Iterator[Found]:
    """Arguments that are no JSON object, and tools that are called but not declared."""
    if not any(message.extra for message in example.messages):
        return
    declared = declared_names(example)
    for place, message in enumerate(example.messages, 1):
        for name, arguments in calls_of(message):
            if isinstance(arguments, str) and not is_object(arguments):
                words = (
                    f"The arguments of the call of `{name[:60]}` are not a JSON object. Mend them, or drop the line."
                )
                yield Found("tool_arguments_not_json", words, place, "drop", excerpt=beginning(arguments))
            if declared and name not in declared:
                known = ", ".join(f"`{one[:40]}`" for one in sorted(declared)[:MOST_NAMES])
                words = f"It calls `{name[:60]}`, but the line declares only {known}. Declare it, or drop the line."
                yield Found("tool_not_declared", words, place, "drop")


def tool_results(example: Example) -> Iterator[Found]:
    """Results that no call asked for, and calls whose result never comes though the talk goes on."""
    waiting: dict[str, int] = {}
    names: set[str] = set()
    for place, message in enumerate(example.messages, 1):
        if message.role == "tool":
            call = message.extra.get("tool_call_id")
            if call is None or not isinstance(call, str):
                if not waiting and not names:
                    yield _without_call("This tool's result follows no call.", place)
                continue  # the format's own check says that the id is missing
            if waiting.pop(call, None) is None:
                yield _without_call(
                    f"This result answers the call `{call[:60]}`, which no message before it makes.", place
                )
        elif message.role == "function":
            if message.extra.get("name") not in names:
                yield _without_call("This function's result follows no call of it.", place)
        else:
            if waiting:
                words = "This call is not followed by its tool's result. Add the result, or drop the line."
                yield Found("tool_call_without_result", words, min(waiting.values()), "drop", Severity.WARNING)
                waiting = {}
            waiting = dict.fromkeys(_ids(message), place)
            names |= {name for name, _ in calls_of(message)}


def declared_names(example: Example) -> set[str]:
    """The names of the functions that the example declares, in either spelling."""
    old = example.extra.get("functions")
    declared = [one.get("function") for one in example.tools] + list(old if isinstance(old, list) else [])
    return {one["name"] for one in declared if isinstance(one, dict) and isinstance(one.get("name"), str)}


def calls_of(message: Message) -> Iterator[tuple[str, Any]]:
    """The name and the arguments of each call of a message, as far as they have the vendors' shape."""
    if not message.extra:
        return
    calls = message.extra.get("tool_calls")
    functions: list[Any] = (
        [one.get("function") for one in calls if isinstance(one, Mapping)] if isinstance(calls, list) else []
    )
    for function in (*functions, message.extra.get("function_call")):
        if isinstance(function, Mapping) and isinstance(function.get("name"), str):
            yield function["name"], function.get("arguments")


def is_object(text: str) -> bool:
    """Whether a text is a JSON object."""
    if not text.lstrip().startswith("{"):
        return False
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def _ids(message: Message) -> list[str]:
    calls = message.extra.get("tool_calls") if message.extra else None
    if not isinstance(calls, list):
        return []
    return [one["id"] for one in calls if isinstance(one, Mapping) and isinstance(one.get("id"), str)]


def _without_call(words: str, place: int) -> Found:
    return Found("tool_result_without_call", f"{words} Add the call before it, or drop the line.", place, "drop")
