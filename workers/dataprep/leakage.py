"""What of one dataset is also in another: a test that was learnt from proves nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from workers.dataprep import near, split
from workers.dataprep.example import Example
from workers.dataprep.fingerprints import Hashes

BATCH = 500
"""Examples looked at together."""
MOST_COMPARED = 20_000
"""So many of a test's examples are compared with what is nearly the same; all are with what is the same."""
_OWNER = np.uint64(48)
"""Bits of a piece's hash; above them is the number of its example within the batch."""


@dataclass(frozen=True)
class Leakage:
    """How many of a file's examples were also learnt from; each counts once, for the first of the three."""

    tested: int
    same: int
    """The whole example is in the training data."""
    asked: int
    """The same prompt is, with another answer."""
    alike: int
    """One that is nearly the same is."""
    leaked: NDArray[np.bool_]
    """Which examples of the file those are, in its order."""

    @property
    def count(self) -> int:
        """How many in all."""
        return self.same + self.asked + self.alike

    @property
    def words(self) -> str:
        """The count and what it consists of; empty where there is none."""
        if not self.count:
            return ""
        kinds = [
            (self.same, "the same"),
            (self.asked, "the same prompt with another answer"),
            (self.alike, "nearly the same"),
        ]
        said = ", ".join(f"{number:,} {what}" for number, what in kinds if number)
        return f"{self.count:,} of its {self.tested:,} examples are also in the training data ({said})"


def between(train: Iterable[Example], test: Iterable[Example]) -> Leakage:
    """Compare two files, each read once: the tested one first."""
    index = _Index(test)
    prompts, wholes = index.prompts, index.wholes
    asked = np.zeros(len(prompts), np.bool_)
    same = np.zeros(len(prompts), np.bool_)
    alike = np.zeros(len(prompts), np.bool_)
    for batch in _batches(train):
        asked |= np.isin(prompts, np.array([split.prompt_key(one) for one in batch], np.uint64))
        same |= np.isin(wholes, np.array([split.example_key(one) for one in batch], np.uint64))
        alike[index.alike(batch)] = True
    asked &= ~same
    alike &= ~(same | asked)
    return Leakage(
        tested=len(prompts),
        same=int(same.sum()),
        asked=int(asked.sum()),
        alike=int(alike.sum()),
        leaked=same | asked | alike,
    )


def _batches(examples: Iterable[Example]) -> Iterator[list[Example]]:
    source = iter(examples)
    while batch := list(islice(source, BATCH)):
        yield batch


class _Index:
    """The tested file's examples, to be found by what they share with others."""

    def __init__(self, examples: Iterable[Example]) -> None:
        prompts: list[int] = []
        wholes: list[int] = []
        hashes: list[Hashes] = []
        owners: list[NDArray[np.int64]] = []
        self._common: Hashes | None = None
        for batch in _batches(examples):
            if self._common is None:
                self._common = near.boilerplate(batch)
            if len(prompts) < MOST_COMPARED:
                found, owner = _pieces(batch, self._common)
                hashes.append(found)
                owners.append(owner + len(prompts))
            prompts += [split.prompt_key(one) for one in batch]
            wholes += [split.example_key(one) for one in batch]
        self.prompts = np.array(prompts, np.uint64)
        self.wholes = np.array(wholes, np.uint64)
        joined = np.concatenate(hashes) if hashes else np.zeros(0, np.uint64)
        owner = np.concatenate(owners) if owners else np.zeros(0, np.int64)
        order = np.argsort(joined, kind="stable")
        self._hashes, self._owners = joined[order], owner[order]
        self._sizes = np.bincount(owner, minlength=len(prompts))

    def alike(self, batch: list[Example]) -> NDArray[np.int64]:
        """The numbers of the tested examples that are nearly the same as one of these."""
        hashes, owner = _pieces(batch, self._common if self._common is not None else np.zeros(0, np.uint64))
        begins = np.searchsorted(self._hashes, hashes, "left")
        counts = np.searchsorted(self._hashes, hashes, "right") - begins
        total = int(counts.sum())
        if not total:
            return np.zeros(0, np.int64)
        place = np.repeat(begins - np.cumsum(counts) + counts, counts) + np.arange(total)
        tested, learnt = self._owners[place], np.repeat(owner, counts)
        pairs, common = np.unique(tested * BATCH + learnt, return_counts=True)
        tested, learnt = np.divmod(pairs, BATCH)
        sizes = self._sizes[tested]
        union = sizes + np.bincount(owner, minlength=BATCH)[learnt] - common
        found = (common >= near.ALIKE * union) & (sizes >= near.LEAST_PIECES)
        return np.unique(tested[found])


def _pieces(batch: list[Example], common: Hashes) -> tuple[Hashes, NDArray[np.int64]]:
    """The different pieces of each example (48 bits of their hashes), without those that very many have."""
    hashes, owner = near.pieces(*near.told(batch))
    if common.size:
        kept = ~np.isin(hashes, common)
        hashes, owner = hashes[kept], owner[kept]
    pairs = np.unique((owner.astype(np.uint64) << _OWNER) | (hashes >> (np.uint64(64) - _OWNER)))
    return pairs & ((np.uint64(1) << _OWNER) - np.uint64(1)), (pairs >> _OWNER).astype(np.int64)
