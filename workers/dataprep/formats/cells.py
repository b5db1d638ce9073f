"""Records of text cells (CSV, TSV, XLSX): lists and objects that stand in a cell as JSON text are read first."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from workers.dataprep.checks import Found
from workers.dataprep.example import Example
from workers.dataprep.formats.base import DatasetFormat, are_messages, is_message, loaded

LISTS = frozenset(
    {"messages", "conversations", "conversation", "history", "functions", "preferred_output", "non_preferred_output"}
)
"""Columns that hold a list in any format."""
EITHER = frozenset({"prompt", "completion", "chosen", "rejected", "text", "rejected_text"})
"""Columns that hold text, or messages."""


def opened_cells(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record with its JSON cells read. The record itself where there are none."""
    changed: dict[str, Any] = {}
    for key, value in record.items():
        if type(value) is not str or value[:1] not in {"[", "{"}:
            continue
        if key in LISTS:
            found = loaded(value)
            if isinstance(found, list):
                changed[key] = found
        elif key == "input":  # of OpenAI's preference pairs; Alpaca's is text, whatever it looks like
            found = loaded(value)
            if isinstance(found, dict) and "messages" in found:
                changed[key] = found
        elif key in EITHER:
            found = loaded(value)
            if are_messages(found) or is_message(found):
                changed[key] = found
    return {**record, **changed} if changed else record


@dataclass(frozen=True)
class Cells:
    """A format whose records come from text cells."""

    inner: DatasetFormat

    @property
    def id(self) -> str:
        """The format's own name."""
        return self.inner.id

    @property
    def method(self) -> str:
        """The format's own method."""
        return self.inner.method

    @property
    def words(self) -> str:
        """The format's own words."""
        return self.inner.words

    def matches(self, record: Mapping[str, Any]) -> bool:
        """As the format says of the opened cells."""
        return self.inner.matches(opened_cells(record))

    def like(self, record: Mapping[str, Any]) -> Self:
        """As the format is spelled in the opened cells."""
        return type(self)(self.inner.like(opened_cells(record)))

    def problems(self, record: Any) -> Iterator[Found]:
        """As the format says of the opened cells."""
        return self.inner.problems(opened_cells(record) if isinstance(record, dict) else record)

    def to_example(self, record: Any, line: int) -> Example | None:
        """As the format says of the opened cells."""
        return self.inner.to_example(opened_cells(record) if isinstance(record, dict) else record, line)

    def to_record(self, example: Example) -> dict[str, Any]:
        """As the format writes it."""
        return self.inner.to_record(example)
