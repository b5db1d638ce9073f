"""A file of any kind -> `Source`: UTF-8 JSON lines on disk, one record a line, found from its content alone.

    with source.opened(path) as one:
        ...read one.path...

A file that is JSON lines already is read where it lies: only its head and a few samples are looked at. Everything
else (archives, tables, arrays, other encodings) is written once as JSON lines to a temporary folder, streamed and
bounded. What cannot be read at all raises UnreadableDataset, in words for the person who attached it.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from workers.dataprep import containers, encodings, json_array, plain_text, tables, workbook
from workers.dataprep.checks import Found
from workers.dataprep.json_array import Shape
from workers.dataprep.limits import DEFAULT, WANTED, Limits, UnreadableDataset, megabytes
from workers.dataprep.rows import Rows

__all__ = ["Limits", "Source", "UnreadableDataset", "opened"]

HEAD_BYTES = 1 << 20
MOST_PACKED = 2
"""A gzip file inside a ZIP archive is read; what is packed once more is not."""


@dataclass(frozen=True)
class Source:
    """Where a dataset's records lie. Line i of `path`, counted from 0, is record number `first` + i, always.

    Blank lines are no records. A record that cannot be read keeps its bytes on its line, or leaves the line blank
    where `findings` says what was wrong with it.
    """

    path: Path
    unit: str = "line"
    """What a finding's number counts: "line", "element" (of an array) or "row" (of a table, its header is row 1)."""
    first: int = 1
    layout: str = "jsonl"
    """jsonl, json, csv, tsv, xlsx, parquet, text, folder."""
    encoding: str = "utf-8"
    """As it was before: "utf-8-sig", "utf-16-le", "windows-1252"…"""
    compression: str = ""
    """gzip, zip, or empty."""
    columns: tuple[str, ...] = ()
    """A table's columns."""
    findings: tuple[tuple[int | None, Found], ...] = ()
    """What reading itself found, with the record's number where it concerns one."""
    offset: int = 0
    """How many bytes of `path` come before the first line (a byte order mark)."""


@contextmanager
def opened(path: Path, limits: Limits = DEFAULT, *, folder: Path | None = None) -> Iterator[Source]:
    """The dataset's records, for as long as the block lasts. Raises UnreadableDataset.

    Copies are made in a temporary folder inside `folder` (the system's own if None) and removed afterwards.
    """
    with tempfile.TemporaryDirectory(prefix="dataset-", dir=folder) as work:
        yield _read(path, limits, Path(work))


def _read(path: Path, limits: Limits, work: Path, packed: int = 0) -> Source:
    if path.is_dir():
        from workers.dataprep import folders

        return _as_source(folders.read(path, limits, work / "rows.jsonl"), "folder")
    if not path.is_file():
        raise UnreadableDataset(f"It is no file that can be read. {WANTED}")
    size = path.stat().st_size
    if not packed and size > limits.max_bytes:
        raise UnreadableDataset(
            f"It is {megabytes(size)}, over this installation's limit of {megabytes(limits.max_bytes)}. "
            "Attach a smaller file, or ask an admin to raise the limit."
        )
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    kind = containers.kind(head)
    if kind in ("gzip", "zip") and not (kind == "zip" and workbook.is_workbook(path)):
        if packed == MOST_PACKED:
            raise UnreadableDataset("It is an archive inside an archive inside an archive. Attach the file itself.")
        plain = containers.unpacked(path, kind, limits, work / f"plain{packed}")
        source = replace(_read(plain, limits, work, packed + 1), compression=kind)
        if source.path != plain:
            plain.unlink()
        return source
    if kind == "zip":
        return _as_source(workbook.read(path, limits, work / "rows.jsonl"), "xlsx")
    if kind == "parquet":
        from workers.dataprep import parquet

        return _as_source(parquet.read(path, limits, work / "rows.jsonl"), "parquet")
    return _text(path, head, limits, work)


def _text(path: Path, head: bytes, limits: Limits, work: Path) -> Source:
    encoding = encodings.detect(path, head)
    offset = encoding.mark
    findings = encoding.findings
    if not encoding.in_place:
        path = encodings.transcoded(path, encoding, limits, work / "text")
        offset = 0
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    head = head[offset:]
    containers.refuse_other_text(head)
    more = path.stat().st_size - offset > len(head)
    shape = json_array.shape(head, more=more)
    if shape is Shape.LINES:
        return Source(path, encoding=encoding.name, findings=findings, offset=offset)
    if shape is not None:
        found = json_array.split(path, offset, shape, work / "elements.jsonl")
        return Source(
            work / "elements.jsonl", "element", layout="json", encoding=encoding.name, findings=findings + found
        )
    dialect = tables.sniff(head, limits, more=more)
    if dialect:
        rows = tables.read(path, offset, dialect, limits, work / "rows.jsonl")
        layout = "tsv" if dialect.delimiter == "\t" else "csv"
        return replace(_as_source(rows, layout), encoding=encoding.name, findings=findings + rows.findings)
    found = plain_text.read(path, offset, head, limits, work / "texts.jsonl")
    return Source(work / "texts.jsonl", layout="text", encoding=encoding.name, findings=findings + found)


def _as_source(rows: Rows, layout: str) -> Source:
    return Source(
        rows.path,
        unit="row",
        first=rows.first,
        layout=layout,
        columns=rows.columns,
        findings=rows.findings,
    )
