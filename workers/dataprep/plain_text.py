"""Plain text -> JSON lines `{"text": …}`.

Where blank lines separate paragraphs, an example is a paragraph; where there are none, each line is an example. An
example stands on the line where it began, and the lines after it are blank, so that numbers count the file's lines.
"""

from pathlib import Path
from typing import BinaryIO

import orjson

from workers.dataprep.checks import Found, Severity
from workers.dataprep.json_values import mended, too_long
from workers.dataprep.limits import Limits
from workers.dataprep.rows import Log

_PIECE = 1 << 20


def read(path: Path, offset: int, head: bytes, limits: Limits, out: Path) -> tuple[tuple[int | None, Found], ...]:
    """Write the examples to `out`. What was wrong with them, with their lines."""
    by_paragraph = b"\n\n" in b"\n".join(line.strip() for line in head.strip().split(b"\n"))
    log = Log(limits)
    with path.open("rb") as file, out.open("wb") as target:
        file.seek(offset)
        examples = _Examples(target, limits, log)
        while piece := file.readline(_PIECE):
            examples.add(piece, by_paragraph=by_paragraph)
        examples.finish()
    return tuple(log.entries)


class _Examples:
    """The example that is being read, and the line that it began on."""

    def __init__(self, target: BinaryIO, limits: Limits, log: Log) -> None:
        self._target = target
        self._limits = limits
        self._log = log
        self._pieces: list[bytes] = []
        self._size = 0
        self._first = self._line = 1
        self._begins_line = True

    def add(self, piece: bytes, *, by_paragraph: bool) -> None:
        """Take the next line, or a part of a very long one."""
        ends_line = piece.endswith(b"\n")
        blank = self._begins_line and ends_line and not piece.strip()
        if self._begins_line and (blank or not by_paragraph or not self._size):
            self.finish()
        if not blank:
            self._size += len(piece)
            self._pieces.append(piece)
            if self._size > self._limits.max_line_bytes:
                self._pieces.clear()
        self._line += ends_line
        self._begins_line = ends_line

    def finish(self) -> None:
        """Write the example on the line where it began, and go on behind it."""
        line = b""
        if self._size > self._limits.max_line_bytes:
            self._log.add(self._first, too_long(self._limits.max_line_bytes))
        elif self._pieces:
            line = self._record()
        self._target.write(line + b"\n" * (self._line - self._first))
        self._pieces, self._size, self._first = [], 0, self._line

    def _record(self) -> bytes:
        data = b"".join(self._pieces)
        try:
            text = data.decode()
        except UnicodeDecodeError:
            words = (
                "The text is not valid UTF-8; it was read as Windows-1252. "
                "If letters are wrong, save the file as UTF-8."
            )
            self._log.add(self._first, Found("invalid_utf8", words, severity=Severity.WARNING))
            text = mended(data).decode()
        return orjson.dumps({"text": text.strip()}) if text.strip() else b""
