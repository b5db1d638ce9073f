"""What differs between two datasets: examples that are only in one of them, and the first of each.

Two passes over both files, a number of 16 bytes an example in memory. An example of the one with the prompt of an
example of the other is changed, not removed and added.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from workers.dataprep.example import Example, Message
from workers.dataprep.hiding import hidden

MOST_SHOWN = 15
MOST_CHARACTERS = 1200

Reader = Callable[[], Iterable[Example]]
"""Opens a dataset from the start."""


def between(before: Reader, after: Reader) -> dict[str, Any]:
    """The counts added, removed, changed and same, and the first `differences` as {line, before, after}."""
    old, new = _numbers(before()), _numbers(after())
    gone, come = Counter(dict(old)), Counter(dict(new))
    gone.subtract(new)
    come.subtract(old)
    gone, come = +gone, +come
    removed = _only(before(), gone)
    added = _only(after(), come)
    changed, differences = 0, []
    by_prompt: dict[bytes, list[tuple[int, str]]] = {}
    for prompt, line, text in added:
        by_prompt.setdefault(prompt, []).append((line, text))
    for prompt, line, text in removed:
        partners = by_prompt.get(prompt)
        if partners:
            _, now = partners.pop(0)
            changed += 1
            differences.append({"line": line, "before": text, "after": now})
        else:
            differences.append({"line": line, "before": text, "after": ""})
    left = [(line, text) for partners in by_prompt.values() for line, text in partners]
    differences += [{"line": line, "before": "", "after": text} for line, text in sorted(left)]
    return {
        "same": old.total() - gone.total(),
        "removed": gone.total() - changed,
        "added": come.total() - changed,
        "changed": changed,
        "differences": _first_of_each(differences),
    }


def _numbers(examples: Iterable[Example]) -> Counter[bytes]:
    return Counter(_number(_whole(one)) for one in examples)


def _only(examples: Iterable[Example], left: Counter[bytes]) -> list[tuple[bytes, int, str]]:
    """(number of the prompt, line, text) of each example that is left over; texts of the first few only."""
    left = Counter(left)
    found: list[tuple[bytes, int, str]] = []
    for example in examples:
        number = _number(_whole(example))
        if left[number] > 0:
            left[number] -= 1
            text = readable(example) if len(found) < 1000 else ""
            found.append((_number(_messages(example.prompt)), example.line, text))
    return found


def _first_of_each(differences: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first changed ones, then removed, then added; those without a text are not shown."""
    shown = [one for one in differences if one["before"] or one["after"]]
    changed = [one for one in shown if one["before"] and one["after"]]
    removed = [one for one in shown if not one["after"]]
    added = [one for one in shown if not one["before"]]
    each = MOST_SHOWN // 3
    first = [*changed[:each], *removed[:each], *added[:each]]
    return first if len(first) >= MOST_SHOWN else (changed + removed + added)[:MOST_SHOWN]


def readable(example: Example) -> str:
    """An example in a few lines, without secrets and personal data."""
    said = [f"{one.role}: {one.text}" for one in example.messages]
    said += [f"not preferred: {one.text}" for one in example.rejected]
    if example.label is not None:
        said.append("wanted" if example.label else "not wanted")
    text = "\n".join(said).replace("\x00", "")
    text = hidden(text.encode("utf-8", "replace").decode(), MOST_CHARACTERS)
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"


def _whole(example: Example) -> list[Any]:
    return [
        _messages(example.messages), _messages(example.rejected), example.label, dict(example.reference),
        list(example.tools),
    ]  # fmt: skip


def _messages(some: Iterable[Message]) -> list[Any]:
    return [[one.role, one.content, dict(one.extra)] for one in some]


def _number(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
