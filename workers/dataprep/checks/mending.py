"""The fixes that change an example: trim, join, reorder, redact, re-encode. (Dropping is done by who runs the checks.)

A fix takes what its check found away, so that the check finds nothing any more.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from workers.dataprep.checks import answers, mojibake, personal, private, secrets
from workers.dataprep.checks.chat import KEYS
from workers.dataprep.checks.texts import texts
from workers.dataprep.example import Example, Message

NAMES: Mapping[str, frozenset[str]] = {
    "empty_answer": frozenset({"empty_answer"}),
    "turn_order": frozenset({"turn_order"}),
    "system_not_first": frozenset({"system_not_first"}),
    "ends_without_answer": frozenset({"ends_without_answer"}),
    "rejected_equals_chosen": frozenset({"rejected_equals_chosen"}),
    "garbled_text": frozenset({"mojibake", "lost_character"}),
    "tool_calls": frozenset({"tool_arguments_not_json", "tool_not_declared"}),
    "tool_results": frozenset({"tool_result_without_call", "tool_call_without_result"}),
    "secret": frozenset({"secret"}),
    "personal_data": frozenset({"personal_data"}),
}
"""What each check of examples finds."""


def names_of(check: Callable[..., Any]) -> frozenset[str]:
    """The names that a check's findings have."""
    return NAMES[check.__name__]


def record(value: Any, wanted: Collection[str]) -> tuple[Any, list[str]]:
    """A raw chat record with its messages trimmed, and the checks by which it was changed."""
    if not isinstance(value, dict) or not {"message_unrecognized_key", "bad_weight"}.intersection(wanted):
        return value, []
    messages = value.get("messages")
    if not isinstance(messages, list):
        return value, []
    done: set[str] = set()
    trimmed = [_trimmed(one, wanted, done) if isinstance(one, dict) else one for one in messages]
    return ({**value, "messages": trimmed}, sorted(done)) if done else (value, [])


def text_changes(one: Example, wanted: Collection[str]) -> dict[str, Callable[[str], str]]:
    """What must be done to the texts of an example, and so to those of its record, by the check that wants it."""
    return {name: change for name, (has, change) in _TEXT.items() if name in wanted and has(one)}


def structure(one: Example, wanted: Collection[str]) -> tuple[Example, list[str]]:
    """The example with its messages cut, moved or joined, and the checks by which it was changed."""
    done = []
    for check, mend in _STRUCTURE.items():
        if check in wanted:
            mended = mend(one)
            if mended is not one:
                done.append(check)
                one = mended
    return one, done


def _trimmed(message: dict[str, Any], wanted: Collection[str], done: set[str]) -> dict[str, Any]:
    kept = message
    if "message_unrecognized_key" in wanted and not kept.keys() <= KEYS:
        kept = {key: value for key, value in kept.items() if key in KEYS}
        done.add("message_unrecognized_key")
    if "bad_weight" in wanted and "weight" in kept and not _right_weight(kept):
        kept = {key: value for key, value in kept.items() if key != "weight"}
        done.add("bad_weight")
    return kept


def _right_weight(message: Mapping[str, Any]) -> bool:
    weight = message["weight"]
    if weight is None:
        return True
    number = isinstance(weight, int | float) and not isinstance(weight, bool)
    return number and weight in (0, 1) and message.get("role") == "assistant"


def _joined(one: Example) -> Example:
    if next(answers.turn_order(one), None) is None:
        return one
    messages: list[Message] = []
    turns = one.turns
    first_answer = len(one.messages) - one.turns
    for place, message in enumerate(answers.told_before_choice(one)):
        last = messages[-1] if messages else None
        if (
            last
            and last.role == message.role
            and message.role in ("user", "assistant")
            and answers.joinable(last, message)
        ):
            messages[-1] = replace(last, content=f"{last.content}\n\n{message.content}")
            turns -= place > first_answer
        else:
            messages.append(message)
    return replace(one, messages=(*messages, *(one.answers if one.rejected else ())), turns=turns)


def _reordered(one: Example) -> Example:
    if next(answers.system_not_first(one), None) is None:
        return one
    first = [message for message in one.messages if message.role in answers.SYSTEM]
    return replace(one, messages=(*first, *(message for message in one.messages if message.role not in answers.SYSTEM)))


def _ended(one: Example) -> Example:
    if next(answers.ends_without_answer(one), None) is None:
        return one
    last = max(place for place, message in enumerate(one.messages, 1) if message.role == "assistant")
    return replace(one, messages=one.messages[:last], turns=1)


def _garbled(one: Example) -> bool:
    return any(next(mojibake.find(text), None) for text, _ in texts(one))


_TEXT: Mapping[str, tuple[Callable[[Example], bool], Callable[[str], str]]] = {
    "mojibake": (_garbled, mojibake.repair),
    "secret": (lambda one: next(private.secret(one), None) is not None, secrets.redact),
    "personal_data": (lambda one: next(private.personal_data(one), None) is not None, personal.redact),
}
_STRUCTURE: Mapping[str, Callable[[Example], Example]] = {
    "ends_without_answer": _ended,
    "system_not_first": _reordered,
    "turn_order": _joined,
}
