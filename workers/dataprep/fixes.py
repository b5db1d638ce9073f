"""Fixing a dataset: a new file in which the wanted findings are gone. The original stays as it is.

Records that nothing is changed in are copied byte for byte where the format allows it. What reading itself could not
read is copied too, unless dropping it is wanted: nothing disappears that nobody asked to remove.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from workers.dataprep import hiding, json_values
from workers.dataprep.checks import EXAMPLE_CHECKS, PRIVATE_CHECKS, Severity, mending
from workers.dataprep.checks.catalogue import CATALOGUE, Fix, fixable
from workers.dataprep.checks.texts import rewritten, rewritten_value
from workers.dataprep.checks.whole import Tallies, is_odd
from workers.dataprep.example import Example
from workers.dataprep.formats import DatasetFormat, Detected, Table, lines
from workers.dataprep.formats.cells import Cells
from workers.dataprep.formats.chat import OpenAIChat
from workers.dataprep.formats.kto import Kto
from workers.dataprep.formats.preference import OpenAIPreference
from workers.dataprep.source import Source
from workers.errors import UserError

MOST_DIFFERENCES = 50
MOST_SHOWN = 600
MOST_LOOKED_AT = 60_000
"""Of a record: the first place that differs is looked for in so many characters."""
MOST_PARSED = 1_000_000
"""A longer record is shown as it is written."""
_ASCII = re.compile(r"\\u00([2-7][0-9a-fA-F])")
MOST_LINE_BYTES = 64_000_000
_ODD = ("cut_off_answer", "wrong_language", "not_json")
_MOST_LOOKS = 5
"""What is odd depends on the others: so often the rest is looked at again."""


@dataclass(frozen=True)
class Difference:
    """What a fix did to one record; `after` is empty for one that was dropped. Nothing secret or personal is in it."""

    line: int
    check: str
    before: str
    after: str


@dataclass(frozen=True)
class FixSummary:
    """What the fixes did. `by_check` counts the records that each check's fix changed or dropped."""

    format: str
    kept: int
    dropped: int
    changed: int
    by_check: Mapping[str, int]
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class _Mended:
    """One record after the fixes: what is written (None for nothing), as an example where it is one, and by what."""

    line: int
    written: bytes | None
    example: Example | None
    checks: tuple[str, ...] = ()
    before: Any = None
    after: Any = None


def apply(
    source: Source,
    detected: Detected,
    wanted: Collection[str],
    drop_lines: Collection[int] | Mapping[int, str],
    out: Path,
) -> FixSummary:
    """Write the dataset to `out` with the wanted checks' fixes made and these lines left out.

    `drop_lines` are the engine's: duplicates, leaks, whatever only it can find; with their checks' names if it is a
    mapping, else they count as exact duplicates. `out` is JSON lines in the same format, or, of a table with a mapping,
    in the method's own; it appears whole or not at all. Raises UserError for a check that has no fix.
    """
    job = _Job(source, detected, frozenset(wanted), _named(drop_lines))
    partial = out.with_name(f".{out.name}.partial")
    counts: Counter[str] = Counter()
    by_check: Counter[str] = Counter()
    differences: list[Difference] = []
    verdicts = job.verdicts()
    try:
        with partial.open("wb") as file:
            for mended in job.records(verdicts):
                by_check.update(set(mended.checks))
                if mended.written is None:
                    counts["dropped"] += 1
                else:
                    counts["kept"] += 1
                    counts["changed"] += bool(mended.checks)
                    file.write(mended.written + b"\n")
                if mended.checks and len(differences) < MOST_DIFFERENCES:
                    differences.append(_difference(mended))
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return FixSummary(
        job.written.id, counts["kept"], counts["dropped"], counts["changed"], dict(by_check), tuple(differences)
    )


