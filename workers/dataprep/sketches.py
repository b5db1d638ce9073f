"""What is kept of an example to tell whether another is nearly the same: its pieces with the smallest hashes.

A sketch has at most MOST_PIECES numbers, however long the example is. Of a short example these are all of its pieces,
and the likeness of two is exact; of longer ones they are a sample that alike examples have in common.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from workers.dataprep import near
from workers.dataprep.example import Example
from workers.dataprep.fingerprints import Hashes

Numbers = NDArray[np.int64]

MOST_PIECES = 256
"""Of one example: 2 kB."""
BATCH = 500
"""Examples looked at together at most."""
BATCH_CHARACTERS = 1_000_000
"""A batch ends where its examples have so many characters, however few they are."""
_ALL = np.uint64(2**64 - 1)


@dataclass(frozen=True)
class Sketches:
    """The sketches of several examples, which are numbered from 0."""

    hashes: Hashes
    """One example's after another's, each in order."""
    starts: Numbers
    """Where each example's begin in `hashes`, and the end."""
    limits: Hashes
    """Up to which hash each example's pieces are all there."""

    @classmethod
    def of(cls, examples: Sequence[Example], common: Hashes) -> Self:
        """Sketch these examples, without the pieces in `common` (sorted)."""
        hashes, owners = near.distinct(*near.pieces(*near.told(examples)))
        kept = ~_among(hashes, common)
        hashes, owners = hashes[kept], owners[kept]
        order = np.argsort(owners, kind="stable")
        hashes, owners = hashes[order], owners[order]
        starts = np.searchsorted(owners, np.arange(len(examples) + 1))
        kept = np.arange(len(hashes)) - starts[owners] < MOST_PIECES
        limits = np.full(len(examples), _ALL)
        cut = np.flatnonzero(np.diff(starts) > MOST_PIECES)
        limits[cut] = hashes[starts[cut] + MOST_PIECES - 1]
        return cls(hashes[kept], _starts(kept, starts), limits)

    @classmethod
    def joined(cls, several: Sequence[Self]) -> Self:
        """All of these, numbered on."""
        sizes = [np.diff(one.starts) for one in several]
        return cls(
            np.concatenate([np.zeros(0, np.uint64), *(one.hashes for one in several)]),
            np.concatenate([np.zeros(1, np.int64), *sizes]).cumsum(),
            np.concatenate([np.zeros(0, np.uint64), *(one.limits for one in several)]),
        )

    def __len__(self) -> int:
        return len(self.limits)

    @property
    def owners(self) -> NDArray[np.int32]:
        """Whose each of `hashes` is."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.starts))

    def __getitem__(self, number: int) -> Hashes:
        return self.hashes[self.starts[number] : self.starts[number + 1]]

    def without(self, common: Hashes) -> Self:
        """The same without the pieces in `common` (sorted)."""
        kept = ~_among(self.hashes, common)
        return replace(self, hashes=self.hashes[kept], starts=_starts(kept, self.starts))

    def alike(self, mine: Numbers, other: "Sketches", theirs: Numbers, shared: Numbers) -> NDArray[np.bool_]:
        """Which of these pairs are nearly the same; each has so many pieces of its two sketches in common."""
        limits = np.minimum(self.limits[mine], other.limits[theirs])
        own, others = self.count_up_to(mine, limits), other.count_up_to(theirs, limits)
        return (shared >= near.ALIKE * (own + others - shared)) & (np.minimum(own, others) >= near.LEAST_PIECES)

    def are_alike(self, left: int, right: int) -> bool:
        """Whether two of these examples are nearly the same."""
        shared = np.intersect1d(self[left], self[right], assume_unique=True).size
        pair = (np.array([left]), np.array([right]))
        return bool(self.alike(pair[0], self, pair[1], np.array([shared]))[0])

    def count_up_to(self, numbers: Numbers, limits: Hashes) -> Numbers:
        """How many pieces of each of these examples are up to its limit (a search by halves)."""
        low, high = self.starts[numbers], self.starts[numbers + 1]
        for _ in range(MOST_PIECES.bit_length()):
            middle = (low + high) // 2
            open_ = low < high
            up = np.zeros(len(low), np.bool_)
            up[open_] = self.hashes[middle[open_]] <= limits[open_]
            low, high = np.where(open_ & up, middle + 1, low), np.where(open_ & ~up, middle, high)
        counts: Numbers = low - self.starts[numbers]
        return counts


def batches(examples: Iterable[Example]) -> Iterator[list[Example]]:
    """The examples in turn, so many at a time that they fit into memory however long they are."""
    batch: list[Example] = []
    characters = 0
    for example in examples:
        batch.append(example)
        characters += _characters(example)
        if len(batch) == BATCH or characters > BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _characters(example: Example) -> int:
    said = (*example.messages, *example.rejected)
    more = (example.reference, example.tools, example.extra, *(message.extra for message in said))
    shown = sum(len(one.content if isinstance(one.content, str) else repr(one.content)) for one in said)
    return shown + sum(len(repr(one)) for one in more if one)


def _among(hashes: Hashes, common: Hashes) -> NDArray[np.bool_]:
    """Which of the hashes are in `common`, which is sorted."""
    if not common.size:
        return np.zeros(len(hashes), np.bool_)
    found: NDArray[np.bool_] = common[np.minimum(np.searchsorted(common, hashes), common.size - 1)] == hashes
    return found


def _starts(kept: NDArray[np.bool_], starts: Numbers) -> Numbers:
    """Where each example's begin among those that are kept."""
    moved: Numbers = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])[starts]
    return moved
