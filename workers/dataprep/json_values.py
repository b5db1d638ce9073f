"""One line of bytes -> one JSON value, strictly: whatever a parser would pass over in silence is found.

The fast parser keeps the last of two equal keys, makes floats of large integers and lets NUL characters through. A
few cheap counts prove that a line has nothing of the kind; only where they cannot, it is parsed again, exactly.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import orjson

from workers.dataprep.checks import Found
from workers.dataprep.json_structure import MOST_DEPTH, too_deep, too_many_values
from workers.dataprep.json_words import HALF, excerpt_of, invalid_json, invalid_utf8, message_of, spelt, walk
from workers.dataprep.limits import DEFAULT, megabytes

MOST_LINE_BYTES = DEFAULT.max_line_bytes
BIG_LINE_BYTES = 4_000_000
"""A longer line is looked at before it is parsed: small values by the million would take gigabytes of memory."""
MOST_VALUES = 2_000_000
MOST_FOUND = 10
"""So many findings of one line say enough."""

_SPACED_COLON = re.compile(rb'"[ \t\r\n]+:')


class Parsed(NamedTuple):
    """A line's value, None where it is no JSON value, and what is wrong with it."""

    value: Any
    founds: tuple[Found, ...] = ()


def strict(line: bytes, *, cut: bool = False) -> Parsed:
    """The line's value and everything wrong with it. `cut`: it is the file's last line and has no line end."""
    if len(line) > MOST_LINE_BYTES:
        return Parsed(None, (too_long(),))
    if len(line) > BIG_LINE_BYTES and too_many_values(line, MOST_VALUES):
        words = f"It holds more than {MOST_VALUES:,} values, which is no training example. Remove it."
        return Parsed(None, (Found("too_many_values", words, fix="drop"),))
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return _exact(line, cut=cut)
    return Parsed(value) if is_plain(line, value) else _exact(line, cut=cut)


def too_long(limit: int = MOST_LINE_BYTES) -> Found:
    """The finding for one example that is larger than is read at all."""
    words = f"This example is larger than {megabytes(limit)}, which is more than is read at once. Shorten or remove it."
    return Found("line_too_long", words, fix="drop")


def is_plain(line: bytes, value: Any) -> bool:
    """Whether the fast parser's value is surely all that the line says. False: it must be looked at exactly."""
    if len(line) > BIG_LINE_BYTES:
        return False
    keys = key_count(value)
    if keys < 0:
        return False
    if b"\\" not in line:
        return line.count(b'":') == keys and not _SPACED_COLON.search(line)
    if b"\\u0000" in line:
        return False
    colons = line.count(b'":')
    if colons != keys:  # a quote and a colon inside a text, as in `{\"city\": 1}`
        if b'\\\\":' in line:
            return False
        colons -= line.count(b'\\":')
    return colons == keys and not _SPACED_COLON.search(line)


def key_count(value: Any) -> int:
    """How many keys all objects in a value have. -1 where it is nested too deep or a number may have been changed."""
    count = 0
    level = [value]
    for _ in range(MOST_DEPTH):
        deeper: list[Any] = []
        for one in level:
            kind = type(one)
            if kind is dict:
                count += len(one)
                deeper += [inner for inner in one.values() if type(inner) is not str]
            elif kind is list:
                deeper += one
            elif kind is float and (one >= 2**63 or one <= -(2**63)):
                return -1
        if not deeper:
            return count
        level = deeper
    return -1 if any(isinstance(one, dict | list | float) for one in level) else count