class _Job:
    """One dataset with the fixes that are wanted for it."""

    def __init__(self, source: Source, detected: Detected, wanted: frozenset[str], drop: Mapping[int, str]) -> None:
        without = sorted(name for name in wanted if name not in fixable())
        if without:
            raise UserError(
                f"There is no fix for {', '.join(without)}. There are fixes for {', '.join(sorted(fixable()))}."
            )
        self._source = source
        self._format = detected.format
        self._drop = drop
        self._dropping = frozenset(name for name in wanted if CATALOGUE[name].fix is Fix.DROP)
        self._mending = wanted - self._dropping
        self._odd = frozenset(wanted.intersection(_ODD))
        checks = (*EXAMPLE_CHECKS, *PRIVATE_CHECKS)
        self._checks = tuple(check for check in checks if mending.names_of(check) & self._dropping)
        self._unread: dict[int, str] = {}
        for line, found in source.findings:
            if line is not None and found.fix and self._unread.get(line) not in self._dropping:
                self._unread[line] = found.check
        self.written = _written_as(detected)
        self._as_it_is = self.written == detected.format

    def verdicts(self) -> dict[str, frozenset[str]]:
        """What is odd among the records that stay; looked at again until nothing new is."""
        verdicts: dict[str, frozenset[str]] = {}
        for _ in range(_MOST_LOOKS if self._odd else 0):
            tallies = Tallies()
            for mended in self.records(verdicts):
                if mended.example is not None and mended.written is not None:
                    tallies.add(mended.line, mended.example)
            new = {check: kinds for check, kinds in tallies.verdicts().items() if check in self._odd}
            if not new:
                break
            verdicts = {
                check: verdicts.get(check, frozenset()) | new.get(check, frozenset()) for check in {*verdicts, *new}
            }
        return verdicts

    def records(self, verdicts: Mapping[str, frozenset[str]]) -> Iterator[_Mended]:
        """Every record, mended."""
        for line, raw in lines(self._source, MOST_LINE_BYTES):
            unread = self._unread.get(line)
            if unread and (unread in self._dropping or not (raw or b"").strip()):
                yield _Mended(line, None, None, (unread,), raw or b"", None)
            elif raw is None:
                yield self._too_long(line)
            elif raw.strip():
                yield self._mended(line, raw.rstrip(b"\r\n"), verdicts)

    def _too_long(self, line: int) -> _Mended:
        if "line_too_long" in self._dropping or line in self._drop:
            return _Mended(line, None, None, ("line_too_long",), b"A line that is too long to show.", None)
        raise UserError(f"Line {line} is too long to be copied. Choose the fix of line_too_long, too, which drops it.")

    def _mended(self, line: int, raw: bytes, verdicts: Mapping[str, frozenset[str]]) -> _Mended:
        if line in self._drop:
            return _Mended(line, None, None, (self._drop[line],), raw, None)
        before, done = raw, list[str]()
        parsed = json_values.strict(raw)
        if "invalid_utf8" in self._mending and any(one.check == "invalid_utf8" for one in parsed.founds):
            raw, done = json_values.mended(raw), ["invalid_utf8"]
            parsed = json_values.strict(raw)
        broken = [one.check for one in parsed.founds if one.check in self._dropping]
        if broken:
            return _Mended(line, None, None, tuple(broken), raw, None)
        if any(one.severity is Severity.ERROR for one in parsed.founds):
            return _Mended(line, raw, None, tuple(done), before, raw)
        record, trimmed = mending.record(parsed.value, self._mending)
        done += trimmed
        problems = list(self._format.problems(record))
        dropped = [one.check for one in problems if one.check in self._dropping]
        if dropped:
            return _Mended(line, None, None, tuple(dropped), raw, None)
        sound = all(one.severity is not Severity.ERROR for one in problems)
        return self._of_example(line, raw, record, done, verdicts, sound=sound)

    def _of_example(
        self,
        line: int,
        raw: bytes,
        record: Any,
        done: list[str],
        verdicts: Mapping[str, frozenset[str]],
        *,
        sound: bool,
    ) -> _Mended:
        """A record that stays, its texts and turns mended. The turns of a broken one are left alone."""
        example = self._format.to_example(record, line)
        if example is not None:
            for check, change in mending.text_changes(example, self._mending).items():
                record = rewritten_value(record, change)
                done.append(check)
            if done:
                example = self._format.to_example(record, line)
        if example is None:
            return _Mended(line, _dumped(record) if done else raw, None, tuple(done), raw, record)
        again = mending.text_changes(example, self._mending) if done else {}  # of texts that the format puts together
        for change in again.values():
            example = rewritten(example, change)
        more = list(again)
        if sound:
            example, turned = mending.structure(example, self._mending)
            more += turned
        odd = [one for one in is_odd(verdicts, example) if one in self._odd]
        wrong = [one.check for check in self._checks for one in check(example) if one.check in self._dropping]
        if odd or wrong:
            return _Mended(line, None, example, (*odd, *wrong), raw, None)
        if more or not self._as_it_is:
            after: Any = self.written.to_record(example)
            return _Mended(line, _dumped(after), example, (*done, *more), raw, after)
        return _Mended(line, _dumped(record) if done else raw, example, tuple(done), raw, record)


