"""XLSX -> JSON lines: the values of the first sheet that has any, streamed; nothing in the workbook runs.

A cell with a formula gives the value that was saved with it, and a finding; macros are only mentioned. Cells that are
formatted as dates become ISO dates. Row numbers are the sheet's own.
"""

import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any
from xml.parsers import expat

from workers.dataprep.checks import Found, Severity
from workers.dataprep.containers import check_packing
from workers.dataprep.limits import Limits, UnreadableDataset, is_damage, megabytes
from workers.dataprep.rows import Log, Rows, Writer, names
from workers.dataprep.sheets import Cell, Sheet, date_of, letters_of, parser, place_of

_READ = 1 << 18
_SHARED_BYTES = 250_000_000
_DATE_FORMATS = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
_QUOTED = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.')
_DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, RuntimeError, struct.error, OSError)
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def is_workbook(path: Path) -> bool:
    """Whether a ZIP archive is an Excel workbook."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "xl/workbook.xml" in archive.NameToInfo
    except _DAMAGES:
        return False  # whoever unpacks it says what is wrong with it


def read(path: Path, limits: Limits, out: Path) -> Rows:
    """Write the first sheet that has values to `out`. Raises UnreadableDataset."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _Workbook(archive, path.stat().st_size, limits).write(out)
    except expat.ExpatError as error:
        raise UnreadableDataset("The workbook's XML is damaged. Save it again as .xlsx or as CSV.") from error
    except _DAMAGES as error:
        if not is_damage(error):
            raise
        words = (
            "The workbook is damaged, was cut off, or is locked. Save it again as .xlsx without a password, or as CSV."
        )
        raise UnreadableDataset(words) from error


