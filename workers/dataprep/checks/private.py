"""Secrets and personal data in an example. Run on what the scanners' `may_have` did not clear: they are slow checks."""

from collections import defaultdict
from collections.abc import Callable, Iterator

from workers.dataprep.checks import personal, secrets
from workers.dataprep.checks.excerpts import mark
from workers.dataprep.checks.found import Found, Severity
from workers.dataprep.checks.spans import Span
from workers.dataprep.checks.texts import texts
from workers.dataprep.example import Example


def secret(example: Example) -> Iterator[Found]:
    """Keys, tokens, private keys and passwords: one finding a kind and text."""
    advice = "Revoke it, and redact it here: a model tells what it has learnt."
    yield from _found(example, "secret", secrets.find, advice)


def personal_data(example: Example) -> Iterator[Found]:
    """E-mail addresses, phone and card numbers, IBANs and public IP addresses: one finding a kind and text."""
    advice = "Redact it, unless it is meant to be learnt and may be."
    yield from _found(example, "personal_data", personal.find, advice)


def _found(example: Example, check: str, find: Callable[[str], Iterator[Span]], advice: str) -> Iterator[Found]:
    said = [text for text, place in texts(example) if place]
    for text, place in texts(example):
        if place is None and any(text in one for one in said):
            continue  # some formats keep how a text was written beside the conversation
        kinds: dict[str, list[Span]] = defaultdict(list)
        for span in find(text):
            kinds[span.kind].append(span)
        for kind, spans in kinds.items():
            many = f" {len(spans):,} of them; this is the first." if len(spans) > 1 else ""
            where = "This" if place else "Beside the conversation, this"
            words = f"{where} looks like {_article(kind)} {kind}.{many} {advice}"
            excerpt = mark(text, spans[0].start, spans[0].end)
            yield Found(check, words, place, "redact", Severity.WARNING, excerpt)


def _article(kind: str) -> str:
    return "an" if kind[0] in "AEIOaeio" else "a"
