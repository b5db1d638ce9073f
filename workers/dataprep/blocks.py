"""A large file of JSON lines in blocks that processes read on their own: each owns the lines that begin in it."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

BLOCK_BYTES = 4_000_000
BATCH_BYTES = 250_000
"""Lines are judged so many bytes at a time: little enough to stay in a core's cache."""
_PIECE = 1_000_000


@dataclass(frozen=True)
class Block:
    """A part of a file, in bytes."""

    path: Path
    start: int
    end: int
    first: bool
    """Whether a line begins at `start` whatever stands before it."""


@dataclass(frozen=True)
class Batch:
    """Some whole lines of a block. `data` is their bytes, `lines` the same cut up, without line ends.

    A line that was too long to be read is None. `start` is where the first one begins in the file.
    """

    data: bytes
    lines: list[bytes | None]
    start: int
    cut: bool = False
    """Whether the last line has no line end: a file that was cut off may end so."""

    def offsets(self) -> npt.NDArray[np.int64]:
        """Where each line begins in the file. Not for a batch with a line that was too long to be read."""
        lengths = np.fromiter((len(line or b"") + 1 for line in self.lines), np.int64, len(self.lines))
        return self.start + np.cumsum(lengths) - lengths


def blocks(path: Path, offset: int = 0, block_bytes: int = BLOCK_BYTES) -> list[Block]:
    """The file's blocks in order, from the byte `offset` on."""
    size = path.stat().st_size
    return [
        Block(path, start, min(start + block_bytes, size), first=start == offset)
        for start in range(offset, size, block_bytes)
    ]


def batches(block: Block, max_line_bytes: int, batch_bytes: int = BATCH_BYTES) -> Iterator[Batch]:
    """The lines that begin in the block, whole. A batch and one line are in memory, no more."""
    with block.path.open("rb", buffering=0) as file:
        start = block.start if block.first else _next_line(file, block)
        if start is None:
            return
        file.seek(start)
        held = b""
        while start + len(held) < block.end:
            piece = file.read(min(batch_bytes, block.end - start - len(held)))
            if not piece:
                break
            held += piece
            end = held.rfind(b"\n") + 1
            if end:
                yield from _whole(held[:end], start, max_line_bytes)
                start, held = start + end, held[end:]
            elif len(held) > max_line_bytes:
                yield Batch(b"", [None], start)
                start = _skip(file, block.end)
                held = b""
        if held:
            rest = _rest_of_line(file, max_line_bytes)
            if rest is None or len(held) + len(rest) > max_line_bytes + 1:
                yield Batch(b"", [None], start)
            else:
                yield from _whole(held + rest, start, max_line_bytes)


def _next_line(file: io.FileIO, block: Block) -> int | None:
    """Where the first line that begins in the block does; None if none does."""
    position = block.start - 1
    file.seek(position)
    while position < block.end - 1:
        piece = file.read(min(_PIECE, block.end - 1 - position))
        if not piece:
            return None
        found = piece.find(b"\n")
        if found >= 0:
            return position + found + 1
        position += len(piece)
    return None


def _skip(file: io.FileIO, end: int) -> int:
    """Go on to the first line that begins after here. Returns where that is; `end` if it is not before that."""
    while True:
        position = file.tell()
        piece = file.read(_PIECE)
        found = piece.find(b"\n")
        if found >= 0 or not piece or position >= end:
            start = position + found + 1 if found >= 0 else end
            file.seek(start)
            return start


def _rest_of_line(file: io.FileIO, most: int) -> bytes | None:
    """What follows up to the line's end; None for more than `most`."""
    pieces: list[bytes] = []
    size = 0
    while size <= most:
        piece = file.read(_PIECE)
        end = piece.find(b"\n")
        if end >= 0 or not piece:
            return b"".join([*pieces, piece[: end + 1]])
        pieces.append(piece)
        size += len(piece)
    return None


def _whole(data: bytes, start: int, max_line_bytes: int) -> Iterator[Batch]:
    """Whole lines as one batch, or as one each where one of them is too long."""
    lines: list[bytes | None] = list(data.removesuffix(b"\n").split(b"\n"))
    cut = not data.endswith(b"\n")
    if len(data) <= max_line_bytes or all(len(line or b"") <= max_line_bytes for line in lines):
        yield Batch(data, lines, start, cut)
        return
    for place, line in enumerate(lines):
        text = line or b""
        readable = len(text) <= max_line_bytes
        yield Batch(text if readable else b"", [text if readable else None], start, cut and place == len(lines) - 1)
        start += len(text) + 1
