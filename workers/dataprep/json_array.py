"""A JSON document (an array, or objects over several lines) -> one element a line, at memory speed.

Nothing is parsed: commas between elements become line ends, line breaks between tokens become spaces, and every
other byte stays, so that an element that is no valid JSON is found later on its own line, as it was written.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import numpy as np
import orjson

from workers.dataprep.checks import Found, Severity
from workers.dataprep.json_structure import (
    BLOCK_BYTES,
    CLOSING,
    CLOSING_ARRAY,
    COMMA,
    NEWLINE,
    OPENING_ARRAY,
    Bytes,
    Marks,
    Structure,
)

_SPACE, _RETURN = 32, 13
_PROBED_LINES = 50
_OVERLAP = 1000
_FIRST_KEY = re.compile(rb'\s*+(?:\[\s*+)?+\{\s*+("(?:[^"\\]|\\.){1,100}+")')
_LAST_BRACKET = re.compile(rb"(?<=\})\s*+\]\s*+\Z")
_ALONE = frozenset({b"{", b"}", b"[", b"]", b"},", b"],"})


class Shape(StrEnum):
    """How JSON text is laid out."""

    LINES = "lines"  # one value a line
    ARRAY = "array"  # one array of all elements
    OBJECTS = "objects"  # one or more objects, each over several lines


def shape(head: bytes, *, more: bool) -> Shape | None:
    """How a text is laid out as JSON, None if it is no JSON at all. `more`: the file goes on after `head`."""
    start = head.lstrip()
    first, _, rest = start.partition(b"\n")
    lines = [line.strip() for line in rest.split(b"\n")[:_PROBED_LINES] if line.strip()]
    if more and len(lines) > 1:
        lines.pop()  # it may be cut
    whole = sum(line.startswith(b"{") and _is_json(line) for line in lines)
    if not start.startswith((b"{", b"[")):
        return Shape.LINES if whole > len(lines) / 2 else None
    if _is_json(first) and (lines or start.startswith(b"{")):
        return Shape.LINES
    if start.startswith(b"["):
        return Shape.LINES if whole and whole == len(lines) else Shape.ARRAY
    if not lines or _has_one_line_of_two(first, rest):
        return Shape.LINES
    end = _end_of_value(start)
    if end and _is_json(start[:end]):
        return Shape.OBJECTS
    alone = sum(line in _ALONE for line in lines)
    is_begun = first.strip() in _ALONE or rest.startswith((b" ", b"\t"))
    return Shape.OBJECTS if is_begun and whole <= alone else Shape.LINES


def split(path: Path, offset: int, kind: Shape, out: Path) -> tuple[tuple[int | None, Found], ...]:
    """Write a document's elements to `out`, one a line, and tell what is wrong with the document as a whole."""
    with path.open("rb") as file, out.open("wb") as target:
        file.seek(offset)
        cut = _Cut()
        for data, marks in _blocks(file, cut):
            target.write((_array if kind is Shape.ARRAY else _objects)(data, marks, cut).tobytes())
    if not cut.broken:
        return ()
    again = out.with_suffix(".again")
    with path.open("rb") as file:
        file.seek(offset)
        elements = _by_first_key(file, again)
    if elements > cut.elements:
        again.replace(out)
    else:
        again.unlink(missing_ok=True)
    words = f"The JSON document as a whole is broken: {cut.broken}. Every example that can be read on its own was kept."
    return ((None, Found("broken_document", words, severity=Severity.WARNING)),)


class _Cut:
    """What was cut so far."""

    def __init__(self) -> None:
        self.elements = 0
        self.broken = ""
        self.waiting = False  # an object has ended, and the line break behind it is still to come


