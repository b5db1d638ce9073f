"""Which examples are the same, nearly the same, or answer one prompt in several ways; in bounded memory.

Each example leaves a few numbers. They are kept in memory while they are few and in a temporary folder when they are
many, sorted into parts by their leading bits, so that equal numbers are in one part and a part fits into memory.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

Records = npt.NDArray[np.uint64]

PARTS = 64
MOST_IN_MEMORY = 24_000_000
"""Bytes of numbers kept before they go to the disk."""


class Spill:
    """Records of `width` 64-bit numbers, sorted by the first `keys` of them, else kept in the order in which they came.

    A context: its folder goes with it.
    """

    def __init__(self, width: int, keys: int = 1) -> None:
        self._width = width
        self._keys = keys
        self._held: list[Records] = []
        self._bytes = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def add(self, records: Records) -> None:
        """Keep these records, an array of shape (any, width)."""
        if not len(records):
            return
        self._held.append(records)
        self._bytes += records.nbytes
        if self._bytes > MOST_IN_MEMORY:
            self._write()

    def _write(self) -> None:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="finetune-bot-")
        records = np.concatenate(self._held)
        self._held, self._bytes = [], 0
        part = (records[:, 0] >> np.uint64(58)).astype(np.int64)
        order = np.argsort(part, kind="stable")
        ends = np.cumsum(np.bincount(part, minlength=PARTS))
        for number, chunk in enumerate(np.split(records[order], ends[:-1])):
            if len(chunk):
                with Path(self._folder.name, str(number)).open("ab") as file:
                    chunk.tofile(file)

    def groups(self) -> Iterator[Records]:
        """Those records that have their first number in common with another, sorted, in parts; a group is in one."""
        if self._folder is None:
            if self._held:
                yield self._shared(np.concatenate(self._held))
            return
        if self._held:
            self._write()
        for number in range(PARTS):
            path = Path(self._folder.name, str(number))
            if path.exists():
                yield self._shared(np.fromfile(path, np.uint64).reshape(-1, self._width))

    def _shared(self, records: Records) -> Records:
        first = np.ascontiguousarray(records[:, 0])
        order = np.argsort(first)  # ten times as fast as a stable sort; only what is shared needs that
        first = first[order]
        same = first[1:] == first[:-1]
        shared = np.sort(order[np.append(same, False) | np.append(False, same)])
        some = records[shared]
        ordered: Records = some[np.lexsort(some.T[self._keys - 1 :: -1])]
        return ordered


@dataclass
class Repeats:
    """Lines that repeat others. `repeats` holds (line, first line with the same content), sorted by line."""

    repeats: Records = field(default_factory=lambda: np.zeros((0, 2), np.uint64))
    contradicting: Records = field(default_factory=lambda: np.zeros((0, 2), np.uint64))
    """(line, first line with the same prompt and another answer)."""


def repeats(prompts: Spill) -> Repeats:
    """Exact duplicates and contradictions, from records of (prompt's hash, example's hash, line), sorted by two."""
    same: list[Records] = []
    other: list[Records] = []
    for part in prompts.groups():
        if not len(part):
            continue
        prompt, whole, line = part.T
        new_prompt = np.concatenate([[True], prompt[1:] != prompt[:-1]])
        new_whole = new_prompt | np.concatenate([[True], whole[1:] != whole[:-1]])
        first_same = line[np.flatnonzero(new_whole)[np.cumsum(new_whole) - 1]]
        same.append(np.stack([line[~new_whole], first_same[~new_whole]], axis=1))
        earliest = np.minimum.reduceat(line, np.flatnonzero(new_prompt))[np.cumsum(new_prompt) - 1]
        differs = new_whole & (line != earliest)  # the first of each other answer
        other.append(np.stack([line[differs], earliest[differs]], axis=1))
    return Repeats(_by_line(same), _by_line(other))


def _by_line(pieces: list[Records]) -> Records:
    if not pieces:
        return np.zeros((0, 2), np.uint64)
    joined = np.concatenate(pieces)
    return joined[np.argsort(joined[:, 0], kind="stable")]
