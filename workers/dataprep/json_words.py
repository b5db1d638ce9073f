"""What is wrong with a line of JSON, in words for the person who wrote it, and where."""

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from workers.dataprep.checks import Found

HALF = re.compile("[\ud800-\udfff]")
"""Half a character: a surrogate that stands alone."""
_MESSAGES = frozenset({"messages", "conversations", "conversation", "chosen", "rejected", "prompt", "history"})

Way = tuple[str | int, ...]


def walk(value: Any) -> Iterator[tuple[Way, Any]]:
    """Every value inside a value and the way to it, level by level. The depth was bounded before."""
    level: list[tuple[Way, Any]] = [((), value)]
    while level:
        deeper: list[tuple[Way, Any]] = []
        for way, one in level:
            yield way, one
            if isinstance(one, dict):
                deeper += [((*way, key), inner) for key, inner in one.items()]
            elif isinstance(one, list):
                deeper += [((*way, place), inner) for place, inner in enumerate(one)]
        level = deeper


def message_of(way: Way) -> int | None:
    """The place of the message that a way leads through, counted from 1."""
    for name, place in pairwise(way):
        if name in _MESSAGES and isinstance(place, int):
            return place + 1
    return None


def spelt(way: Way | None) -> str:
    """A way in words: `messages[2].content`, its members counted from 1 as findings count."""
    if not way:
        return "the example"
    spelt = "".join(f"[{one + 1}]" if isinstance(one, int) else f".{one[:50]}" for one in way[:8]).removeprefix(".")
    return f"`{HALF.sub('?', spelt)}`"


def excerpt_of(text: str, start: int, length: int = 1) -> str:
    """The text around a place, with the place marked."""
    before, after = text[max(0, start - 30) : start], text[start + length : start + length + 30]
    opened = "…" if start > 30 else ""
    closed = "…" if start + length + 30 < len(text) else ""
    return f"{opened}{before}»{text[start : start + length]}«{after}{closed}".replace("\n", " ").replace("\r", " ")


def invalid_utf8(line: bytes, error: UnicodeDecodeError) -> Found:
    """The finding for a line with bytes that are no UTF-8, and what they probably mean."""
    place, byte = error.start, line[error.start]
    excerpt = ""
    meant = ""
    character = bytes([byte]).decode("cp1252", "ignore")
    if character.isprintable() and character:
        meant = f" In Windows-1252 it would be “{character}”."
        before = line[max(0, place - 30) : place].decode(errors="ignore")
        after = line[place + 1 : place + 31].decode("cp1252", "replace")
        excerpt = excerpt_of(before + character + after, len(before))
    words = (
        f"The byte {byte:02X} at byte {place + 1} is not valid UTF-8 text.{meant} "
        "Save the file as UTF-8, or let the line be re-encoded."
    )
    return Found("invalid_utf8", words, fix="re-encode", excerpt=excerpt)


def invalid_json(text: str, error: json.JSONDecodeError, *, cut: bool) -> Found:
    """The finding for a line that is no JSON. `cut`: it is the last one and has no line end."""
    place = error.pos
    here = text[place : place + 1]
    stands = f"`{here}` stands there" if here.strip() else "the line ends there"
    reason = _reason(text, error.msg, place, stands)
    last = ""
    if cut and (place >= len(text.rstrip()) or error.msg.startswith("Unterminated string")):
        last = " The file seems to be cut off here: was it copied completely?"
    words = f"Not valid JSON at character {place + 1}: {reason}.{last}"
    return Found("invalid_json", words, fix="drop", excerpt=excerpt_of(text, place))


def _reason(text: str, message: str, place: int, stands: str) -> str:
    here = text[place : place + 1]
    if here == "'":
        return "a single quote stands there; JSON wants double quotes around keys and texts"
    if message.startswith("Extra data"):
        if text[place:].strip() == ",":
            return "a comma stands behind the example; in a file of one example a line there is none"
        return f"the example is complete before it, but {stands}; each example needs a line of its own"
    if message.startswith("Unterminated string"):
        return "the text that begins there never ends (a closing double quote is missing)"
    if message.startswith("Invalid control character"):
        what = {"\n": "a line break", "\r": "a line break", "\t": "a tab"}.get(here, "a control character")
        return f"{what} stands inside a text; write it as \\n, \\t or \\u00XX"
    if message.startswith("Invalid \\"):
        return "a backslash stands before a character that cannot be escaped; write \\\\ for a backslash"
    if message.startswith("Expecting ','"):
        return f"a comma or a closing bracket is missing; {stands}"
    if message.startswith("Expecting ':'"):
        return f"a colon is missing behind the key; {stands}"
    if message.startswith(("Expecting property name", "Illegal trailing comma")):
        return f"a key in double quotes is missing; {stands}"
    return f"a value is missing; {stands}"
