"""Rows of any table -> JSON lines, one object a row; what is wrong with rows is noted by their numbers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from workers.dataprep.checks import Found, Severity
from workers.dataprep.json_values import mended, too_long
from workers.dataprep.limits import Limits, UnreadableDataset, megabytes

_ESCAPED = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True)
class Rows:
    """A table as JSON lines; `first` is the number of the first line's row."""

    path: Path
    columns: tuple[str, ...]
    first: int = 2
    findings: tuple[tuple[int | None, Found], ...] = ()


@dataclass
class Log:
    """Findings by row, bounded: with too many of them the table is read wrongly, or is no table."""

    limits: Limits
    entries: list[tuple[int | None, Found]] = field(default_factory=list)

    def add(self, row: int | None, found: Found) -> None:
        """Note one; warnings up to a number. Raises UnreadableDataset where there are far too many errors."""
        if len(self.entries) < self.limits.max_findings:
            self.entries.append((row, found))
        elif found.severity is Severity.ERROR:
            raise UnreadableDataset(
                f"More than {self.limits.max_findings:,} rows of the table are damaged; the last one is row {row:,}: "
                f"{found.words} Save the table again as CSV (UTF-8) and attach that."
            )


def names(header: Sequence[str], limits: Limits, log: Log) -> tuple[str, ...]:
    """A table's column names, each of them once: an empty one is named by its place, an equal one by a number."""
    if len(header) > limits.max_columns:
        raise UnreadableDataset(
            f"The table has {len(header):,} columns; at most {limits.max_columns:,} are read. "
            "Keep the columns with the prompt and the answer and attach that."
        )
    found: list[str] = []
    for place, raw in enumerate(header, 1):
        name = _clean(raw)[0].strip() or f"column {place}"
        if name in found:
            again = next(one for n in count(2) if (one := f"{name} ({n})") not in found)
            words = f"Two columns are named “{name[:50]}”; the one at place {place} is read as “{again[:60]}”."
            log.add(None, Found("duplicate_column", words, severity=Severity.WARNING))
            name = again
        found.append(name)
    return tuple(found)


class Writer:
    """Writes a table's rows as JSON lines, `most` bytes of them, and notes what is wrong with them."""

    def __init__(self, target: BinaryIO, columns: tuple[str, ...], limits: Limits, log: Log, most: int) -> None:
        self.columns = columns
        self._most = most
        self._target = target
        self._limits = limits
        self._log = log
        self._written = 0

    def row(self, number: int, cells: Sequence[Any] | None) -> None:
        """Write a row; a blank line for one that is empty or (None) that could not be read."""
        if cells is None or not any(cells):
            self._put(b"")
            return
        if len(cells) != len(self.columns):
            self._put_ragged(number, cells)
            return
        try:
            line = orjson.dumps(dict(zip(self.columns, cells, strict=True)))
        except TypeError:
            line = self._mended(number, cells)
        if len(line) > self._limits.max_line_bytes:
            self._log.add(number, too_long(self._limits.max_line_bytes))
            line = b""
        self._put(line)

    def _put(self, line: bytes) -> None:
        self._written += len(line) + 1
        if self._written > self._most:
            raise UnreadableDataset(
                f"As JSON lines the table is larger than {megabytes(self._most)}, many times its own size. Split "
                "it, or give its columns shorter names."
            )
        self._target.write(line)
        self._target.write(b"\n")

    def _put_ragged(self, number: int, cells: Sequence[Any]) -> None:
        width = len(self.columns)
        if any(cells[width:]) or len(cells) < width:
            words = (
                f"The row has {len(cells):,} cell{'' if len(cells) == 1 else 's'} where the header has {width:,}. "
                "Is a separator inside a cell that is not in quotes? Mend the row or drop it."
            )
            self._log.add(number, Found("ragged_row", words, fix="drop"))
        shown = list(cells[: self._limits.max_columns])
        while len(shown) > width and not shown[-1]:
            shown.pop()
        keys = [*self.columns, *(f"column {place}" for place in range(width + 1, len(shown) + 1))]
        self._put(orjson.dumps(dict(zip(keys, [_clean(one)[0] for one in shown], strict=False))))

    def _mended(self, number: int, cells: Sequence[Any]) -> bytes:
        cleaned = [_clean(one) for one in cells]
        place = next((place for place, (_, wrong) in enumerate(cleaned) if wrong), 0)
        words = (
            f"The cell “{self.columns[place][:50]}” is not valid UTF-8 text; it was read as Windows-1252. "
            "If letters are wrong, save the table as UTF-8."
        )
        self._log.add(number, Found("invalid_utf8", words, severity=Severity.WARNING))
        return orjson.dumps(dict(zip(self.columns, [one for one, _ in cleaned], strict=True)))


def _clean(cell: Any) -> tuple[Any, bool]:
    """A cell whose bytes are no UTF-8, read as Windows-1252, and whether that was so."""
    if not isinstance(cell, str) or not _ESCAPED.search(cell):
        return cell, False
    return mended(cell.encode("utf-8", "surrogateescape")).decode(), True