def _blocks(file: BinaryIO, cut: _Cut) -> Iterator[tuple[Bytes, Marks]]:
    """The file's blocks with their marks; notes whether the document is whole."""
    structure = Structure()
    while block := file.read(BLOCK_BYTES):
        data = np.frombuffer(block, dtype=np.uint8)
        marks = structure.marks(data)
        if len(marks.breaks_in_text):
            cut.broken = cut.broken or "a line break stands inside a text, or a closing quote is missing"
        if len(marks.depths) and int(marks.depths.min()) < 0:
            cut.broken = cut.broken or "it has more closing brackets than opening ones"
        yield data, marks
    if structure.depth > 0 or structure.in_text:
        cut.elements += 1
        cut.broken = cut.broken or f"it ends in the middle of element {cut.elements:,} (was it copied completely?)"


def _array(data: Bytes, marks: Marks, cut: _Cut) -> Bytes:
    """Cut at the commas of depth 1 and where the array ends. Several arrays behind one another are one."""
    made = _without_breaks(data, marks)
    ends = ((marks.kinds == COMMA) & (marks.depths == 1)) | ((marks.kinds == CLOSING_ARRAY) & (marks.depths == 0))
    made[marks.places[(marks.kinds == OPENING_ARRAY) & (marks.depths == 1)]] = _SPACE
    made[marks.places[ends]] = NEWLINE
    cut.elements += int(np.count_nonzero(ends))
    return made


def _objects(data: Bytes, marks: Marks, cut: _Cut) -> Bytes:
    """Keep the first line break behind each object, and no other."""
    made = _without_breaks(data, marks)
    ends = np.flatnonzero((marks.depths == 0) & (marks.kinds | 0x20 == CLOSING))
    between = np.flatnonzero((marks.depths == 0) & (marks.kinds == NEWLINE))
    behind = np.searchsorted(between, ends)
    kept = np.unique(behind[behind < len(between)])
    if cut.waiting and len(between) and (not len(ends) or between[0] < ends[0]):
        kept = np.union1d(kept, [0])
    made[marks.places[between[kept]]] = NEWLINE
    cut.elements += len(ends)
    if len(ends) or len(between):
        cut.waiting = bool(len(ends)) and (not len(between) or bool(between[-1] < ends[-1]))
    return made


def _without_breaks(data: Bytes, marks: Marks) -> Bytes:
    """A copy without line breaks; those inside texts stay another character that no text may have."""
    made = data.copy()
    made[marks.places[marks.kinds == NEWLINE]] = _SPACE
    made[marks.breaks_in_text] = _RETURN
    return made


def _by_first_key(file: BinaryIO, out: Path) -> int:
    """A broken document again: cut wherever an object begins like the first one does. How many elements that gives."""
    held = file.read(BLOCK_BYTES)
    first = _FIRST_KEY.match(held)
    if not first:
        return 0
    border = re.compile(rb"\}\s*+(?:[\],]\s*+)*+(?=\{\s*+" + re.escape(first.group(1)) + rb"\s*+:)")
    held = held[held.index(b"{") :]
    elements = 1
    with out.open("wb") as target:
        while held:
            block = file.read(BLOCK_BYTES)
            safe = max(0, len(held) - _OVERLAP) if block else len(held)
            done = 0
            for found in border.finditer(held):
                if found.end() > safe:
                    break
                target.write(held[done : found.start() + 1].replace(b"\n", b"\r") + b"\n")
                done = found.end()
                elements += 1
            rest = held[done : max(done, safe)]
            target.write((rest if block else _LAST_BRACKET.sub(b"", rest)).replace(b"\n", b"\r"))
            held = held[max(done, safe) :] + block
    return elements


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _has_one_line_of_two(first: bytes, rest: bytes) -> bool:
    """Whether the second line begins like the first: a file of one example a line whose first one is broken."""
    one, two = _FIRST_KEY.match(first), _FIRST_KEY.match(rest)
    return one is not None and two is not None and one.group() == two.group()


def _end_of_value(text: bytes) -> int:
    """Where the first object or array ends, 0 where it does not."""
    marks = Structure().marks(np.frombuffer(text, dtype=np.uint8))
    closed = np.flatnonzero((marks.depths == 0) & (marks.kinds | 0x20 == CLOSING))
    return int(marks.places[closed[0]]) + 1 if len(closed) else 0
