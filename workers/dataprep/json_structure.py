"""Where a JSON text's brackets, commas and line breaks stand, found block by block at memory speed.

No recursion and no parsing: quotes are told from escaped ones, what stands inside texts is left out, and the depth
of every bracket is a running sum. It works for any bytes; what is no JSON only gives depths that mean nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]

QUOTE, BACKSLASH, COMMA, NEWLINE = 34, 92, 44, 10
OPENING, CLOSING = 0x7B, 0x7D  # { and }; with bit 0x20 off, they are [ and ]
OPENING_ARRAY, CLOSING_ARRAY = 0x5B, 0x5D
BLOCK_BYTES = 1 << 20
MOST_DEPTH = 100
"""Training data is nested a handful deep; what is deeper is hostile or broken."""


@dataclass(frozen=True)
class Marks:
    """The marks of one block: places outside texts, what stands there, and how deep it is after each."""

    places: Places
    kinds: Bytes
    depths: Places
    breaks_in_text: Places
    """Line breaks inside texts, which no valid JSON has."""


class Structure:
    """Reads a JSON text in blocks of any size; `depth` and `in_text` say where it stands."""

    def __init__(self) -> None:
        self.depth = 0
        self.in_text = False
        self._escaping = 0  # the parity of the backslashes that the last block ended with

    def marks(self, block: Bytes) -> Marks:
        """What the next block has outside texts: brackets, commas, line breaks."""
        quotes = self._quotes(block)
        folded = block | 0x20
        candidates = (folded == OPENING) | (folded == CLOSING)
        candidates |= block == COMMA
        candidates |= block == NEWLINE
        places = np.flatnonzero(candidates)
        inside = ((np.searchsorted(quotes, places) + self.in_text) & 1).astype(bool)
        self.in_text = bool((len(quotes) + self.in_text) & 1)
        hidden = places[inside]
        places = places[~inside]
        kinds = block[places]
        folded = kinds | 0x20
        steps = (folded == OPENING).astype(np.int64) - (folded == CLOSING)
        depths = np.cumsum(steps) + self.depth
        if len(depths):
            self.depth = int(depths[-1])
        return Marks(places, kinds, depths, hidden[block[hidden] == NEWLINE])

    def _quotes(self, block: Bytes) -> Places:
        """The quotes that begin or end a text: those behind an even number of backslashes."""
        quotes = np.flatnonzero(block == QUOTE)
        strokes = np.flatnonzero(block == BACKSLASH)
        carried, self._escaping = self._escaping, 0
        if not len(strokes):
            return quotes[1:] if carried and len(quotes) and quotes[0] == 0 else quotes
        starts = np.empty(len(strokes), dtype=bool)
        starts[0] = True
        np.not_equal(strokes[1:], strokes[:-1] + 1, out=starts[1:])
        first = np.maximum.accumulate(np.where(starts, strokes, 0))
        runs = strokes - first + 1
        if carried:
            runs += first == 0  # a run that goes on from the last block
        if strokes[-1] == len(block) - 1:
            self._escaping = int(runs[-1] & 1)
        behind = np.searchsorted(strokes, quotes) - 1
        behind_stroke = (behind >= 0) & (strokes[behind] == quotes - 1)
        escaped = behind_stroke & ((runs[behind] & 1) == 1)
        if carried and len(quotes) and quotes[0] == 0:
            escaped[0] = True
        kept: Places = quotes[~escaped]
        return kept


def quotes(text: bytes) -> int:
    """How many quotes begin or end a text, in valid JSON."""
    letters = np.frombuffer(text, np.uint8)
    found, strokes = letters == QUOTE, letters == BACKSLASH
    if (strokes[:-1] & strokes[1:]).any():  # escaped ones, which escape nothing
        return quotes(text.replace(b"\\\\", b""))
    return int(np.count_nonzero(found) - np.count_nonzero(strokes[:-1] & found[1:]))


def too_deep(text: bytes) -> bool:
    """Whether brackets are nested deeper than anything that trains a model."""
    if text.count(b"[") + text.count(b"{") <= MOST_DEPTH:
        return False
    return any(len(one.depths) and int(one.depths.max()) > MOST_DEPTH for one in _all_marks(text))


def too_many_values(text: bytes, most: int) -> bool:
    """Whether more values than that stand in it: every one but the first has a comma or a bracket before it."""
    return any(so_far > most for so_far in accumulate(len(one.places) for one in _all_marks(text)))


def _all_marks(text: bytes) -> Iterator[Marks]:
    structure = Structure()
    whole = np.frombuffer(text, dtype=np.uint8)
    for start in range(0, len(whole), BLOCK_BYTES):
        yield structure.marks(whole[start : start + BLOCK_BYTES])
