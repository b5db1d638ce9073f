"""The text around a place, short and on one line, the place marked by » «, and nothing secret in it."""

from workers.dataprep.checks import personal, secrets
from workers.dataprep.checks.spans import Span, apart, replaced

AROUND = 40
MOST_MARKED = 60
SHOWN_OF_SECRETS = 4
SHOWN_OF_PERSONS = 2
_REACH = 4000  # so far from the place secrets are looked for, since one may begin there and reach into the excerpt


def mark(text: str, start: int, end: int) -> str:
    """The text around `start` to `end`: cut to a line, the place marked, secrets and personal data masked."""
    first, last = max(0, start - _REACH), min(len(text), end + _REACH)
    start, end, text = start - first, end - first, text[first:last]
    masks = apart([*secrets.find(text), *personal.find(text)])
    before = _masked(text, masks, max(0, start - AROUND), start)
    marked = _masked(text, masks, start, end)
    after = _masked(text, masks, end, min(len(text), end + AROUND))
    if len(marked) > MOST_MARKED:
        marked = marked[: MOST_MARKED // 2] + "…" + marked[-MOST_MARKED // 2 :]
    left = "…" if first or start > AROUND else ""
    right = "…" if end + AROUND < len(text) else ""
    line = f"{left}{before}»{marked}«{after}{right}"
    return " ".join("".join(sign if sign.isprintable() else " " for sign in line).split())


def ending(text: str) -> str:
    """The last words of a text, marked."""
    end = len(text.rstrip())
    start = max(text.rfind(" ", max(0, end - 30), end) + 1, end - 30, 0)
    return mark(text, start, end)


def beginning(text: str) -> str:
    """The first words of a text, marked."""
    start = len(text) - len(text.lstrip())
    end = text.find(" ", start + 20, start + MOST_MARKED)
    return mark(text, start, end if end > 0 else min(len(text), start + MOST_MARKED))


def _masked(text: str, masks: list[Span], start: int, end: int) -> str:
    """The text from `start` to `end`; of a secret that reaches into it only the first characters are shown."""
    inside = [
        Span(mask.kind, max(mask.start, start) - start, min(mask.end, end) - start)
        for mask in masks
        if mask.start < end and mask.end > start
    ]
    heads = {max(mask.start, start) - start: _head(mask, start) for mask in masks}
    shown = text[start:end]
    return replaced(
        shown, inside, lambda span: shown[span.start : span.start + heads[span.start]][: span.end - span.start] + "…"
    )


def _head(mask: Span, start: int) -> int:
    """How many characters of a secret may be shown; none of one that begins before."""
    if mask.start < start:
        return 0
    personal_kinds = (personal.EMAIL, personal.PHONE, personal.CARD, personal.IBAN, personal.ADDRESS)
    return SHOWN_OF_PERSONS if mask.kind in personal_kinds else SHOWN_OF_SECRETS
