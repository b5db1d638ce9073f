"""What kind of answers a task has, found from the reference answers alone."""

import json
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

MOST_LABELS = 20
MOST_LABEL_WORDS = 5
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?%?")


class Shape(StrEnum):
    """The kind of an answer; decides which metrics mean something."""

    STRINGS = "strings"  # a JSON list of strings: compared as a set
    RECORD = "record"  # any other JSON list or object: compared field by field
    NUMBER = "number"  # one number
    LABEL = "label"  # one of few short answers
    TEXT = "text"  # free text


def of(references: Sequence[str]) -> Shape:
    """The shape that every reference has; free text where they differ."""
    if not references:
        return Shape.TEXT
    values = [parsed(one) for one in references]
    if all(isinstance(value, list) and all(isinstance(one, str) for one in value) for value in values):
        return Shape.STRINGS
    if all(isinstance(value, list | dict) for value in values):
        return Shape.RECORD
    if all(_NUMBER.fullmatch(one.strip()) for one in references):
        return Shape.NUMBER
    distinct = {normalised(one) for one in references}
    repeated = len(distinct) <= min(MOST_LABELS, max(2, len(references) // 2))
    if repeated and all(len(one.split()) <= MOST_LABEL_WORDS for one in distinct):
        return Shape.LABEL
    return Shape.TEXT


def parsed(text: str) -> Any:
    """The JSON value that the text is as a whole; None if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def normalised(text: str) -> str:
    """The text without case and surplus spaces."""
    return " ".join(text.lower().split())
