"""What of one dataset is also in another: a test that was learnt from proves nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.dataprep import near, split
from workers.dataprep.example import Example
from workers.dataprep.fingerprints import Hashes
from workers.dataprep.sketches import Numbers, Sketches, batches

MOST_COMPARED = 20_000
"""So many of a test's examples are compared with what is nearly the same; all are with what is the same."""
MOST_OWNERS = 100
"""A piece that more of them have, as the instruction of a task that many belong to, tells nothing."""
MOST_MATCHES = 1_000_000
"""Pieces found in both files that are looked at together."""


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
    for batch in batches(train):
        index.look_for(batch)
    same = index.wholes.found
    asked = index.prompts.found & ~same
    alike = index.alike & ~(same | asked)
    return Leakage(
        tested=len(same),
        same=int(same.sum()),
        asked=int(asked.sum()),
        alike=int(alike.sum()),
        leaked=same | asked | alike,
    )


class _Keys:
    """Keys of the tested examples, and which of them have been seen elsewhere."""

    def __init__(self, keys: list[int]) -> None:
        self._keys, self._inverse = np.unique(np.array(keys, np.uint64), return_inverse=True)
        self._seen = np.zeros(len(self._keys), np.bool_)

    def see(self, keys: list[int]) -> None:
        if len(self._keys):
            others = np.array(keys, np.uint64)
            place = np.minimum(np.searchsorted(self._keys, others), len(self._keys) - 1)
            self._seen[place[self._keys[place] == others]] = True

    @property
    def found(self) -> NDArray[np.bool_]:
        """Whether each example's key has been seen, in the file's order."""
        found: NDArray[np.bool_] = self._seen[self._inverse]
        return found


class _Index:
    """The tested file's examples, to be found by what they share with others."""

    def __init__(self, examples: Iterable[Example]) -> None:
        prompts: list[int] = []
        wholes: list[int] = []
        sketches: list[Sketches] = []
        common: Hashes | None = None
        for batch in batches(examples):
            common = near.boilerplate(batch) if common is None else common
            if len(prompts) < MOST_COMPARED:
                sketches.append(Sketches.of(batch, common))
            prompts += [split.prompt_key(one) for one in batch]
            wholes += [split.example_key(one) for one in batch]
        self.prompts, self.wholes = _Keys(prompts), _Keys(wholes)
        self.alike = np.zeros(len(prompts), np.bool_)
        self._keep(Sketches.joined(sketches), common if common is not None else np.zeros(0, np.uint64))

    def _keep(self, sketches: Sketches, common: Hashes) -> None:
        """Sort the pieces, without those that too many examples have wherever they are in the file."""
        values, owners = np.unique(sketches.hashes, return_counts=True)
        frequent = values[owners > near.most_owners(len(sketches), MOST_OWNERS)]
        self._common: Hashes = np.union1d(common, frequent)
        self._sketches = sketches.without(frequent)
        order = np.argsort(self._sketches.hashes, kind="stable")
        self._hashes, self._owners = self._sketches.hashes[order], self._sketches.owners[order]

    def look_for(self, batch: list[Example]) -> None:
        """Note which of the tested examples are the same as one of these, or nearly so."""
        self.prompts.see([split.prompt_key(one) for one in batch])
        self.wholes.see([split.example_key(one) for one in batch])
        if not len(self._hashes):
            return
        learnt = Sketches.of(batch, self._common)
        begins = np.searchsorted(self._hashes, learnt.hashes, "left")
        counts = np.searchsorted(self._hashes, learnt.hashes, "right") - begins
        for part in _parts(learnt, counts):
            self._compare(learnt, begins[part], counts[part], learnt.owners[part])

    def _compare(self, learnt: Sketches, begins: Numbers, counts: Numbers, owners: NDArray[np.int32]) -> None:
        total = int(counts.sum())
        place = np.repeat(begins - np.cumsum(counts) + counts, counts) + np.arange(total)
        matches = self._owners[place].astype(np.int64) * len(learnt) + np.repeat(owners, counts)
        pairs, shared = np.unique(matches, return_counts=True)
        enough = shared >= near.ALIKE * near.LEAST_PIECES
        mine, theirs = np.divmod(pairs[enough], len(learnt))
        self.alike[mine[self._sketches.alike(mine, learnt, theirs, shared[enough])]] = True


def _parts(learnt: Sketches, counts: Numbers) -> Iterator[slice]:
    """The pieces of whole examples with about MOST_MATCHES matches at a time."""
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])[learnt.starts]
    firsts = np.flatnonzero(np.diff(before[:-1] // MOST_MATCHES, prepend=-1))
    for first, last in zip(firsts, [*firsts[1:], len(learnt)], strict=True):
        yield slice(int(learnt.starts[first]), int(learnt.starts[last]))
