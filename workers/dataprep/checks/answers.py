"""Checks of an example's conversation: its turns, its answers, its text."""

from collections.abc import Iterator
from itertools import pairwise

from workers.dataprep.checks import mojibake
from workers.dataprep.checks.calls import calls_of
from workers.dataprep.checks.excerpts import mark
from workers.dataprep.checks.found import Found, Severity
from workers.dataprep.checks.texts import texts
from workers.dataprep.example import Example, Message

SYSTEM = ("system", "developer")


def empty_answer(example: Example) -> Iterator[Found]:
    """An answer of nothing but spaces teaches silence. (One without any text is the format's business.)"""
    for place, message in enumerate(example.messages, 1):
        if message.role == "assistant" and message.content and not message.text.strip() and not _says_more(message):
            words = "The answer is nothing but spaces, which teaches silence. Write the answer, or drop the line."
            yield Found("empty_answer", words, place, "drop")
    for message in example.rejected:
        if not message.text.strip() and not _says_more(message):
            words = "The unwanted answer is empty, so there is nothing to prefer. Write it, or drop the line."
            yield Found("empty_answer", words, None, "drop")


def turn_order(example: Example) -> Iterator[Found]:
    """The same speaker twice in a row: two turns that were one, or one that is missing between them."""
    for place, (one, other) in enumerate(pairwise(told_before_choice(example)), 2):
        if one.role == other.role and one.role in ("user", "assistant") and joinable(one, other):
            who = "Two user messages" if one.role == "user" else "Two answers"
            words = f"{who} follow one another. Join them, or add what was said in between."
            yield Found("turn_order", words, place, "join", Severity.WARNING)


def system_not_first(example: Example) -> Iterator[Found]:
    """A system message after others: many chat templates refuse it, or put it first themselves."""
    seen = False
    for place, message in enumerate(example.messages, 1):
        if message.role in SYSTEM and seen:
            words = "The system message stands after other messages, which many models refuse. Move it to the front."
            yield Found("system_not_first", words, place, "reorder", Severity.WARNING)
            return
        seen = seen or message.role not in SYSTEM


def ends_without_answer(example: Example) -> Iterator[Found]:
    """The last message is not the assistant's: what follows the last answer is not learnt."""
    if example.reference or not example.messages or example.messages[-1].role == "assistant":
        return
    if any(message.role == "assistant" for message in example.messages):
        words = "The conversation goes on after the last answer; what follows it is not learnt. Cut it off."
        yield Found("ends_without_answer", words, len(example.messages), "trim", Severity.WARNING)


def rejected_equals_chosen(example: Example) -> Iterator[Found]:
    """Both answers are the same: nothing to prefer."""
    if example.rejected and _said(example.rejected) == _said(example.answers):
        words = (
            "The wanted and the unwanted answer are the same, so nothing is preferred. Change one, or drop the line."
        )
        yield Found("rejected_equals_chosen", words, fix="drop")


def garbled_text(example: Example) -> Iterator[Found]:
    """Text that was read in the wrong encoding once (mojibake), and characters that were lost."""
    for text, place in texts(example):
        if text.isascii():
            continue
        span = next(mojibake.find(text), None)
        if span:
            words = "The text was read in a wrong encoding once, so letters are garbled. Re-encode it."
            excerpt = mark(text, span.start, span.end)
            yield Found("mojibake", words, place, "re-encode", Severity.WARNING, excerpt)
        lost = text.find(mojibake.LOST)
        if lost >= 0:
            words = "A character was lost: � stands for it. Put it back, or drop the line."
            yield Found("lost_character", words, place, "drop", Severity.WARNING, mark(text, lost, lost + 1))


def told_before_choice(example: Example) -> tuple[Message, ...]:
    """The messages of one line of talk: of two answers to choose from, only the prompt."""
    return example.prompt if example.rejected else example.messages


def joinable(one: Message, other: Message) -> bool:
    """Whether two messages of one role may be one: plain text, with nothing else about them, or the same."""
    plain = isinstance(one.content, str) and isinstance(other.content, str)
    return plain and bool(one.content and other.content) and one.extra == other.extra and not any(calls_of(one))


def _says_more(message: Message) -> bool:
    """Whether a message without text says something all the same: a call, a refusal, a picture."""
    extra = message.extra
    if extra and (extra.get("tool_calls") or extra.get("function_call") or extra.get("refusal")):
        return True
    return not isinstance(message.content, str) and any(one.get("type") != "text" for one in message.content or ())


def _said(messages: tuple[Message, ...]) -> list[object]:
    return [(one.role, one.text.strip(), list(map(repr, calls_of(one)))) for one in messages]