def _named(lines_to_drop: Collection[int] | Mapping[int, str]) -> Mapping[int, str]:
    if isinstance(lines_to_drop, Mapping):
        return lines_to_drop
    return dict.fromkeys(lines_to_drop, "exact_duplicate")


def _written_as(detected: Detected) -> DatasetFormat:
    """The format of the new file: the same, but of a mapped table the method's own."""
    inner = detected.format.inner if isinstance(detected.format, Cells) else detected.format
    if not isinstance(inner, Table):
        return inner
    own: Mapping[str, DatasetFormat] = {"dpo": OpenAIPreference(), "kto": Kto()}
    return own.get(inner.method, OpenAIChat())


def _dumped(record: Any) -> bytes:
    try:
        return orjson.dumps(record, default=_plain)
    except TypeError:  # a number beyond 64 bits
        return json.dumps(record, ensure_ascii=False, default=_plain).encode()


def _plain(value: Any) -> Any:
    """What JSON does not have: a mapping or a sequence of another type."""
    return dict(value) if isinstance(value, Mapping) else list(value)


def _difference(mended: _Mended) -> Difference:
    """The record before and after, from a little before the first place that differs."""
    before, after = _shown(mended.before), _shown(mended.after)
    if not after:
        return Difference(mended.line, mended.checks[0], before[:MOST_SHOWN], "")
    same = next((place for place, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), 0)
    start = max(0, same - MOST_SHOWN // 3)
    cut = "…" if start else ""
    return Difference(
        mended.line,
        mended.checks[0],
        cut + before[start : start + MOST_SHOWN],
        cut + after[start : start + MOST_SHOWN],
    )


def _shown(value: Any) -> str:
    """A record to be read, without secrets and personal data, however they are spelt in it."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        parsed = json_values.strict(value) if len(value) <= MOST_PARSED else json_values.Parsed(None)
        if parsed.value is None or parsed.founds:
            text = value[:MOST_LOOKED_AT].decode("utf-8", "replace")
            return hiding.hidden(_ASCII.sub(lambda sign: chr(int(sign[1], 16)), text), MOST_LOOKED_AT)
        value = parsed.value
    return hiding.hidden(_dumped(rewritten_value(value, _Hiding())).decode(), MOST_LOOKED_AT)[:MOST_LOOKED_AT]


class _Hiding:
    """Hides what must not be shown in the texts of one record; those beyond what is looked at are left out."""

    def __init__(self) -> None:
        self._left = MOST_LOOKED_AT

    def __call__(self, text: str) -> str:
        shown = hiding.hidden(text, self._left)[: self._left]
        self._left -= len(shown)
        return shown
