"""Counting of what kind each example is, with the places of the first of each kind: mergeable, and of bounded size."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from heapq import merge

from workers.dataprep.checks.found import Found

MOST_PLACES = 100
"""Places kept of a kind; the counts are exact all the same."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an example of a kind is, and a piece of the text there."""

    line: int
    message: int = 0
    piece: str = ""


@dataclass(frozen=True)
class Counted:
    """A finding of the whole dataset: its exact count, and the first places with what is said there.

    A place is None where the finding is of no line but of the whole.
    """

    check: str
    count: int
    places: tuple[tuple[int | None, Found], ...]


@dataclass
class Kinds:
    """How many examples are of each kind. Beyond `most` kinds the new ones are only counted together."""

    most: int = 50
    counts: dict[str, int] = field(default_factory=dict)
    places: dict[str, list[Place]] = field(default_factory=dict)
    others: int = 0
    total: int = 0
    """How many were counted."""

    def add(self, kind: str, number: int = 1) -> bool:
        """Count one of this kind, or so many. Returns whether its place should be kept, too."""
        self.total += number
        if kind in self.counts:
            self.counts[kind] += number
        elif len(self.counts) < self.most:
            self.counts[kind] = number
            self.places[kind] = []
        else:
            self.others += number
            return False
        return len(self.places[kind]) < MOST_PLACES

    def settled(self, least: int, more: int = 0) -> str | None:
        """The kind of most that were counted so far, even if so many `more` of others come; None if there is none."""
        for kind, count in self.counts.items():
            if count >= least and 2 * count > self.total + more:
                return kind
        return None

    def keep(self, kind: str, place: Place) -> None:
        """Keep the place of one that was just counted."""
        self.places[kind].append(place)

    def move(self, lines: int) -> None:
        """Count every place's line from so many lines earlier on."""
        for places in self.places.values():
            places[:] = [replace(place, line=place.line + lines) for place in places]

    def merge(self, other: "Kinds") -> None:
        """Add another part's counts, of lines before or after these."""
        self.total += other.total
        self.others += other.others
        for kind, count in other.counts.items():
            if kind in self.counts:
                self.counts[kind] += count
                self.places[kind] = list(merge(self.places[kind], other.places[kind]))[:MOST_PLACES]
            elif len(self.counts) < self.most:
                self.counts[kind] = count
                self.places[kind] = list(other.places[kind])
            else:
                self.others += count

    def usual(self, least: int, share: float) -> str | None:
        """The kind of nearly all; None where there are too few, or no kind has such a share."""
        if self.total < least or not self.counts:
            return None
        kind = max(self.counts, key=self.counts.__getitem__)
        return kind if self.counts[kind] >= share * self.total else None

    def places_of(self, kinds: Iterable[str]) -> list[tuple[str, Place]]:
        """The first places of these kinds, in order, each with its kind."""
        found = [(place, kind) for kind in kinds for place in self.places.get(kind, ())]
        return [(kind, place) for place, kind in sorted(found)[:MOST_PLACES]]