class _Workbook:
    """One workbook while it is read."""

    def __init__(self, archive: zipfile.ZipFile, size: int, limits: Limits) -> None:
        self._archive = archive
        self._limits = limits
        self._log = Log(limits)
        self._unpacked = 0
        self._most = min(limits.max_plain_bytes, max(limits.free_bytes, size * limits.max_ratio))
        self._shared: list[str] = []
        self._dates: list[bool] = []
        self._formulas: set[int] = set()

    def write(self, out: Path) -> Rows:
        """Write the first sheet that has values."""
        if any(name.endswith("vbaProject.bin") for name in self._archive.NameToInfo):
            words = "The workbook has macros. They were ignored; only the values of its cells were read."
            self._log.add(None, Found("macros_ignored", words, severity=Severity.INFO))
        sheets = self._sheets()
        self._read_shared()
        self._read_styles()
        for name, part in sheets:
            rows = self._rows(part)
            for first, header in rows:
                if any(cell not in (None, "") for cell in header):
                    self._say_which(name, sheets)
                    return self._write(rows, first, header, out)
        raise UnreadableDataset("The workbook has no values in any sheet. Attach the one with the examples.")

    def _write(self, rows: Iterator[tuple[int, list[Any]]], first: int, header: list[Any], out: Path) -> Rows:
        with out.open("wb") as target:
            while header and header[-1] in (None, ""):
                header.pop()
            columns = names(["" if one is None else str(one) for one in header], self._limits, self._log)
            writer = Writer(target, columns, self._limits, self._log, self._most)
            following = first + 1
            for number, cells in rows:
                for _ in range(number - following):
                    writer.row(0, None)
                missing = len(columns) - len(cells)  # a sheet does not say where its empty cells end
                writer.row(number, [*cells, *[None] * missing])
                following = number + 1
        return Rows(out, columns, first + 1, tuple(self._log.entries))

    def _say_which(self, name: str, sheets: list[tuple[str, str]]) -> None:
        if len(sheets) > 1:
            words = f"The workbook has {len(sheets)} sheets; “{name[:50]}” was read, the first one with values."
            self._log.add(None, Found("other_sheets", words, severity=Severity.INFO))

    def _sheets(self) -> list[tuple[str, str]]:
        """The sheets' names and parts, in the order of their tabs."""
        targets: dict[str, str] = {}

        def relation(tag: str, given: dict[str, str]) -> None:
            if tag == "Relationship" and given.get("TargetMode") != "External":
                target = given.get("Target", "")
                targets[given.get("Id", "")] = posixpath.normpath(posixpath.join("/xl", target)).lstrip("/")

        found: list[tuple[str, str]] = []

        def sheet(tag: str, given: dict[str, str]) -> None:
            if tag == "sheet":
                part = targets.get(given.get(f"{_RELATION}|id", ""), "")
                if part in self._archive.NameToInfo and "worksheets/" in part:
                    found.append((given.get("name", ""), part))

        self._parse("xl/_rels/workbook.xml.rels", relation)
        self._parse("xl/workbook.xml", sheet)
        if not found:
            raise UnreadableDataset("The workbook has no sheet with cells. Save it again as .xlsx or as CSV.")
        return found

    def _read_shared(self) -> None:
        """The texts that cells refer to by number: `<si>` with runs of `<t>`; phonetic hints are left out."""
        if "xl/sharedStrings.xml" not in self._archive.NameToInfo:
            return
        pieces: list[str] = []
        inside = {"t": False, "rPh": False}
        size = 0

        def start(tag: str, _: dict[str, str]) -> None:
            if tag in inside:
                inside[tag] = True

        def end(tag: str) -> None:
            nonlocal size
            if tag in inside:
                inside[tag] = False
            elif tag == "si":
                text = "".join(pieces)
                pieces.clear()
                size += len(text) + 60
                if size > _SHARED_BYTES:
                    raise UnreadableDataset("The workbook has too much text to be read. Save the sheet as CSV.")
                self._shared.append(text)

        def text(data: str) -> None:
            if inside["t"] and not inside["rPh"]:
                pieces.append(data)

        self._parse("xl/sharedStrings.xml", start, end, text)

    def _read_styles(self) -> None:
        """Which cell styles show a number as a date."""
        if "xl/styles.xml" not in self._archive.NameToInfo:
            return
        custom: dict[str, bool] = {}
        inside = False

        def start(tag: str, given: dict[str, str]) -> None:
            nonlocal inside
            if tag == "numFmt":
                code = _QUOTED.sub("", given.get("formatCode", "")[:500].lower())
                custom[given.get("numFmtId", "")] = bool(re.search("[ydhs]", code)) and "general" not in code
            elif tag == "cellXfs":
                inside = True
            elif tag == "xf" and inside:
                number = given.get("numFmtId", "0")
                known = number.isdecimal() and len(number) < 5 and int(number) in _DATE_FORMATS
                self._dates.append(custom.get(number, known))

        def end(tag: str) -> None:
            nonlocal inside
            if tag == "cellXfs":
                inside = False

        self._parse("xl/styles.xml", start, end)

    def _rows(self, part: str) -> Iterator[tuple[int, list[Any]]]:
        """Every row of a sheet: its number and its cells."""
        sheet = Sheet(self._value)
        with self._open(part) as file:
            reading = parser(sheet.start, sheet.end, sheet.text)
            while True:
                block = self._read(file)
                reading.Parse(block, not block)
                yield from sheet.done
                sheet.done.clear()
                if not block:
                    return

    def _parse(
        self,
        part: str,
        start: Callable[[str, dict[str, str]], None],
        end: Callable[[str], None] | None = None,
        text: Callable[[str], None] | None = None,
    ) -> None:
        reading = parser(start, end, text)
        with self._open(part) as file:
            while block := self._read(file):
                reading.Parse(block, False)
            reading.Parse(b"", True)

    def _open(self, part: str) -> IO[bytes]:
        check_packing(self._archive.getinfo(part))
        return self._archive.open(part)

    def _read(self, file: IO[bytes]) -> bytes:
        block = file.read(_READ)
        self._unpacked += len(block)
        if self._unpacked > self._most:
            raise UnreadableDataset(
                f"The workbook unpacks to more than {megabytes(self._most)}, far more than its size. Save it as CSV."
            )
        return block

    def _value(self, row: int, cell: Cell) -> Any:
        """What a cell shows."""
        raw = cell.value
        if cell.formula:
            self._formula(row, cell)
        if cell.kind == "inlineStr":
            return "".join(cell.inline)
        if raw is None:
            return None
        if cell.kind == "s":
            return self._shared[int(raw)] if raw.isdecimal() and int(raw[:10]) < len(self._shared) else None
        if cell.kind == "b":
            return raw.strip() == "1"
        if cell.kind in ("str", "d"):
            return raw
        if cell.kind == "e":
            words = f"Cell {place_of(row, cell)} shows the error {raw[:20]}. Mend it in the workbook or drop the row."
            self._log.add(row, Found("error_cell", words, fix="drop"))
            return None
        return self._number(raw, cell.style)

    def _formula(self, row: int, cell: Cell) -> None:
        if cell.value is None and not cell.inline:
            words = (
                f"Cell {place_of(row, cell)} is a formula without a saved value, so it is empty here. "
                "Open the workbook, save it, and attach it again."
            )
            self._log.add(row, Found("formula_cell", words, fix="drop"))
        elif cell.column not in self._formulas:  # once a column is enough
            self._formulas.add(cell.column)
            words = (
                f"Column {letters_of(cell.column)} has formulas (the first one in {place_of(row, cell)}); the values "
                "that were saved with them were read. Check that they are up to date."
            )
            self._log.add(row, Found("formula_cell", words, severity=Severity.WARNING))

    def _number(self, raw: str, style: int) -> Any:
        try:
            number = float(raw)
        except ValueError:
            return raw
        if style < len(self._dates) and self._dates[style] and 0 <= number < 2_958_466:
            return date_of(number)
        whole = number.is_integer() and abs(number) < 2**53
        return int(number) if whole else number
