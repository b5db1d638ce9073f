"""Bytes -> records: what a file is made of, found from its content, in constant memory."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.errors import FileRefused

MOST_LINE_BYTES = 8_000_000
"""A longer line is no training example."""

MAGIC = {
    b"PK\x03\x04": "a ZIP archive or an Office document",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"PAR1": "a Parquet table",
    b"\x7fELF": "a program",
    b"SQLite format 3": "a SQLite database",
    b"GGUF": "a model file",
}
WANTED = "Attach a .jsonl file with one conversation a line instead."


class UnreadableDataset(FileRefused):
    """The file cannot be read as a dataset at all; `user_message` says what was found instead."""


@dataclass(frozen=True)
class Record:
    """One parsed line; `problem` says why it is no JSON value, and `value` is None then."""

    line: int
    value: Any
    problem: str = ""


def encoding_of(path: Path, max_bytes: int) -> str:
    """The file's text encoding. Raises UnreadableDataset for what is no text, nothing, or too large."""
    size = path.stat().st_size
    if size > max_bytes:
        raise UnreadableDataset(
            f"It is {size / 1e6:,.1f} MB, over this installation's limit of {max_bytes / 1e6:,.1f} MB. "
            "Attach a smaller file, or ask an admin to raise the limit."
        )
    with path.open("rb") as file:
        head = file.read(65_536)
    if not head.removeprefix(b"\xef\xbb\xbf").strip():
        raise UnreadableDataset(f"It is empty. {WANTED}")
    for magic, what in MAGIC.items():
        if head.startswith(magic):
            raise UnreadableDataset(f"It is {what}, not a dataset that can be read here. {WANTED}")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\x00" in head:
        raise UnreadableDataset(f"It is binary data, not text. {WANTED}")
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:512].lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        raise UnreadableDataset(f"It is a web page (HTML), perhaps a log-in page saved by mistake. {WANTED}")
    return "utf-8-sig"


def records(path: Path, encoding: str) -> Iterator[Record]:
    """Every record: a line of JSONL each, or the members of one JSON array or object that spans lines.

    Raises UnreadableDataset where text that claims to be UTF-16 is not.
    """
    try:
        yield from _records(path, encoding)
    except UnicodeDecodeError:
        raise UnreadableDataset(f"Its text is damaged: it is not valid {encoding.upper()}. {WANTED}") from None


def _records(path: Path, encoding: str) -> Iterator[Record]:
    if _is_one_document(path, encoding):
        yield from _document(path, encoding)
        return
    with path.open("r", encoding=encoding, errors="surrogateescape", newline="\n") as file:
        number = 0
        while True:
            text = file.readline(MOST_LINE_BYTES + 1)
            if not text:
                return
            number += 1
            if len(text) > MOST_LINE_BYTES:
                yield Record(number, None, f"The line is longer than {MOST_LINE_BYTES / 1e6:.0f} MB.")
                while text and not text.endswith("\n"):
                    text = file.readline(MOST_LINE_BYTES)
                continue
            if text.strip():
                yield _record(number, text, cut=not text.endswith("\n"))


def _is_one_document(path: Path, encoding: str) -> bool:
    """Whether the first line is only the beginning of a JSON value, or an array."""
    with path.open("r", encoding=encoding, errors="surrogateescape") as file:
        while True:
            first = file.readline(MOST_LINE_BYTES)
            if not first:
                return False
            if first.strip():
                break
        if first.lstrip().startswith("["):
            return True
        rest = file.readline(1000)
    if not first.lstrip().startswith("{"):
        return False
    return first.strip() == "{" or (rest.startswith((" ", "\t")) and bool(_record(1, first).problem))


def _document(path: Path, encoding: str) -> Iterator[Record]:
    text = path.read_text(encoding=encoding, errors="surrogateescape")
    whole = _record(1, text)
    if whole.problem:
        yield whole
        return
    members = whole.value if isinstance(whole.value, list) else [whole.value]
    for number, member in enumerate(members, 1):
        yield Record(number, member)


def _record(number: int, text: str, *, cut: bool = False) -> Record:
    if any("\ud800" <= character <= "\udfff" for character in text):
        return Record(number, None, "The line has bytes that are not valid UTF-8 text.")
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        if "\\ud" in text or "\\uD" in text:  # halves of a character, which must stand in pairs
            json.dumps(value, ensure_ascii=False).encode()
        return Record(number, value)
    except json.JSONDecodeError as error:
        where = f"at character {error.pos + 1}"
        last = " The file seems to be cut off here." if cut else ""
        return Record(number, None, f"Not valid JSON {where}: {error.msg}.{last}")
    except RecursionError:
        return Record(number, None, "The JSON is nested too deeply.")
    except UnicodeEncodeError:
        return Record(number, None, "The line has half a character (a lone surrogate), which is no valid text.")
    except ValueError as error:
        return Record(number, None, f"Not valid JSON: {error}.")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not allowed in JSON")
