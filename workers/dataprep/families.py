"""Groups of examples that are nearly the same, for whoever must keep them together."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from workers.dataprep import near
from workers.dataprep.duplicates import Spill
from workers.dataprep.example import Example
from workers.dataprep.fingerprints import Hashes
from workers.dataprep.near import Likeness

BATCH = 500
"""Examples looked at together."""
MOST_COMPARED_CLOSELY = 50_000
"""Of more examples all that agree in a part of their signature are kept together, without a closer look."""


def pairs(examples: Iterable[Example]) -> list[tuple[int, int]]:
    """Pairs of lines that are nearly the same; together they make the groups."""
    kept: list[Example] = []
    seen = 0
    common: Hashes | None = None
    with Spill(3) as spill:
        for batch in _batches(examples):
            common = near.boilerplate(batch) if common is None else common
            numbers, bands = near.signatures(*near.told(batch), common)
            lines = np.array([one.line for one in batch], np.int64)[numbers]
            spill.add(near.records(bands, lines, numbers + seen))
            seen += len(batch)
            if seen <= MOST_COMPARED_CLOSELY:
                kept += batch
        if common is None:
            return []
        if seen > MOST_COMPARED_CLOSELY:
            return [(line, other) for (line, _), (other, _) in near.candidates(spill)]
        found = near.pairs(spill, Likeness(kept.__getitem__, common), frozenset())
        return [(int(line), int(earlier)) for line, earlier in found]


def _batches(examples: Iterable[Example]) -> Iterator[list[Example]]:
    source = iter(examples)
    while batch := list(islice(source, BATCH)):
        yield batch
