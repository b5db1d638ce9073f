"""The vendor's JSON, read with suspicion: any field may be missing, null, of another type or nonsense."""

import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from providers._openai_api.errors import Vendor
from providers.errors import Unavailable

Json = Mapping[str, Any]
"""An object of the vendor's, as it came."""


MOST_BYTES = 64 * 1024 * 1024
"""So long an answer is read at most."""

_IDENTIFIER = re.compile(r"[\x21-\x7e]{1,256}")


class Raw(Protocol):
    """An answer as the client library's `with_raw_response` gives it."""

    @property
    def content(self) -> bytes:
        """The body."""
        ...


class Streamed(Protocol):
    """An answer as the client library's `with_streaming_response` gives it."""

    def iter_bytes(self) -> Iterator[bytes]:
        """The body, piece by piece."""
        ...


@dataclass(frozen=True)
class Answer:
    """A body that was read."""

    content: bytes


def bounded(opening: AbstractContextManager[Streamed], vendor: Vendor, until: float) -> Answer:
    """Read an answer that may drip in or be endless; `until` is a time of `time.monotonic`. Raises Unavailable."""
    found = bytearray()
    with opening as response:
        for part in response.iter_bytes():
            found += part
            if len(found) > MOST_BYTES or time.monotonic() > until:
                raise Unavailable(f"{vendor.name} took too long to answer. Try again.")
    return Answer(bytes(found))


def read(raw: Raw, vendor: Vendor) -> Json:
    """The answer's object. Raises Unavailable if it is none."""
    try:
        data = json.loads(raw.content)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise Unavailable(f"{vendor.name} answered with something that cannot be read. Try again.")
    return data


def pages(
    ask: Callable[[dict[str, Any]], Raw], vendor: Vendor, *, limit: int, most: int, query: Json | None = None
) -> Iterator[Json]:
    """The objects of a list, page after page, at most `most` pages of `limit`; what is no object is left out."""
    after: dict[str, Any] = {}
    seen: set[str] = set()
    for _ in range(most):
        page = read(ask({**(query or {}), "limit": limit, **after}), vendor)
        found = [one for one in items(page) if text(one, "id")]
        yield from found
        last = identifier(found[-1], "id") if found else ""
        if not page.get("has_more") or not last or last in seen:
            return
        seen.add(last)
        after = {"after": last}


def items(page: Json, name: str = "data") -> list[Json]:
    """The objects in a list-valued field."""
    data = page.get(name)
    return [one for one in data if isinstance(one, dict)] if isinstance(data, list) else []


def text(data: Json, name: str) -> str:
    """A text-valued field, or ""."""
    value = data.get(name)
    return value if isinstance(value, str) else ""


def identifier(data: Json, name: str) -> str:
    """An id or a model's name, or "": printable ASCII without blanks, of 256 characters at most, is one."""
    value = text(data, name)
    return value if is_identifier(value) else ""


def is_identifier(value: str) -> bool:
    """Whether this may be a vendor's id of something: it is stored, compared and asked for again."""
    return bool(_IDENTIFIER.fullmatch(value))


def number(data: Json, name: str) -> float | None:
    """A finite number, also one written as text; None for anything else."""
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def whole(data: Json, name: str) -> int | None:
    """A whole number from 0 to what a database can hold; None for anything else."""
    found = number(data, name)
    return int(found) if found is not None and 0 <= found < 2**53 and found == int(found) else None


def inside(data: Json, name: str) -> Json:
    """An object-valued field, or an empty one."""
    value = data.get(name)
    return value if isinstance(value, dict) else {}
