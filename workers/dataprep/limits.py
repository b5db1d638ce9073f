"""How much of a dataset is read at most, and the refusal of what cannot be read at all."""

import errno
from dataclasses import dataclass

from workers.errors import FileRefused

WANTED = (
    "Attach a file with one training example a line (JSONL), a JSON array, or a table (CSV, XLSX, Parquet) instead."
)


class UnreadableDataset(FileRefused):
    """The file cannot be read as a dataset at all; `user_message` says what was found instead."""


@dataclass(frozen=True)
class Limits:
    """Bounds of time and memory: every byte of a dataset may be hostile."""

    max_bytes: int = 1_000_000_000
    """The file as it was received, packed or not."""
    max_plain_bytes: int = 8_000_000_000
    """What comes out of an archive, or out of a table as JSON lines."""
    max_ratio: int = 200
    """How many times larger than the archive its content may be, once it is over `free_bytes`."""
    free_bytes: int = 100_000_000
    """An archive may always hold this much: small files of equal lines pack very well."""
    max_line_bytes: int = 64_000_000
    """One example."""
    max_cell_bytes: int = 32_000_000
    """One cell of a table."""
    max_columns: int = 2000
    max_findings: int = 100_000
    """A table with more damaged rows than that is read wrongly, or is no table."""


DEFAULT = Limits()


def megabytes(size: int) -> str:
    """A size in words."""
    return f"{size / 1e6:,.1f} MB"


def is_damage(error: Exception) -> bool:
    """Whether a reader's error tells of the file's content, and not of this machine (a full disk, say)."""
    return not isinstance(error, OSError) or error.errno in (None, errno.EINVAL, errno.EOVERFLOW)
