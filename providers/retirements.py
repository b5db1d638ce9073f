"""When vendors stop training on a model, and when it stops answering: dated entries from retirements.json.

Each entry has the page it was read on and when. Dates are compared with a day that the caller gives; nothing here
knows today's. A vendor may say otherwise at any time: its answer decides, these only warn early.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib import resources
from typing import Any

from providers.prices import base_of

TRAINING = "training"
MODEL = "model"


@dataclass(frozen=True)
class Notice:
    """What a person should know before they choose a model; `closed` for everybody, where this is the vendor's own."""

    what: str
    """TRAINING (new jobs) or MODEL (what is tuned from it answers)."""
    on: date
    words: str
    source: str
    url: str
    closed: bool = False
    as_of: date = date.min
    """When the page said so."""


@dataclass(frozen=True)
class _Entry:
    provider: str
    what: str
    on: date
    page: str
    url: str
    as_of: date
    before: str
    after: str
    closes: bool
    """Whether it is over for everybody after that day; otherwise only for some, or perhaps."""
    models: frozenset[str]
    """Empty: all of the vendor's."""


def notices(provider: str, base_model: str, today: date, own_address: bool = True) -> tuple[Notice, ...]:  # noqa: FBT001, FBT002 -- the signature that its callers agreed on
    """What is over and what will be, for this base model; the soonest first.

    At an address that is not the vendor's own (a proxy, a stand-in) nothing is closed.
    """
    found = []
    for entry in _of(provider, base_model):
        words = entry.after if today > entry.on else entry.before
        if words:
            closed = own_address and entry.closes and today > entry.on
            source = f"{entry.page}, {in_words(entry.as_of)}"
            text = words.format(date=in_words(entry.on))
            found.append(Notice(entry.what, entry.on, text, source, entry.url, closed, entry.as_of))
    over = any(one.closed and one.what == TRAINING for one in found)  # then who could still train does not matter
    shown = [one for one in found if one.closed or one.what == MODEL or not over]
    return tuple(sorted(shown, key=lambda one: one.on))


def ends(provider: str, base_model: str) -> date | None:
    """The last day on which what is tuned from this model answers; None where it is not known."""
    return min((one.on for one in _of(provider, base_model) if one.what == MODEL), default=None)


def in_words(day: date) -> str:
    """A day as people write it: "14 January 2027"."""
    return f"{day.day} {day:%B %Y}"


def _of(provider: str, base_model: str) -> list[_Entry]:
    name = base_of(base_model)
    return [one for one in _entries() if one.provider == provider and (not one.models or name in one.models)]


@lru_cache(maxsize=1)
def _entries() -> tuple[_Entry, ...]:
    data = json.loads(resources.files("providers").joinpath("retirements.json").read_text(encoding="utf-8"))
    return tuple(_entry(one, data["sources"][one["source"]]) for one in data["entries"])


def _entry(one: Mapping[str, Any], source: Mapping[str, str]) -> _Entry:
    return _Entry(
        provider=one["provider"],
        what=one["what"],
        on=date.fromisoformat(one["on"]),
        page=source["page"],
        url=source["url"],
        as_of=date.fromisoformat(one["as_of"]),
        before=one.get("before", ""),
        after=one.get("after", ""),
        closes=bool(one.get("closes")),
        models=frozenset(one.get("models", ())),
    )
