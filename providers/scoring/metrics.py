"""One answer against its reference. Every score is between 0 and 1; an answer that cannot be read scores 0."""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

from providers.scoring.shape import Shape, normalised, parsed

Scores = Mapping[str, float]

LABELS = {
    "valid_json": "Valid JSON",
    "exact": "Exact match",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
}
"""How each metric is called in the channel, in the order in which they are shown."""

MAIN: Mapping[Shape, str] = {
    Shape.STRINGS: "f1",
    Shape.RECORD: "f1",
    Shape.NUMBER: "exact",
    Shape.LABEL: "exact",
    Shape.TEXT: "f1",
}
"""The metric that decides."""


def score(shape: Shape, answer: str, reference: str) -> Scores:
    """The scores of one answer, by the metrics of this shape."""
    return _SCORERS[shape](answer, reference)


def _strings(answer: str, reference: str) -> Scores:
    """Sets of strings; exact: the same list in the same order."""
    said, wanted = parsed(answer), parsed(reference)
    valid = said is not None
    if not isinstance(said, list) or not all(isinstance(one, str) for one in said):
        return {"valid_json": float(valid), "exact": 0.0, "precision": 0.0, "recall": 0.0, "f1": 0.0}
    overlap = _overlap(Counter(set(said)), Counter(set(wanted)))
    return {"valid_json": 1.0, "exact": float(said == wanted), **overlap}


def _record(answer: str, reference: str) -> Scores:
    """Fields: each path in the value with what stands there."""
    said, wanted = parsed(answer), parsed(reference)
    if not isinstance(said, list | dict):
        return {"valid_json": float(said is not None), "exact": 0.0, "precision": 0.0, "recall": 0.0, "f1": 0.0}
    return {
        "valid_json": 1.0,
        "exact": float(said == wanted),
        **_overlap(Counter(_leaves(said)), Counter(_leaves(wanted))),
    }


def _leaves(value: Any) -> Iterator[Hashable]:
    """Not by recursion: a model may nest as deeply as it likes."""
    todo = [("", value)]
    while todo:
        path, one = todo.pop()
        if isinstance(one, dict) and one:
            todo += [(f"{path}.{key}", member) for key, member in one.items()]
        elif isinstance(one, list) and one:
            todo += [(f"{path}[]", member) for member in one]
        else:
            yield path, repr(one)


def _number(answer: str, reference: str) -> Scores:
    said, wanted = _as_number(answer), _as_number(reference)
    return {"exact": float(said is not None and said == wanted)}


def _as_number(text: str) -> float | None:
    try:
        return float(text.strip().rstrip("%").replace(",", ""))
    except ValueError:
        return None


def _label(answer: str, reference: str) -> Scores:
    return {"exact": float(normalised(answer).rstrip(".") == normalised(reference).rstrip("."))}


def _text(answer: str, reference: str) -> Scores:
    """Words in common, whatever their order."""
    said, wanted = (Counter(re.findall(r"\w+", one.lower())) for one in (answer, reference))
    return {"exact": float(normalised(answer) == normalised(reference)), **_overlap(said, wanted)}


def _overlap(said: Counter[Any], wanted: Counter[Any]) -> Scores:
    common = (said & wanted).total()
    if not said and not wanted:
        return {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    precision = common / said.total() if said else 0.0
    recall = common / wanted.total() if wanted else 0.0
    both = precision + recall
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / both if both else 0.0}


_SCORERS: Mapping[Shape, Callable[[str, str], Scores]] = {
    Shape.STRINGS: _strings,
    Shape.RECORD: _record,
    Shape.NUMBER: _number,
    Shape.LABEL: _label,
    Shape.TEXT: _text,
}
