"""A whole dataset looked at: every block judged on all cores, then the examples compared with one another."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Self

import numpy as np

from workers.dataprep import duplicates, judge, near, parallel, tokens
from workers.dataprep.blocks import BLOCK_BYTES, Block, batches, blocks
from workers.dataprep.checks import Found, Severity
from workers.dataprep.duplicates import Records, Spill
from workers.dataprep.example import Example
from workers.dataprep.formats import Detected, lines
from workers.dataprep.limits import Limits
from workers.dataprep.notes import Notes
from workers.dataprep.scan import MOST_SAMPLES, Part, Rules, scan
from workers.dataprep.source import Source

LEAST_BYTES_FOR_PROCESSES = 8_000_000
"""A smaller file is checked faster than processes start."""
HEAD_EXAMPLES = 1_000
"""So many of the first examples tell which text is boilerplate."""


@dataclass(frozen=True)
class Progress:
    """How far a check has come; bytes of the file as it is read."""

    bytes_done: int
    bytes_total: int
    examples: int


def rules_of(
    source: Source,
    detected: Detected,
    limits: Limits,
    *,
    tokenizer: str = tokens.DEFAULT,
    context: int = 16_385,
    deep: bool = True,
) -> Rules:
    """The rules for this dataset; the first examples say what is boilerplate in it."""
    head = list(islice(_examples(source, detected), HEAD_EXAMPLES)) if deep else []
    return Rules(detected, tokenizer, context, limits.max_line_bytes, deep=deep, common=near.boilerplate(head))


def lines_to_leave_out(
    source: Source,
    detected: Detected,
    wanted: Collection[str],
    limits: Limits = Limits(),  # noqa: B008 -- frozen
) -> Mapping[int, str]:
    """What the fixes of checks that compare examples leave out (of those wanted): line -> check."""
    if not wanted:
        return {}
    deep = "near_duplicate" in wanted
    with Analysis(source, rules_of(source, detected, limits, deep=deep)) as whole:
        whole.scan(parallel.cores())
        whole.compare()
    left: dict[int, str] = {}
    if "reference_missing" in wanted:
        left |= dict.fromkeys(_lacking(source, detected, whole.sum.tallies.needed_references()), "reference_missing")
    for check, pairs in (("near_duplicate", whole.near), ("exact_duplicate", whole.repeats.repeats)):
        if check in wanted:
            left |= dict.fromkeys((pairs[:, 0] + np.uint64(source.first)).tolist(), check)
    return left


def _lacking(source: Source, detected: Detected, needed: frozenset[str]) -> Iterator[int]:
    """The lines of the examples that lack one of these reference fields."""
    for number, raw in lines(source):
        example = judge.line(raw, detected, number).example
        if example is not None and any(example.reference.get(key) is None for key in needed):
            yield number


class Analysis:
    """All parts of a dataset, added up. A context: what it keeps on the disk goes with it."""

    def __init__(self, source: Source, rules: Rules) -> None:
        self._source = source
        self._rules = rules
        self.sum = Part()
        self.repeats = duplicates.Repeats()
        self.near: Records = np.zeros((0, 2), np.uint64)
        self._prompts = Spill(3, keys=2)
        self._bands = Spill(near.WIDTH)
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        self._exit.enter_context(self._prompts)
        self._exit.enter_context(self._bands)
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def scan(self, processes: int, progress: Callable[[Progress], None] = lambda _: None) -> None:
        """Judge every line."""
        path, offset = self._source.path, self._source.offset
        size = path.stat().st_size
        jobs = blocks(path, offset)
        few = size < LEAST_BYTES_FOR_PROCESSES
        done = offset
        for part in parallel.each(partial(scan, self._rules), jobs, 1 if few else processes):
            self._add(part)
            done += part.bytes
            progress(Progress(done, size, self.sum.examples))
        for place, found in self._source.findings:
            self.sum.notes.add(found, None if place is None else place - self._source.first)

    def _add(self, part: Part) -> None:
        whole, line = self.sum, self.sum.lines
        whole.notes.merge(part.notes, line)
        whole.totals.merge(part.totals)
        whole.answers.merge(part.answers)
        whole.messages.merge(part.messages)
        part.tallies.move(line)
        whole.tallies.merge(part.tallies)
        room = MOST_SAMPLES - len(whole.samples)
        first = line + self._source.first
        whole.samples += [replace(one, line=one.line + first) for one in part.samples[:room]]
        for spill, column, pieces in ((self._prompts, 2, part.prompts), (self._bands, 1, part.bands)):
            for piece in pieces:
                piece[:, column] += np.uint64(line)
                spill.add(piece)
        whole.examples += part.examples
        whole.lines += part.lines

    def compare(self) -> None:
        """Find what only the whole shows, and what repeats, contradicts or nearly repeats another example."""
        notes, first = self.sum.notes, self._source.first
        for counted in self.sum.tallies.findings(self._rules.detected.format.method):
            for line, one in counted.places[: notes.room(counted.check)]:
                notes.add(one, line)
            if counted.count > len(counted.places) and counted.places:
                notes.count(counted.places[0][1], counted.count - len(counted.places))
        unit = self._source.unit
        found = self.repeats = duplicates.repeats(self._prompts)
        _listed(notes, found.repeats, lambda other: _repeat_words(unit, other + first))
        if self._rules.detected.format.method == "sft":  # preferences are several answers to one prompt
            _listed(notes, found.contradicting, lambda other: _contradiction_words(unit, other + first))
        if self._rules.deep:
            reader = _Reader(self._source, self._rules)
            alike = near.Likeness(reader.example, self._rules.common)
            self.near, complete = near.pairs(self._bands, alike, found.repeats[:, 0])
            if not complete:
                notes.add(_MANY_ALIKE, None)
            _listed(notes, self.near, lambda other: _near_words(unit, other + first))


class _Reader:
    """Reads single examples again."""

    def __init__(self, source: Source, rules: Rules) -> None:
        self._source = source
        self._rules = rules

    def example(self, offset: int) -> Example | None:
        """The example whose line begins at this byte; None where there is none."""
        block = Block(self._source.path, offset, offset + 1, first=True)
        for batch in batches(block, self._rules.max_line_bytes):
            return judge.line(batch.lines[0], self._rules.detected, 0).example
        return None


def _examples(source: Source, detected: Detected) -> Iterator[Example]:
    """The examples at the file's head."""
    head = Block(source.path, source.offset, source.offset + BLOCK_BYTES, first=True)
    for batch in batches(head, BLOCK_BYTES):
        for place, line in enumerate(batch.lines):
            example = judge.line(line, detected, place).example
            if example is not None:
                yield example


