"""How counts are spread, exactly and in bounded memory: a histogram of integers that adds up across processes."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]

MOST_DISTINCT = 1_000_000
"""Above this value counts are kept to three significant digits, so that hostile files cannot grow the table."""


@dataclass(frozen=True)
class Spread:
    """How a count is spread over the examples. p5 and p95 are the 5th and 95th percentile."""

    total: int = 0
    min: int = 0
    max: int = 0
    mean: float = 0.0
    median: float = 0.0
    p5: float = 0.0
    p95: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


class Histogram:
    """How often each number occurs."""

    def __init__(self) -> None:
        self.seen: Counts = np.zeros(1024, np.int64)
        self.large: dict[int, int] = {}
        self.examples = 0
        self.total = 0
        self.max = 0

    def add(self, numbers: npt.ArrayLike) -> None:
        """Count these numbers (0 or greater)."""
        values = np.asarray(numbers, np.int64)
        if values.size == 0:
            return
        self.examples += values.size
        self.total += int(values.sum())
        self.max = max(self.max, int(values.max()))
        if self.max >= MOST_DISTINCT:
            for value in values[values >= MOST_DISTINCT].tolist():
                rounded = value - value % 10 ** (len(str(value)) - 3)
                self.large[rounded] = self.large.get(rounded, 0) + 1
            values = values[values < MOST_DISTINCT]
        self._grow(np.bincount(values))

    def merge(self, other: "Histogram") -> None:
        """Count what another has counted too."""
        self.examples += other.examples
        self.total += other.total
        self.max = max(self.max, other.max)
        self._grow(other.seen)
        for value, number in other.large.items():
            self.large[value] = self.large.get(value, 0) + number

    def _grow(self, counts: Counts) -> None:
        if counts.size > self.seen.size:
            self.seen = np.concatenate([self.seen, np.zeros(counts.size * 2 - self.seen.size, np.int64)])
        self.seen[: counts.size] += counts

    def _table(self) -> tuple[Counts, Counts]:
        values = np.flatnonzero(self.seen)
        large = sorted(self.large.items())
        return (
            np.concatenate([values, np.array([value for value, _ in large], np.int64)]),
            np.concatenate([self.seen[values], np.array([number for _, number in large], np.int64)]),
        )

    def spread(self) -> Spread:
        """The spread; all zero where nothing was counted."""
        if not self.examples:
            return Spread()
        values, counts = self._table()
        upto = np.cumsum(counts)

        def percentile(share: float) -> float:
            """Linear interpolation between the closest ranks, as numpy's default does."""
            place = (self.examples - 1) * share
            low, high = int(place), min(int(place) + 1, self.examples - 1)
            below, above = (int(values[np.searchsorted(upto, rank, "right")]) for rank in (low, high))
            return round(below + (above - below) * (place - low), 1)

        return Spread(
            total=self.total,
            min=int(values[0]),
            max=self.max,
            mean=round(self.total / self.examples, 1),
            median=percentile(0.5),
            p5=percentile(0.05),
            p95=percentile(0.95),
        )

    def capped(self, limit: int) -> int:
        """The sum of the numbers, none counted for more than `limit`."""
        values, counts = self._table()
        return int((np.minimum(values, limit) * counts).sum())

    def bars(self, most: int = 24) -> dict[str, list[int]]:
        """At most `most` bars of equal width, the last one open: `edges` (one more than bars) and `counts`."""
        if not self.examples:
            return {"edges": [], "counts": []}
        values, counts = self._table()
        low, high = int(values[0]), max(int(self.spread().p95 * 1.5), int(values[0]) + 1)
        width = max(1, -(-(min(high, self.max) - low + 1) // most))
        place = np.minimum((values - low) // width, most - 1)
        heights = np.bincount(place, weights=counts).astype(np.int64)
        edges = [low + width * number for number in range(heights.size)] + [max(self.max, low + width) + 1]
        return {"edges": edges, "counts": heights.tolist()}
