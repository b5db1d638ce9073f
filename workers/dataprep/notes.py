"""What is found in a dataset, collected: exact counts, and the first findings of each check."""

import math
from bisect import insort
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workers.dataprep.checks import Found, Severity, secrets

MOST_FINDINGS = 100
"""Findings listed per check; the counts are exact all the same."""
Lines = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Finding:
    """One check's result at one place. `line` counts from 1; `message` is in words; `fix` names a repair."""

    severity: Severity
    check: str
    message: str
    line: int | None = None
    fix: str = ""
    excerpt: str = ""

    @classmethod
    def of(cls, found: Found, line: int | None) -> "Finding":
        """The finding of a check at this line. Whatever it quotes of the dataset is without secrets."""
        where = f"Message {found.message}: " if found.message else ""
        words, excerpt = secrets.redact(found.words), secrets.redact(found.excerpt)
        return cls(found.severity, found.check, where + words, line, found.fix, excerpt)


class Notes:
    """Collects findings: exact counts, capped lists. Lines are the file's, counted from 0, until `numbered`."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.errors = 0
        self.fixable: Counter[str] = Counter()
        self.listed: dict[str, list[tuple[int | None, Found]]] = {}

    def add(self, found: Found, line: int | None) -> None:
        """Count it, and list it if it is among the first of its kind."""
        self.count(found, 1)
        listed = self.listed.setdefault(found.check, [])
        if listed and line is not None and line < _line(listed[-1]):  # of a batch, the plain ones come first
            insort(listed, (line, found), key=_line)
            del listed[MOST_FINDINGS:]
        elif len(listed) < MOST_FINDINGS:
            listed.append((line, found))

    def count(self, found: Found, number: int) -> None:
        """Count so many of its kind without listing them."""
        self.counts[found.check] += number
        self.errors += number if found.severity is Severity.ERROR else 0
        self.fixable[found.check] += number if found.fix else 0

    def room(self, check: str) -> int:
        """How many more of a check would be listed."""
        return MOST_FINDINGS - len(self.listed.get(check, []))

    def add_several(self, lines: Lines, found: Callable[[int], Found]) -> None:
        """Add the same finding at many lines, in order."""
        first = found(int(lines[0]))
        listed = self.listed.get(first.check, [])
        wanted = lines[:MOST_FINDINGS] if len(listed) < MOST_FINDINGS else lines[lines < _line(listed[-1])]
        for line in wanted.tolist():
            self.add(found(line), line)
        self.count(first, len(lines) - len(wanted))

    def merge(self, other: "Notes", line: int) -> None:
        """Add those of a later part of the file, which begins at `line`."""
        self.counts += other.counts
        self.errors += other.errors
        self.fixable += other.fixable
        for check, found in other.listed.items():
            listed = self.listed.setdefault(check, [])
            room = MOST_FINDINGS - len(listed)
            listed += [(None if at is None else at + line, one) for at, one in found[:room]]

    def numbered(self, first: int) -> list[Finding]:
        """All that are listed, by line; `first` is the number of the file's first line."""
        findings = [
            Finding.of(found, None if at is None else at + first)
            for listed in self.listed.values()
            for at, found in listed
        ]
        return sorted(findings, key=lambda one: (one.line is None, one.line or 0, one.severity, one.check))


def _line(listed: tuple[int | None, Found]) -> float:
    return math.inf if listed[0] is None else listed[0]
