"""Which of an example's fields says what a good answer is, and how that reads."""

import json
from collections.abc import Mapping
from typing import Any

NAMES = ("answer", "reference", "reference_answer", "expected", "ground_truth", "solution", "target", "label", "output")
"""Which of several fields it is: the first of these that is there."""


def field_of(fields: Mapping[str, Any]) -> str:
    """The name of the field that is the reference answer; empty where it cannot be told."""
    lower = {name.lower(): name for name in fields}
    named = next((lower[name] for name in NAMES if name in lower), "")
    return named or (next(iter(fields)) if len(fields) == 1 else "")


def in_words(value: Any) -> str:
    """A reference as a model would write it: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def of(fields: Mapping[str, Any]) -> str:
    """The reference answer in words; empty where it cannot be told."""
    name = field_of(fields)
    return in_words(fields[name]) if name else ""
