"""CSV and TSV -> JSON lines, one object a row, its keys the header's names.

The separator is the one that gives most rows the header's number of cells. Rows are numbered as a spreadsheet shows
them, the header being row 1, whatever line breaks stand inside quotes.
"""

import csv
import io
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from workers.dataprep.checks import Found
from workers.dataprep.json_values import too_long
from workers.dataprep.limits import Limits, UnreadableDataset
from workers.dataprep.rows import Log, Rows, Writer, names

_DELIMITERS = (",", ";", "\t", "|")
_PROBED_ROWS = 200
_LONGEST_NAME = 100
_MOST_RECOVERED = 100
_MOST_WORDS = 5
_MOSTLY = 0.6
"""So many rows must have as many cells as the header, where no column has a name that is known."""
MOST_TIMES = 20
"""So many times its own size a table may be as JSON lines, once it is over `Limits.free_bytes`: names repeat there."""
_KNOWN = frozenset(
    {
        *("text", "prompt", "completion", "instruction", "input", "output", "question", "answer", "query", "response"),
        *("label", "category", "chosen", "rejected", "messages", "conversations", "conversation", "system", "user"),
        *("assistant", "content", "title", "source", "target", "context", "id"),
    }
)


@dataclass(frozen=True)
class Dialect:
    """How a table is written."""

    delimiter: str
    skipped: int = 0
    """Lines before the header (a `sep=;` line of Excel)."""
    spaced: bool = False
    """Whether a space stands between separator and quote."""


def sniff(head: bytes, limits: Limits, *, more: bool) -> Dialect | None:
    """How the table is written, None where the text is no table. `more`: the file goes on after `head`."""
    text = head.decode(errors="replace")
    if text[:4].lower() == "sep=" and text[4:5] in _DELIMITERS:
        return Dialect(text[4], 1)
    best: tuple[tuple[bool, int, float], str] | None = None
    for delimiter in _DELIMITERS:
        rows = _probe(text, delimiter, limits, more=more)
        if not rows or len(rows[0]) < 2 or not _can_name_columns(rows[0]):
            continue
        body = rows[1:]
        equal = sum(len(row) == len(rows[0]) for row in body) / len(body) if body else 0.0
        is_known = any(cell.strip().lower() in _KNOWN for cell in rows[0])
        if equal < (0.0 if is_known else _MOSTLY):
            continue
        score = (is_known, len(rows[0]) if equal >= _MOSTLY else 0, equal)
        if best is None or score > best[0]:
            best = (score, delimiter)
    if best:
        return Dialect(best[1], spaced=f'{best[1]} "' in text[:10_000].split("\n")[0])
    first, _, rest = text.partition("\n")
    return Dialect(",") if first.strip().strip('"').lower() in _KNOWN and rest.strip() else None


def _probe(text: str, delimiter: str, limits: Limits, *, more: bool) -> list[list[str]]:
    """The first rows, as they are with this separator."""
    rows: list[list[str]] = []
    with _large_cells(limits):
        try:
            for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
                if any(row):
                    rows.append(row)
                if len(rows) > _PROBED_ROWS:
                    return rows
        except csv.Error:
            return rows
    return rows[:-1] if more and len(rows) > 2 else rows


def _can_name_columns(cells: Sequence[str]) -> bool:
    """Whether a row can be a header: short names, on one line, few of them empty."""
    names = [cell.strip() for cell in cells]
    return (
        all(len(name) <= _LONGEST_NAME and len(name.split()) <= _MOST_WORDS and "\n" not in name for name in names)
        and sum(not name for name in names) <= max(1, len(names) // 2)
        and any(letter.isalpha() for name in names for letter in name)
        and not names[-1].endswith((".", "!"))
    )


def read(path: Path, offset: int, dialect: Dialect, limits: Limits, out: Path) -> Rows:
    """Write a table's rows to `out`. Raises UnreadableDataset where it has no usable header."""
    log = Log(limits)
    with path.open("rb") as file, out.open("wb") as target, _large_cells(limits):
        file.seek(offset)
        text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
        for _ in range(dialect.skipped):
            text.readline(1000)
        rows = _Reader(text, dialect, limits, log)
        header = next(rows.rows(), None) or []
        most = min(limits.max_plain_bytes, max(limits.free_bytes, path.stat().st_size * MOST_TIMES))
        writer = Writer(target, names(header, limits, log), limits, log, most)
        for number, cells in enumerate(rows.rows(), 2):
            writer.row(number, cells)
    return Rows(out, writer.columns, findings=tuple(log.entries))


class _TooLong(Exception):
    """A line or a cell goes on for longer than one example may."""


class _Reader:
    """The rows of a CSV text. A quote that is never closed costs its own row, not all that follow."""

    def __init__(self, text: TextIO, dialect: Dialect, limits: Limits, log: Log) -> None:
        self._text = text
        self._dialect = dialect
        self._limits = limits
        self._log = log
        self._again: deque[str] = deque()  # lines that a quote had swallowed
        self._held: list[str] = []  # the lines of the row that is being read
        self._size = 0
        self._number = 0
        self._recovered = 0
        self._ended = False

    def rows(self) -> Iterator[list[str] | None]:
        """Every row from here on; None for one that cannot be read."""
        while True:
            reader = csv.reader(self._lines(), delimiter=self._dialect.delimiter, skipinitialspace=self._dialect.spaced)
            try:
                for row in reader:
                    if self._ended and len(self._held) > 1 and self._is_unclosed():
                        break
                    self._number += 1
                    self._held.clear()
                    self._size = 0
                    yield row
                else:
                    return
            except (csv.Error, _TooLong):
                pass
            self._give_up_row()
            yield None

    def _lines(self) -> Iterator[str]:
        most = self._limits.max_line_bytes
        while True:
            line = self._again.popleft() if self._again else self._text.readline(most + 1)
            if not line:
                self._ended = True
                return
            self._size += len(line)
            self._held.append(line)
            if self._size > most:
                raise _TooLong
            yield line

    def _is_unclosed(self) -> bool:
        again = csv.reader(self._held, delimiter=self._dialect.delimiter, strict=True)
        try:
            list(again)
        except csv.Error as error:
            return "unexpected end" in str(error)
        return False

    def _give_up_row(self) -> None:
        """Note the row that cannot be read, and take back the lines behind its first one."""
        self._number += 1
        self._recovered += 1
        if len(self._held) > 1:
            words = (
                "A quote in this row is never closed, so that it swallows the rows after it. "
                "Close it, or double it where it is meant as a character."
            )
            self._log.add(self._number, Found("unclosed_quote", words, fix="drop"))
            self._again.extendleft(reversed(self._held[1:]))
        else:
            self._log.add(self._number, too_long(self._limits.max_line_bytes))
            while not self._held[-1].endswith(("\n", "\r")):
                self._held = [self._text.readline(1 << 20) or "\n"]
        if self._recovered > _MOST_RECOVERED:
            raise UnreadableDataset(
                f"The table has too many rows with a quote that is never closed; the last one is row {self._number:,}. "
                "Save it again as CSV from the program it comes from."
            )
        self._held.clear()
        self._size = 0


@contextmanager
def _large_cells(limits: Limits) -> Iterator[None]:
    """The csv module's bound on a cell is one number for the whole process; it is put back."""
    before = csv.field_size_limit(limits.max_cell_bytes)
    try:
        yield
    finally:
        csv.field_size_limit(before)
