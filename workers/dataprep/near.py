"""Which examples are nearly the same: MinHash over shingles finds candidates, their exact likeness decides.

A text becomes its letters and digits (the ASCII ones in lower case), and that the set of its 8-byte pieces. One piece
in eight (chosen by its hash, so alike texts choose alike) goes into 24 minima. Examples that agree in one of 6 bands of
4 minima are candidates, unless the last two bits of all minima (the sketch) say that they differ. Pieces that very many
examples have, such as an instruction that stands in each, do not count.
"""

import math
import string
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from workers.dataprep.duplicates import Records, Spill
from workers.dataprep.example import Example
from workers.dataprep.fingerprints import Hashes, mix

ALIKE = 0.85
"""From this share of common pieces (Jaccard) on, two examples are near-duplicates."""
BANDS, ROWS = 6, 4
WIDTH = 4
"""Numbers of a record for the spill: band, line, offset, sketch."""
MOST_DIFFERING = 7
"""Minima of the sketch that may differ: of two alike examples about 3 do, with 1 in 100 over 7."""
LEAST_PIECES = 12
"""An example with fewer chosen pieces is too short to be nearly anything."""
COMMON = 0.1
"""Pieces of more than this share of the examples are boilerplate."""
LEAST_EXAMPLES = 20
"""Of fewer nothing is."""
MOST_COMPARED = 100_000
"""Pairs looked at closely in one dataset."""
MOST_PIECES = 10_000
"""Of one example, for the close look."""
MOST_HELD = 2_000_000
"""Pieces of all examples that are kept for the next look: 16 MB."""
LONGEST = 200_000
"""Characters of one text that are looked at."""
_PIECE = 8
_ONE_IN = np.uint64(61)
_NUMBERS: Hashes = np.arange(1, BANDS * ROWS + 1, dtype=np.uint64)
_SEEDS = mix(_NUMBERS * np.uint64(0x9E3779B97F4A7C15))
_ODD = np.uint64(0x5555555555555555)
_DROPPED = (string.whitespace + string.punctuation).encode()
_LOWER = bytes(range(256)).lower()


def pieces(texts: Sequence[str], owners: npt.NDArray[np.int64]) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """The hashes of the chosen pieces of these texts, and whose they are (non-decreasing, as `owners` is)."""
    if max(map(len, texts), default=0) > LONGEST:
        texts = [text[:LONGEST] for text in texts]
    joined = "\x00".join(texts).encode("utf-8", "replace").translate(_LOWER, _DROPPED)
    if len(joined) < _PIECE:
        return np.zeros(0, np.uint64), np.zeros(0, np.int64)
    letters = np.frombuffer(joined, np.uint8)
    windows = np.ndarray((len(joined) - _PIECE + 1,), "<u8", joined, strides=(1,))
    hashes = mix(windows * np.uint64(0x9E3779B97F4A7C15))
    chosen = np.flatnonzero(hashes >> _ONE_IN == 0)
    ends = np.flatnonzero(letters == 0)
    text = np.searchsorted(ends, chosen)  # which text a piece begins in
    end = np.append(ends, len(letters))[text]
    inside = chosen + _PIECE <= end
    return hashes[chosen[inside]], owners[text[inside]]


def boilerplate(examples: Sequence[Example]) -> Hashes:
    """The pieces that very many of these examples have, sorted."""
    values, counts = np.unique(distinct(*pieces(*told(examples)))[0], return_counts=True)
    return values[counts > most_owners(len(examples))]


def most_owners(examples: int, limit: float = math.inf) -> float:
    """How many of so many examples may have a piece that still tells them apart; at most `limit`."""
    return min(limit, COMMON * examples) if examples >= LEAST_EXAMPLES else math.inf


