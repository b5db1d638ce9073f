"""Whether an answer ends as prose ends, or breaks off in the middle of a sentence."""

import re

LEAST_LENGTH = 120
"""A shorter answer without a full stop is a headline, a name or a list's item."""
PROPER, CUT = "ends properly", "breaks off"

_END = frozenset(".!?…。！？؟।։:;)]}>»”’\"'`*_~|=-—%$#/\\✨🙂😀")
_OPEN = frozenset(",([{«“‘")
_SENTENCE_END = re.compile(r"[.!?。！？][\"'”’)]*\s")
_ITEM = re.compile(r"\s*(?:[-*•+>#|]|\d{1,3}[.)]|[A-Za-z][.)]\s|[A-Z][\w ]{0,40}:)")


def ending(answer: str) -> str | None:
    """How an answer ends; None where nothing can be said: it is short, or no prose, or its last line is no sentence."""
    last = answer[-600:].rstrip()
    if len(answer) < LEAST_LENGTH or not last:
        return None
    if last[-1] in _END:
        return PROPER
    if answer.count("```", 0, 200_000) % 2 == 1 and len(answer) < 200_000:
        return None
    line = last.rpartition("\n")[2]
    if last[-1] in _OPEN:
        return CUT if len(line) > 20 else None
    if not last[-1].isalpha() or _ITEM.match(line) or len(line) < 40:
        return None
    word = line.rsplit(None, 1)[-1]
    if word[0].isupper() and len(word) > 3:  # the name of whoever is quoted, or signs
        return None
    if word.startswith(("http", "<http", "www.", "#", "@", "/")) or not _SENTENCE_END.search(last):
        return None
    return CUT
