"""Reading a dataset's examples, and writing them in the shape that a provider or trainer wants."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import orjson

from workers.dataprep import json_values
from workers.dataprep.checks import Found, Severity
from workers.dataprep.example import Example
from workers.dataprep.fitting import CannotExpress, Losses, fitted
from workers.dataprep.formats import ColumnMapping, Detected, detect, lines
from workers.dataprep.source import Limits, Source, opened
from workers.dataprep.targets import KINDS, TARGETS, Target, kind
from workers.errors import UserError

__all__ = ["TARGETS", "Target", "Written", "convert_file", "read_examples", "write"]

MOST_LISTED = 100
"""So many findings of a kind are listed; `Written.losses` counts all."""
MOST_KINDS = 500
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet runs as a formula."""

Placed = tuple[int | None, Found]


@dataclass(frozen=True)
class Written:
    """What was written: how many examples, how many were left out, and what was lost."""

    count: int
    findings: tuple[Placed, ...] = ()
    """(line, what is lost there); at most MOST_LISTED of a kind."""
    left_out: int = 0
    losses: Mapping[str, int] = field(default_factory=dict)
    """How many examples each kind of loss concerns, by its words."""
    unit: str = "line"
    """What a finding's line counts: lines, elements of an array or rows of a table."""


def read_examples(
    path: Path, *, mapping: ColumnMapping | None = None, limits: Limits | None = None
) -> Iterator[Example]:
    """Every example of a file, in order; lines that are none are left out. Raises UnreadableDataset."""
    with opened(path, limits or Limits()) as source:
        yield from _examples(source, detect(source, mapping), None)


def convert_file(
    path: Path, target_id: str, out: Path, *, mapping: ColumnMapping | None = None, limits: Limits | None = None
) -> Written:
    """Write a file in another shape; lines that are no example are findings. Raises UnreadableDataset, UserError."""
    if out.exists() and path.exists() and out.samefile(path):
        raise UserError(f"{out} is the dataset itself, which is never changed. Name another file to write.")
    with opened(path, limits or Limits()) as source:
        notes = _Notes()
        for place, found in source.findings:
            notes.add(place, found)
        detected = detect(source, mapping)
        if detected.guessed and detected.columns:
            notes.add(None, _guessed(detected.columns))
        written = _write(_examples(source, detected, notes), _target(target_id), out, notes)
        return replace(written, unit=source.unit)


def write(examples: Iterable[Example], target_id: str, out: Path) -> Written:
    """Write the examples; `out` appears whole or not at all. Raises UserError for an unknown target."""
    return _write(examples, _target(target_id), out, _Notes())


def _guessed(columns: ColumnMapping) -> Found:
    pairs = ",".join(f"{name}={column}" for name, column in columns.to_json().items())
    words = f"Which column is what was guessed: {pairs[:500]}. Say it yourself if this is wrong."
    return Found("guessed_columns", words, severity=Severity.WARNING)


class _Notes:
    """Findings by kind: all counted, some listed."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.findings: list[Placed] = []
        self.left_out = 0

    def add(self, line: int | None, found: Found) -> None:
        words = found.words if found.words in self.counts or len(self.counts) < MOST_KINDS else "Something else."
        self.counts[words] += 1
        if self.counts[words] <= MOST_LISTED:
            self.findings.append((line, found))

    def leave_out(self, line: int | None, found: Found) -> None:
        self.left_out += 1
        self.add(line, found)


def _examples(source: Source, detected: Detected, notes: _Notes | None) -> Iterator[Example]:
    """The examples, as a check finds them; why a line is none goes to `notes`."""
    to_example = detected.format.to_example
    for number, line in lines(source):
        if line is None:
            founds: Iterable[Found] = (json_values.too_long(),)
        elif not line.strip():
            continue
        else:
            parsed = json_values.strict(line)
            founds = [one for one in parsed.founds if one.severity is Severity.ERROR]
            example = None if founds else to_example(parsed.value, number)
            if example is not None:
                yield example
                continue
            founds = founds or detected.format.problems(parsed.value)
        if notes is not None:
            first = next((one for one in founds if one.severity is Severity.ERROR), None)
            words = first.words if first else "It is no example."
            notes.leave_out(number, Found(first.check if first else "data_type", f"Left out. {words}"))


def _target(target_id: str) -> Target:
    try:
        return TARGETS[target_id]
    except KeyError:
        raise UserError(f"There is no format {target_id!r} to write. There are {', '.join(TARGETS)}.") from None


def _write(examples: Iterable[Example], target: Target, out: Path, notes: _Notes) -> Written:
    count = 0
    first = ""
    with _whole(out) as file:
        put = _csv(file, notes) if target.layout == "csv" else _jsonl(file)
        for example in examples:
            losses = Losses()
            try:
                fit = fitted(example, target, losses)
                now = kind(fit)
                first = first or now
                if now != first and (not target.mixed or {now, first} != {"text", "chat"}):
                    raise CannotExpress(f"The file's first example is {KINDS[first]}, this one is {KINDS[now]}.")
                for record in target.records(fit):
                    put(record, example.line)
            except CannotExpress as error:
                words = f"Left out, {target.id} cannot express it. {error}"
                notes.leave_out(example.line, Found("not_expressible", words))
                continue
            count += 1
            for words in losses.words.values():
                notes.add(example.line, Found("not_expressible", words, severity=Severity.WARNING))
        if not count and notes.left_out:
            why = next((one.words for _, one in notes.findings if one.severity is Severity.ERROR), "")
            raise UserError(f"Nothing can be written as {target.id}. {why}")
    return Written(count, tuple(notes.findings), notes.left_out, dict(notes.counts))


@contextmanager
def _whole(out: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name when it is complete, and not at all otherwise."""
    partial = out.with_name(f".{out.name}.partial")
    try:
        with partial.open("wb", buffering=1 << 20) as file:
            yield file
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


def _jsonl(file: IO[bytes]) -> Any:
    def put(record: dict[str, Any], _line: int) -> None:
        try:
            file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
        except TypeError as error:  # half a character, or a number beyond 64 bits
            raise CannotExpress(f"It has a value that JSON cannot hold: {error}.") from error

    return put


def _csv(file: IO[bytes], notes: _Notes) -> Any:
    """Cells of text, all quoted; lists as JSON. What a spreadsheet would run as a formula is neutralised."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    columns: list[str] = []

    def put(record: dict[str, Any], line: int) -> None:
        if not columns:
            columns.extend(record)
            writer.writerow(columns)
        writer.writerow([_cell(record[column], line, notes) for column in columns])
        try:
            file.write(text.getvalue().encode())
        except UnicodeEncodeError as error:
            raise CannotExpress("It has half a character (a lone surrogate).") from error
        finally:
            text.seek(0)
            text.truncate()

    return put


def _cell(value: Any, line: int, notes: _Notes) -> str:
    cell = value if isinstance(value, str) else orjson.dumps(value).decode()
    if cell.startswith(FORMULA):
        words = (
            "A cell that begins like a formula (= + - @) has a ' written before it, so that no spreadsheet runs it. "
            "Convert to autotrain-jsonl to keep the text as it is."
        )
        notes.add(line, Found("not_expressible", words, severity=Severity.WARNING))
        return f"'{cell}"
    return cell