def distinct(hashes: Hashes, owners: npt.NDArray[np.int64]) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Each piece once for each whose it is, sorted by its hash; the owners must not decrease, as in `pieces`."""
    order = np.argsort(hashes, kind="stable")
    hashes, owners = hashes[order], owners[order]
    new = (np.diff(hashes, prepend=~hashes[:1]) != 0) | (np.diff(owners, prepend=-1) != 0)
    return hashes[new], owners[new]


def told(examples: Sequence[Example]) -> tuple[list[str], npt.NDArray[np.int64]]:
    """What users and assistants say in these examples, and who says it (numbers from 0)."""
    texts, owners = [], []
    for number, example in enumerate(examples):
        for message in (*example.messages, *example.rejected):
            if message.role not in {"system", "developer"} and message.text:
                texts.append(message.text.replace("\x00", " "))
                owners.append(number)
    return texts, np.array(owners, np.int64)


def signatures(
    texts: Sequence[str], owners: npt.NDArray[np.int64], common: Hashes
) -> tuple[npt.NDArray[np.int64], Hashes]:
    """The numbers of the examples that are long enough, and their bands with their sketch: shape (those, BANDS + 1)."""
    hashes, owner = pieces(texts, owners)
    if common.size and hashes.size:
        place = np.minimum(np.searchsorted(common, hashes), common.size - 1)
        kept = common[place] != hashes
        hashes, owner = hashes[kept], owner[kept]
    if not hashes.size:
        return np.zeros(0, np.int64), np.zeros((0, BANDS + 1), np.uint64)
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    lengths = np.diff(starts, append=len(owner))
    bands: Hashes = np.zeros((len(starts), BANDS + 1), np.uint64)
    for number, seed in enumerate(_SEEDS):
        minima: Hashes = np.minimum.reduceat((hashes ^ seed) * (seed | np.uint64(1)), starts)
        band: Hashes = bands[:, number // ROWS] + minima
        bands[:, number // ROWS] = mix(band)
        bands[:, BANDS] |= (mix(minima) & np.uint64(3)) << np.uint64(2 * number)
    enough = lengths >= LEAST_PIECES
    return owner[starts][enough], bands[enough]


def records(bands: Hashes, lines: npt.NDArray[np.int64], offsets: npt.NDArray[np.int64]) -> Records:
    """For the spill: one (band, line, offset in the file, sketch) for each band of each example."""
    numbers: Hashes = np.arange(BANDS, dtype=np.uint64)
    numbered = mix(bands[:, :BANDS] + numbers)
    more = (lines.astype(np.uint64), offsets.astype(np.uint64), bands[:, BANDS])
    return np.stack([numbered.ravel(), *(np.repeat(one, BANDS) for one in more)], axis=1)


NOTHING: Hashes = np.zeros(0, np.uint64)
_AT_ONCE = 10_000


def candidates(spill: Spill, known: Hashes = NOTHING) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Pairs of (line, offset) that share a band and seem alike: each of a group with the group's first.

    The lines that are `known` (sorted) to repeat another are left out.
    """
    for part in spill.groups():
        if known.size:
            place = np.minimum(np.searchsorted(known, part[:, 1]), known.size - 1)
            part = part[known[place] != part[:, 1]]  # noqa: PLW2901 -- the rest of it
        same = np.flatnonzero(part[1:, 0] == part[:-1, 0]) + 1
        if not same.size:
            continue
        begins = np.flatnonzero(np.concatenate([[True], part[1:, 0] != part[:-1, 0]]))
        first = begins[np.searchsorted(begins, same, "right") - 1]
        differing = part[first, 3] ^ part[same, 3]
        alike = np.bitwise_count((differing | differing >> np.uint64(1)) & _ODD) <= MOST_DIFFERING
        left, right = part[first[alike], 1:3], part[same[alike], 1:3]
        for start in range(0, len(left), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            for one, other in zip(left[some].tolist(), right[some].tolist(), strict=True):
                yield (one[0], one[1]), (other[0], other[1])


def pairs(spill: Spill, likeness: "Likeness", known: Hashes = NOTHING) -> tuple[Records, bool]:
    """Near-duplicates as (line, earlier line), by line, and whether these are all; those `known` are left out."""
    found: dict[int, int] = {}
    compared = 0
    for (line, offset), (other, other_offset) in candidates(spill, known):
        later, earlier = max(line, other), min(line, other)
        if found.get(later, later) <= earlier:
            continue
        compared += 1
        if compared > MOST_COMPARED:
            return _by_line(found), False
        if likeness.of(offset, other_offset) >= ALIKE:
            found[later] = earlier
    return _by_line(found), True


def _by_line(found: dict[int, int]) -> Records:
    return np.array(sorted(found.items()), np.uint64).reshape(-1, 2)


class Likeness:
    """Compares candidates closely; `read` gives the example that begins at an offset of the file (None: none).

    Of a very long example the pieces with the smallest hashes stand for all, which alike examples have in common, too.
    """

    def __init__(self, read: Callable[[int], Example | None], common: Hashes) -> None:
        self._read = read
        self._common = common
        self._known: dict[int, Hashes] = {}
        self._held = 0

    def of(self, left: int, right: int) -> float:
        """The share of common pieces (Jaccard) of the examples at these two offsets."""
        one, two = self._pieces(left), self._pieces(right)
        both = np.union1d(one, two)
        if MOST_PIECES in (len(one), len(two)):
            both = both[:MOST_PIECES]
        common = np.isin(both, one, assume_unique=True) & np.isin(both, two, assume_unique=True)
        return float(common.mean()) if both.size else 0.0

    def _pieces(self, offset: int) -> Hashes:
        if offset not in self._known:
            if self._held > MOST_HELD:
                self._known.clear()
                self._held = 0
            example = self._read(offset)
            hashes = pieces(*told([example]))[0] if example is not None else np.zeros(0, np.uint64)
            self._known[offset] = np.setdiff1d(hashes, self._common)[:MOST_PIECES]
            self._held += len(self._known[offset])
        return self._known[offset]
