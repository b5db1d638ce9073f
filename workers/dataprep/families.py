"""Groups of examples that are nearly the same, for whoever must keep them together."""

from collections.abc import Iterable

import numpy as np

from workers.dataprep import near
from workers.dataprep.duplicates import Spill
from workers.dataprep.example import Example
from workers.dataprep.fingerprints import Hashes
from workers.dataprep.sketches import Sketches, batches

MOST_PIECES = 8_000_000
"""Kept for a closer look: 64 MB. Of datasets with more, all that agree in a part of their signature stay together."""


def pairs(examples: Iterable[Example]) -> list[tuple[int, int]]:
    """Pairs of lines that are nearly the same, the later one first; together they make the groups."""
    kept: list[Sketches] = []
    pieces = seen = 0
    common: Hashes | None = None
    with Spill(near.WIDTH) as spill:
        for batch in batches(examples):
            common = near.boilerplate(batch) if common is None else common
            numbers, bands = near.signatures(*near.told(batch), common)
            lines = np.array([one.line for one in batch], np.int64)[numbers]
            spill.add(near.records(bands, lines, numbers + seen))
            seen += len(batch)
            if pieces <= MOST_PIECES:
                kept.append(Sketches.of(batch, common))
                pieces += len(kept[-1].hashes)
        if pieces > MOST_PIECES:
            kept.clear()
        return _found(spill, Sketches.joined(kept) if kept else None)


def _found(spill: Spill, sketches: Sketches | None) -> list[tuple[int, int]]:
    """The candidates that a closer look confirms, while such looks are left; then all."""
    found: set[tuple[int, int]] = set()
    looks = 0
    for (first, place), (other, other_place) in near.candidates(spill):
        pair = (max(first, other), min(first, other))
        if pair in found:
            continue
        if sketches is not None and looks < near.MOST_COMPARED:
            looks += 1
            if not sketches.are_alike(place, other_place):
                continue
        found.add(pair)
    return sorted(found)
