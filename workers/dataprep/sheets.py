"""The XML of a workbook's sheets: rows and cells as they stand there, streamed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.parsers import expat

from workers.dataprep.limits import UnreadableDataset

_MOST_ROWS = 1_048_576
_MOST_COLUMNS = 20_000


@dataclass
class Cell:
    """What stands in the cell that is being read."""

    column: int = 0
    kind: str = "n"
    style: int = 0
    formula: bool = False
    value: str | None = None
    inline: list[str] = field(default_factory=list)


class Sheet:
    """Collects rows from a sheet's XML; `done` holds the finished ones."""

    def __init__(self, value: Callable[[int, Cell], Any]) -> None:
        self.done: list[tuple[int, list[Any]]] = []
        self._value = value
        self._row = 0
        self._cells: list[Any] = []
        self._cell: Cell | None = None
        self._into = ""
        self._column = 0

    def start(self, tag: str, given: dict[str, str]) -> None:
        """An element begins."""
        if tag == "row":
            number = given.get("r", "")
            before = self._row
            self._row = int(number) if number.isdecimal() and len(number) < 8 else before + 1
            if not before < self._row <= _MOST_ROWS:
                raise ValueError(number)
            self._cells, self._column = [], 0
        elif tag == "c":
            self._column = _column(given.get("r", "")) or self._column + 1
            style = given.get("s", "0")
            known = int(style) if style.isdecimal() and len(style) < 8 else 0
            self._cell = Cell(self._column, given.get("t", "n"), known)
        elif self._cell is not None:
            if tag == "f":
                self._cell.formula = True
            elif tag in ("v", "t"):
                self._into = tag

    def text(self, data: str) -> None:
        """Characters inside an element."""
        if self._cell is None or not self._into:
            return
        if self._into == "t":
            self._cell.inline.append(data)
        else:
            self._cell.value = (self._cell.value or "") + data

    def end(self, tag: str) -> None:
        """An element ends."""
        if tag in ("v", "t"):
            self._into = ""
        elif tag == "c" and self._cell is not None:
            value = self._value(self._row, self._cell)
            if value is not None and self._cell.column <= _MOST_COLUMNS:
                self._cells += [None] * (self._cell.column - len(self._cells))
                self._cells[self._cell.column - 1] = value
            self._cell = None
        elif tag == "row" and self._cells:
            self.done.append((self._row, self._cells))
            self._cells = []


def parser(
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None] | None,
    text: Callable[[str], None] | None,
) -> expat.XMLParserType:
    """A parser that hands out names without their namespaces and refuses document types, where XML bombs live."""
    made = expat.ParserCreate(namespace_separator="|")
    made.buffer_text = True
    made.StartElementHandler = lambda tag, given: start(tag.rpartition("|")[2], given)
    if end is not None:
        made.EndElementHandler = lambda tag: end(tag.rpartition("|")[2])
    if text is not None:
        made.CharacterDataHandler = text

    def refuse(*_: object) -> None:
        raise UnreadableDataset("The workbook's XML defines entities, which no spreadsheet does. Save it as CSV.")

    made.StartDoctypeDeclHandler = refuse
    return made


def _column(reference: str) -> int:
    """27 for AA5; 0 where there is no reference."""
    number = 0
    for letter in reference[:4]:
        if not "A" <= letter <= "Z":
            break
        number = number * 26 + ord(letter) - 64
    return number


def place_of(row: int, cell: Cell) -> str:
    """A cell as a spreadsheet names it: AA5."""
    return f"{letters_of(cell.column)}{row}"


def letters_of(column: int) -> str:
    """A column as a spreadsheet names it: AA."""
    letters = ""
    while column > 0:
        column, digit = divmod(column - 1, 26)
        letters = chr(65 + digit) + letters
    return letters


def date_of(number: float) -> str:
    """Excel counts days from the end of 1899; a time alone is a number below one."""
    moment = datetime(1899, 12, 30, tzinfo=UTC) + timedelta(seconds=round(number * 86_400))
    if number < 1:
        return moment.strftime("%H:%M:%S")
    return moment.strftime("%Y-%m-%d" if moment.hour == moment.minute == moment.second == 0 else "%Y-%m-%d %H:%M:%S")
