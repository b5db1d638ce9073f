"""Who speaks in a ShareGPT conversation, under all the names that people write, and calls of tools as JSON text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from workers.dataprep.checks import Found
from workers.dataprep.example import Message
from workers.dataprep.formats.base import NOTHING, as_text, content_of, loaded, message

CALL = "function_call"
ROLES: Mapping[str, str] = {
    "human": "user",
    "user": "user",
    "prompter": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "system": "system",
    "developer": "developer",
    CALL: "assistant",
    "tool_call": "assistant",
    "function-call": "assistant",
    "observation": "tool",
    "tool": "tool",
    "tool_response": "tool",
    "function_response": "tool",
    "function-response": "tool",
    "function": "tool",
}
CALLS = frozenset({CALL, "tool_call", "function-call"})
SPEAKERS: Mapping[str, str] = {"user": "human", "assistant": "gpt", "system": "system", "tool": "observation"}
WANTED = "Write human, gpt, system, function_call or observation."
_TURN = frozenset({"from", "value"})


def speaker(turn: Mapping[str, Any]) -> str | None:
    """The role of who speaks; None where the name is not known."""
    name = turn.get("from", turn.get("role"))
    if type(name) is not str:
        return None
    return ROLES.get(name) or ROLES.get(name.strip().lower())


def calls_in(value: Any) -> list[tuple[str, str]] | None:
    """The calls that a `function_call` turn holds: name and arguments as JSON text. None where it holds none."""
    if type(value) is str:
        value = loaded(value)
    some = value if isinstance(value, list) else [value]
    if not some or not all(isinstance(one, dict) and isinstance(one.get("name"), str) for one in some):
        return None
    return [(one["name"], _arguments(one.get("arguments", {}))) for one in some]


def _arguments(value: Any) -> str:
    return value if type(value) is str else orjson.dumps(value).decode()


def told(turns: Any) -> tuple[Message, ...]:
    """The messages of a list of turns, ShareGPT's or OpenAI's; calls are numbered, and answers follow in turn."""
    if type(turns) is not list:
        return ()
    some: list[Message] = []
    count = 0
    waiting: list[str] = []
    for turn in turns:
        if type(turn) is not dict:
            continue
        if "from" not in turn:
            some.append(message(turn))
            continue
        name, value = turn["from"], turn.get("value")
        role = ROLES.get(name) if type(name) is str else None
        if role is None:
            role = speaker(turn) or as_text(name)
        extra = NOTHING if turn.keys() == _TURN else {key: one for key, one in turn.items() if key not in _TURN}
        if role == "assistant" and _calls(name) and (calls := calls_in(value)) is not None:
            ids = [f"call_{number}" for number in range(count + 1, count + len(calls) + 1)]
            count += len(calls)
            waiting = [*ids]
            some.append(Message(role, None, {"tool_calls": _as_openai(ids, calls), **extra}))
        elif role == "tool":
            found = {"tool_call_id": waiting.pop(0)} if waiting else {}
            some.append(Message(role, content_of(value) or "", {**found, **extra}))
        else:
            content = value if type(value) is str else content_of(value)
            some.append(Message(role, "" if content is None else content, extra))
    return tuple(some)


def _calls(name: Any) -> bool:
    return type(name) is str and (name in CALLS or name.strip().lower() in CALLS)


def _as_openai(ids: Sequence[str], calls: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {"id": one, "type": "function", "function": {"name": name, "arguments": arguments}}
        for one, (name, arguments) in zip(ids, calls, strict=True)
    ]


def turn_problems(turns: Sequence[Any]) -> Iterator[Found]:
    """Turns that are none, that nobody known says, that say nothing, or whose call cannot be read."""
    for place, turn in enumerate(turns, 1):
        if not isinstance(turn, dict):
            yield Found(
                "data_type",
                "The turn is not an object with `from` and `value`. Mend it, or leave the example out.",
                place,
                "drop",
            )
            continue
        name = turn.get("from", turn.get("role"))
        value = turn.get("value", turn.get("content"))
        if speaker(turn) is None:
            yield Found("unknown_speaker", f"The speaker {as_text(name)[:50]!r} is not known. {WANTED}", place, "drop")
        if value in (None, "", [], {}):
            if not (turn.get("tool_calls") or turn.get("function_call")):
                yield Found("empty_turn", "The turn says nothing. Fill it in, or leave the example out.", place, "drop")
        elif _calls(name) and calls_in(value) is None:
            words = "The call is not JSON with a `name` and `arguments`. Mend it, or leave the example out."
            yield Found("invalid_tool_call", words, place, "drop")


def as_turns(some: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as ShareGPT writes them: a call of tools is a turn of its own, after what is said with it."""
    turns: list[dict[str, Any]] = []
    for one in some:
        calls = one.extra.get("tool_calls")
        skipped = {"tool_call_id"}
        if isinstance(calls, list) and calls:
            skipped.add("tool_calls")
            if one.content:
                turns.append({"from": SPEAKERS["assistant"], "value": one.content})
            turns.append({"from": CALL, "value": call_text(calls)})
        else:
            turns.append({"from": SPEAKERS.get(one.role, one.role), "value": one.content or ""})
        turns[-1].update({key: value for key, value in one.extra.items() if key not in skipped})
    return turns


def call_text(calls: Sequence[Any]) -> str:
    """Calls of tools as JSON text: one object for one, a list for several."""
    some = []
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        function = function if isinstance(function, dict) else {}
        arguments = function.get("arguments", "{}")
        value = loaded(arguments) if type(arguments) is str else arguments
        some.append({"name": function.get("name", ""), "arguments": arguments if value is None else value})
    return orjson.dumps(some if len(some) != 1 else some[0]).decode()


def tools_text(tools: Sequence[Mapping[str, Any]]) -> str:
    """Declared functions as JSON text, without OpenAI's wrapping."""
    return orjson.dumps([one.get("function", one) for one in tools]).decode()
