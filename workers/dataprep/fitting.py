"""Making an example fit a target: what has no place there is told, and taken away; or the example does not fit."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from workers.dataprep.example import Example, Message
from workers.dataprep.formats.base import NOTHING, loaded, turns_of
from workers.dataprep.targets import Target, is_plain_text, kind


class CannotExpress(Exception):
    """The target has no way to say this example; the words say why. Never shown as an error: it becomes a finding."""


class Losses:
    """What of one example is lost, each kind once."""

    def __init__(self) -> None:
        self.words: dict[str, str] = {}

    def add(self, what: str, words: str) -> None:
        """Note a loss; `what` names its kind."""
        self.words.setdefault(what, words)


def fitted(example: Example, target: Target, losses: Losses) -> Example:
    """The example as far as the target can express it. Raises CannotExpress."""
    if not example.messages:
        raise CannotExpress("It has no messages.")
    example = _method(example, target, losses)
    example = _shape(example, target, losses)
    messages = tuple(_message(one, target, losses) for one in example.messages)
    rejected = tuple(_message(one, target, losses) for one in example.rejected)
    if target.id == "sharegpt":
        _numbered(messages, losses)
    tools = example.tools
    if tools and not target.tools:
        losses.add("tools", "The declared tools are not written.")
        tools = ()
    return replace(example, messages=messages, rejected=rejected, tools=tools, extra=_settings(example, target, losses))


def _method(example: Example, target: Target, losses: Losses) -> Example:
    """What says how it is learnt: an unwanted answer, a label, reference fields."""
    methods = target.methods
    if methods == {"dpo"} and not example.rejected:
        raise CannotExpress("It has no unwanted answer to compare with.")
    if "kto" in methods and example.label is None and not example.rejected:
        raise CannotExpress("It has no label that says whether the answer is wanted.")
    if example.label is not None and "kto" not in methods:
        if not example.label:
            raise CannotExpress("Its answer is labelled as unwanted, and would be learnt as wanted.")
        losses.add("label", "The label (wanted) is not written.")
        example = replace(example, label=None)
    if example.rejected and "dpo" not in methods:
        losses.add("rejected", "The unwanted answer is not written.")
        example = replace(example, rejected=())
    if example.rejected and "kto" in methods:
        losses.add("pair", "The two answers become two examples: that they belong together is not written.")
        if example.label is not None:
            example = replace(example, rejected=())
    if example.reference and ("rft" not in methods or example.turns):
        names = ", ".join(map(str, example.reference))[:200]
        losses.add("reference", f"The reference fields ({names}) are not written.")
        example = replace(example, reference=NOTHING)
    return example


def _shape(example: Example, target: Target, losses: Losses) -> Example:
    """Whether the order of messages has a place."""
    if is_plain_text(example) and not target.plain:
        raise CannotExpress("It is plain text without a prompt.")
    if is_plain_text(example) and not example.answer and (target.id == "text" or not target.mixed):
        raise CannotExpress("It is empty.")
    if kind(example) == "rft":
        return example
    if not any(one.role == "assistant" for one in example.messages):
        raise CannotExpress("It has no answer to learn.")
    if target.talk and not example.rejected:
        if target.id == "text" and not is_plain_text(example):
            raise CannotExpress("A conversation becomes text only by a model's chat template. Convert to trl-chat.")
        if example.turns != turns_of(example.messages):
            losses.add("turns", "Where the answer begins is not written: every message of the assistant is learnt.")
            return replace(example, turns=turns_of(example.messages))
        return example
    if not example.turns:
        raise CannotExpress("It does not end with an answer.")
    if not example.prompt and not target.plain:
        raise CannotExpress("It has no prompt.")
    if target.layout == "csv" or target.id.startswith("autotrain"):
        if len(example.answers) != 1 or len(example.rejected) != 1:
            raise CannotExpress("Its answers are more than one message each.")
        if example.prompt[0].role == "assistant":
            raise CannotExpress("Its prompt begins with the assistant.")
        return example
    if target.single or target.rounds:
        return _rounds(example, target, losses)
    return example


def _rounds(example: Example, target: Target, losses: Losses) -> Example:
    """One answer of one message, and before it questions and answers by turns."""
    messages = list(example.messages)
    if messages[0].role in {"system", "developer"} and not target.system:
        losses.add("system", "The system message is not written.")
        messages.pop(0)
    asked = messages[1:] if messages[0].role in {"system", "developer"} else messages
    if messages[0].role in {"system", "developer"} and not messages[0].text:
        losses.add("empty", "An empty message is not written.")
        messages = asked
    if len(asked) > 1 and not asked[-2].text:
        losses.add("empty", "An empty message is not written.")
        messages.remove(asked[-2])
        asked = [*asked[:-2], asked[-1]]
    if example.turns != 1 or (target.single and len(asked) > 2):
        raise CannotExpress("It is a conversation of several rounds, not one question with one answer.")
    wanted = ["user", "assistant"] * (len(asked) // 2)
    if [one.role for one in asked] != wanted and [one.role for one in asked] != ["assistant"]:
        raise CannotExpress("User and assistant do not speak by turns in it.")
    if not target.plain and len(asked) < 2:
        raise CannotExpress("It has no prompt.")
    return replace(example, messages=tuple(messages))


def _message(one: Message, target: Target, losses: Losses) -> Message:
    role = one.role
    if role == "developer" and role not in target.roles:
        losses.add("developer", "The developer's message is written as a system message.")
        role = "system"
    if role not in target.roles:
        raise CannotExpress(f"A message of the role {role[:50]!r} has no place in it.")
    calls = one.extra.get("tool_calls") or one.extra.get("function_call")
    if calls and not target.tools:
        raise CannotExpress("It calls tools, which have no place in it.")
    if one.extra.get("function_call") and "function_call" not in target.message_keys:
        raise CannotExpress("It calls a function in the old way (`function_call`), which has no place in it.")
    extra = {key: value for key, value in one.extra.items() if key in target.message_keys}
    for key in one.extra:
        if key not in target.message_keys:
            losses.add(f"message {key}", f"`{str(key)[:50]}` of a message is not written.")
    if isinstance(extra.get("tool_calls"), list):
        extra["tool_calls"] = [_call(call, target.arguments) for call in extra["tool_calls"]]
    content = one.content
    if not content and not calls and not isinstance(content, str) and not extra.get("refusal"):
        raise CannotExpress("A message has no content.")
    if content is not None and not isinstance(content, str) and not target.parts:
        content = _joined(content, losses)
    return Message(role, content, extra or NOTHING)


def _joined(parts: Sequence[Mapping[str, Any]], losses: Losses) -> str:
    """Text parts as one text."""
    if any(part.get("type") != "text" or not isinstance(part.get("text"), str) for part in parts):
        kinds = sorted({str(part.get("type"))[:30] for part in parts} - {"text"})
        raise CannotExpress(f"It has content that is no text ({', '.join(kinds) or 'damaged text'}).")
    if len(parts) > 1:
        losses.add("parts", "Several parts of text in one message are written as one text.")
    if any(part.keys() != {"type", "text"} for part in parts):
        losses.add("part keys", "Keys of a content part beside its text are not written.")
    return "\n".join(part["text"] for part in parts)


def _call(call: Any, arguments: str) -> Any:
    """A call with its arguments as JSON text, or as an object where they are one."""
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return call
    given = function.get("arguments")
    if arguments == "text" and isinstance(given, (dict, list)):
        return {**call, "function": {**function, "arguments": orjson.dumps(given).decode()}}
    if arguments == "object" and isinstance(given, str) and isinstance(value := loaded(given), dict):
        return {**call, "function": {**function, "arguments": value}}
    return call


_NUMBERED = re.compile(r"call_\d+")


def _numbered(messages: Sequence[Message], losses: Losses) -> None:
    """ShareGPT has no ids: calls are numbered anew when it is read, and results belong to the calls in turn."""
    count = 0
    waiting: list[Any] = []
    for one in messages:
        calls = one.extra.get("tool_calls")
        if isinstance(calls, list) and calls:
            if one.content:
                losses.add("said", "What is said with a call of tools becomes a turn of its own.")
            wanted = [f"call_{number}" for number in range(count + 1, count + len(calls) + 1)]
            count += len(calls)
            waiting = wanted.copy()
            for call, number in zip(calls, wanted, strict=True):
                _unwrapped(call, number, losses)
        elif one.role == "tool":
            wanted_id = waiting.pop(0) if waiting else None
            if one.extra.get("tool_call_id") != wanted_id:
                losses.add("ids", "The ids of calls are not written; they are numbered anew.")


def _unwrapped(call: Any, number: str, losses: Losses) -> None:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise CannotExpress("It has a call of a tool without a name.")
    if call.get("id") != number:
        losses.add("ids", "The ids of calls are not written; they are numbered anew.")
    if call.keys() - {"id", "type", "function"} or function.keys() - {"name", "arguments"}:
        losses.add("call keys", "Keys of a call beside its name and arguments are not written.")


def _settings(example: Example, target: Target, losses: Losses) -> Mapping[str, Any]:
    """The keys of the record that have a place."""
    kept = {key: value for key, value in example.extra.items() if key in target.settings}
    if target.id == "alpaca" and _has_input(example):
        kept["input"] = example.extra["input"]
    for key in example.extra:
        if key not in kept and not (key == "input" and _has_input(example)):
            losses.add(f"key {key}", f"`{str(key)[:50]}` of the example is not written.")
    return kept or NOTHING


def _has_input(example: Example) -> bool:
    """Whether the key `input` is Alpaca's, which is part of the question already."""
    value = example.extra.get("input")
    asked = next((one.text for one in reversed(example.prompt) if one.role == "user"), "")
    return isinstance(value, str) and asked.endswith(value)
