"""What a check says of one place."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"  # not trainable until mended
    WARNING = "warning"  # trainable; look at it
    INFO = "info"  # good to know


@dataclass(frozen=True)
class Found:
    """What one check found in one record; `message` is the message's place in it, counted from 1."""

    check: str
    words: str
    message: int | None = None
    fix: str = ""
    severity: Severity = Severity.ERROR
    excerpt: str = ""  # the text around, the place marked by » «; secrets masked
