"""Which format a file is in: by a vote of its first records, never by its name."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workers.dataprep import json_values
from workers.dataprep.formats import columns
from workers.dataprep.formats.alpaca import Alpaca
from workers.dataprep.formats.base import DatasetFormat
from workers.dataprep.formats.cells import Cells, opened_cells
from workers.dataprep.formats.chat import OpenAIChat, Reinforcement
from workers.dataprep.formats.kto import Kto
from workers.dataprep.formats.pairs import PromptCompletion
from workers.dataprep.formats.plain import PlainText
from workers.dataprep.formats.preference import OpenAIPreference, Preference
from workers.dataprep.formats.sharegpt import ShareGPT
from workers.dataprep.formats.table import ColumnMapping, Table
from workers.dataprep.limits import UnreadableDataset
from workers.dataprep.source import Source

FIRST = 200
"""So many readable records vote."""
MOST_LINES = 5_000
MOST_BYTES = 64_000_000
FORMATS: tuple[DatasetFormat, ...] = (
    OpenAIPreference(),
    Kto(),
    Preference(),
    Reinforcement(),
    OpenAIChat(),
    ShareGPT(),
    Alpaca(),
    PromptCompletion(),
)
"""Every format that is known by its keys; the first that matches a record is the record's."""
TEXT_CELLS = frozenset({"csv", "tsv", "xlsx"})
WANTED = (
    "Attach conversations (`messages`), prompts with completions, or a table with a column of questions and one of "
    "answers instead."
)


@dataclass(frozen=True)
class Detected:
    """A file's format; of a table also the mapping, and whether a person should confirm it."""

    format: DatasetFormat
    columns: ColumnMapping | None = None
    guessed: bool = False


def detect(source: Source, mapping: ColumnMapping | None = None) -> Detected:
    """The format of a file. Raises UnreadableDataset, saying what was found instead."""
    values, problem = _first(source)
    records = [value for value in values if isinstance(value, dict)]
    if mapping is not None:
        return _mapped(source, records, mapping)
    if not records:
        raise UnreadableDataset(_no_records(values, problem))
    cells = source.layout in TEXT_CELLS
    opened: Sequence[Mapping[str, Any]] = [opened_cells(one) for one in records] if cells else records
    found = _by_keys(opened)
    if found is None:
        return _by_columns(opened)
    return Detected(Cells(found) if cells else found)


def _by_keys(records: Sequence[Mapping[str, Any]]) -> DatasetFormat | None:
    """The format that most records are in; a tie goes to the one that says more."""
    votes: Counter[int] = Counter()
    example: dict[int, Mapping[str, Any]] = {}
    for record in records:
        place = next((place for place, one in enumerate(FORMATS) if one.matches(record)), None)
        if place is not None:
            votes[place] += 1
            example.setdefault(place, record)
    if not votes or 2 * votes.total() < len(records):
        return None
    best = max(votes, key=lambda place: (votes[place], -place))
    return FORMATS[best].like(example[best])


def _by_columns(records: Sequence[Mapping[str, Any]]) -> Detected:
    if text := columns.only_text(records):
        return Detected(PlainText(text))
    if sum(map(columns.is_flat, records)) * 2 > len(records) and (found := columns.guess(records)):
        mapping, guessed = found
        return Detected(Table(mapping), mapping, guessed)
    raise UnreadableDataset(_no_format(records))


def _mapped(source: Source, records: Sequence[Mapping[str, Any]], mapping: ColumnMapping) -> Detected:
    """A table whose columns a person named."""
    names = list(source.columns) or columns.names_of(records)
    unknown = [one for one in mapping.columns if one not in names]
    if unknown:
        there = ", ".join(names[:30]) or "none"
        raise UnreadableDataset(f"It has no column {', '.join(unknown)[:200]}. Its columns are: {there[:1000]}.")
    if not mapping.answer:
        raise UnreadableDataset("The mapping does not say which column is the answer.")
    return Detected(Table(mapping), mapping)


def _first(source: Source) -> tuple[list[Any], str]:
    """The first readable values, and what is wrong with the first that is not."""
    values: list[Any] = []
    problem = ""
    for number, line in lines(source):
        if number - source.first >= MOST_LINES or len(values) >= FIRST:
            break
        if line is None or not line.strip():
            continue
        parsed = json_values.strict(line)
        if parsed.value is not None:
            values.append(parsed.value)
        elif not problem and parsed.founds:
            problem = f"{source.unit} {number}: {parsed.founds[0].words}"
    return values, problem


def lines(source: Source, most: int = MOST_BYTES) -> Iterator[tuple[int, bytes | None]]:
    """Every line with its number in the file; None for one that is longer than `most` bytes."""
    with source.path.open("rb") as file:
        file.seek(source.offset)
        number = source.first
        while line := file.readline(most + 1):
            if len(line) > most:
                while line and not line.endswith(b"\n"):
                    line = file.readline(most)
                yield number, None
            else:
                yield number, line
            number += 1


def _no_records(values: Sequence[Any], problem: str) -> str:
    if values:
        return f"It is JSON, but not a list of training examples. {WANTED}"
    if problem:
        return f"None of its first records can be read ({problem.rstrip('.')}). {WANTED}"
    return f"It is empty. {WANTED}"


def _no_format(records: Sequence[Mapping[str, Any]]) -> str:
    keys = ", ".join(sorted(map(str, records[0]))[:6]) or "no keys"
    return f"Its records have {keys[:300]}, which is no known format of training examples. {WANTED}"