class _Notes:
    """What the exact parser comes across; it knows no places, so objects with doubled keys are remembered whole."""

    def __init__(self) -> None:
        self.doubled: list[tuple[dict[str, Any], list[str]]] = []
        self.constants: list[str] = []
        self.big: list[str] = []

    def pairs(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            counts = Counter(key for key, _ in pairs)
            self.doubled.append((made, [key for key, count in counts.items() if count > 1]))
        return made

    def constant(self, name: str) -> None:
        self.constants.append(name)

    def integer(self, digits: str) -> int | float | None:
        if len(digits) < 21 and -(2**63) <= (number := int(digits)) < 2**64:
            return number
        return self.real(digits, big=True)

    def real(self, digits: str, *, big: bool = False) -> float | None:
        number = float(digits)
        if big or math.isinf(number):
            self.big.append(digits)
        return None if math.isinf(number) else number


def _exact(line: bytes, *, cut: bool) -> Parsed:
    nul = line.find(b"\x00")
    if nul >= 0:
        words = f"A NUL byte stands at byte {nul + 1}: the file was damaged, or is not text. Remove it."
        return Parsed(None, (Found("nul_character", words, fix="drop"),))
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        return Parsed(None, (invalid_utf8(line, error),))
    if too_deep(line):
        words = f"It is nested more than {MOST_DEPTH} deep, which no training example is."
        return Parsed(None, (Found("too_deep", words, fix="drop"),))
    notes = _Notes()
    try:
        value = json.loads(
            text,
            object_pairs_hook=notes.pairs,
            parse_constant=notes.constant,
            parse_int=notes.integer,
            parse_float=notes.real,
        )
    except json.JSONDecodeError as error:
        return Parsed(None, (invalid_json(text, error, cut=cut),))
    except (RecursionError, ValueError):
        return Parsed(None, (Found("invalid_json", "It cannot be read as JSON.", fix="drop"),))
    founds = tuple(islice(_founds(text, value, notes), MOST_FOUND))
    return Parsed(value if not notes.constants and _is_text(value) else None, founds)


def _is_text(value: Any) -> bool:
    """Whether all texts in it can be written, which halves of characters cannot."""
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


def _founds(text: str, value: Any, notes: _Notes) -> Iterator[Found]:
    for name in dict.fromkeys(notes.constants):
        words = f"{name} stands where a number should be; JSON has no such number. Write null or leave the key out."
        yield Found("not_a_number", words, fix="drop", excerpt=excerpt_of(text, text.find(name), len(name)))
    for digits in dict.fromkeys(notes.big):
        short = digits if len(digits) <= 30 else f"{digits[:20]}… ({len(digits)} digits)"
        words = f"The number {short} does not fit into 64 bits and would be changed. Write it as text, in quotes."
        yield Found(
            "number_too_big", words, fix="drop", excerpt=excerpt_of(text, text.find(digits), min(len(digits), 30))
        )
    if "\\u" in text:
        yield from _bad_characters(value)
    if notes.doubled:
        yield from _duplicates(value, notes)


def _duplicates(value: Any, notes: _Notes) -> Iterator[Found]:
    where = {id(one): path for path, one in walk(value) if isinstance(one, dict)}
    for one, keys in reversed(notes.doubled):
        path = where.get(id(one))
        message = message_of(path or ())
        named = ", ".join(f"`{key[:50]}`" for key in keys[:5]) or "several keys"
        stands = "stands" if len(keys) == 1 else "stand"
        place = f" in {spelt(path)}" if path and not (message and len(path) == 2) else ""
        words = f"The key {named} {stands} there twice{place}: only the last one would count. Keep one of them."
        yield Found("duplicate_key", words, message, "drop")


def _bad_characters(value: Any) -> Iterator[Found]:
    for path, one in walk(value):
        texts = [key for key in one if isinstance(key, str)] if isinstance(one, dict) else [one]
        for text in texts:
            if not isinstance(text, str):
                continue
            half = HALF.search(text)
            if half:
                words = (
                    f"Half a character (a lone surrogate, \\u{ord(half.group()):04x}) stands in {spelt(path)}: "
                    "it was probably cut in the middle of an emoji. Write the character whole or remove it."
                )
                yield Found("lone_surrogate", words, message_of(path), "drop")
            if "\x00" in text:
                words = f"A NUL character (\\u0000) stands in {spelt(path)}: most services refuse it. Remove it."
                excerpt = excerpt_of(text.replace("\x00", "\N{SYMBOL FOR NULL}"), text.find("\x00"))
                excerpt = HALF.sub("\N{REPLACEMENT CHARACTER}", excerpt)
                yield Found("nul_character", words, message_of(path), "drop", excerpt=excerpt)


def mended(line: bytes) -> bytes:
    """The line with every byte that is not valid UTF-8 taken as Windows-1252, which is what it nearly always is."""
    pieces: list[bytes] = []
    start = 0
    while True:
        try:
            line[start:].decode() if start == 0 else str(memoryview(line)[start:], "utf-8")
        except UnicodeDecodeError as error:
            pieces.append(line[start : start + error.start])
            wrong = line[start + error.start : start + error.end]
            pieces.append(wrong.decode("cp1252", "replace").encode())
            start += error.end
        else:
            pieces.append(line[start:])
            return b"".join(pieces)
