"""Places in a text that a scanner found, and what is shown or written instead of them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

MOST_PASSES = 20
"""Redacting may join what stood apart into something new to redact; so often is looked again."""


@dataclass(frozen=True, slots=True)
class Span:
    """Something found in a text, from `start` up to `end`; `kind` says what, in words for people."""

    kind: str
    start: int
    end: int


def apart(spans: Iterable[Span]) -> list[Span]:
    """The spans in order, those dropped that overlap an earlier or longer one."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.start, -one.end)):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return kept


def replaced(text: str, spans: Iterable[Span], instead: Callable[[Span], str]) -> str:
    """The text with something else in each span's place; the spans are in order and apart."""
    pieces, last = [], 0
    for span in spans:
        pieces += [text[last : span.start], instead(span)]
        last = span.end
    return "".join([*pieces, text[last:]])


def redacted(text: str, find: Callable[[str], Iterator[Span]]) -> str:
    """The text without what the scanner finds: each place says in brackets what stood there."""
    for _ in range(MOST_PASSES):
        spans = list(find(text))
        if not spans:
            break
        text = replaced(text, spans, lambda span: f"[removed: {span.kind}]")
    return text