def _listed(notes: Notes, pairs: duplicates.Records, found: Callable[[int], Found]) -> None:
    """The findings of pairs of (line, other line): the first listed, all counted."""
    if not len(pairs):
        return
    kind = found(0)
    listed = pairs[: notes.room(kind.check)].tolist()
    for line, other in listed:
        notes.add(found(int(other)), int(line))
    notes.count(kind, len(pairs) - len(listed))


def _repeat_words(unit: str, other: int) -> Found:
    words = f"The same as {unit} {other:,}. A model learns repeated examples by heart: remove the repetition."
    return Found(check="exact_duplicate", words=words, fix="dedupe", severity=Severity.WARNING)


_MANY_ALIKE = Found(
    check="near_duplicate",
    words=f"Very many examples are alike: after {near.MOST_COMPARED:,} close looks the rest was left. Remove these and "
    "check again.",
    severity=Severity.WARNING,
)


def _near_words(unit: str, other: int) -> Found:
    words = (
        f"Nearly the same as {unit} {other:,}. Keep one of them, unless the small difference is what is to be learnt."
    )
    return Found(check="near_duplicate", words=words, fix="dedupe", severity=Severity.WARNING)


def _contradiction_words(unit: str, other: int) -> Found:
    words = f"The same prompt as {unit} {other:,} with another answer. Keep the answer that is right."
    return Found(check="contradicting_answers", words=words, severity=Severity.WARNING)
