"""Batches without padding: examples one behind the other in one row, each with places that begin anew.

The model tells them apart by these places, so that no example sees another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_IGNORED = -100
WORTH_IT = 0.1
"""Share of padding from which on a batch is better without it."""


@dataclass(frozen=True)
class FlatCollator:
    """Examples (`input_ids`, `labels`, perhaps `position_ids`) into one row of shape (1, tokens)."""

    def __call__(self, examples: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, Any]:
        """One batch."""
        import torch

        ids: list[int] = []
        labels: list[int] = []
        places: list[int] = []
        for one in examples:
            ids += one["input_ids"]
            places += one.get("position_ids") or range(len(one["input_ids"]))
            labels += one["labels"]
        begun = [_IGNORED if place == 0 else label for place, label in zip(places, labels, strict=True)]
        return {name: torch.tensor([row]) for name, row in _named(ids, begun, places)}


def _named(ids: list[int], labels: list[int], places: list[int]) -> tuple[tuple[str, list[int]], ...]:
    return ("input_ids", ids), ("labels", labels), ("position_ids", places)


def packed(columns: Mapping[str, Sequence[Any]], most: int) -> dict[str, list[list[int]]]:
    """Examples joined into rows of at most `most` tokens: the longest first, each where least room is left for it."""
    lengths = [len(one) for one in columns["input_ids"]]
    rows: list[list[int]] = []
    left: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda one: -lengths[one]):
        fitting = [row for row, room in enumerate(left) if room >= lengths[number]]
        if fitting:
            best = min(fitting, key=lambda row: left[row])
            rows[best].append(number)
            left[best] -= lengths[number]
        else:
            rows.append([number])
            left.append(most - lengths[number])
    return {
        "input_ids": [[token for one in row for token in columns["input_ids"][one]] for row in rows],
        "labels": [[label for one in row for label in columns["labels"][one]] for row in rows],
        "position_ids": [[place for one in row for place in range(lengths[one])] for row in rows],
    }


def padding(lengths: Sequence[int], rows: int) -> float:
    """The share of padding in batches of so many rows, as they come."""
    wanted = sum(lengths)
    taken = sum(
        max(lengths[begin : begin + rows]) * len(lengths[begin : begin + rows])
        for begin in range(0, len(lengths), rows)
    )
    return 1 - wanted / taken if taken else 0.0


def rows(inputs: Mapping[str, Any]) -> int:
    """How many examples a batch has."""
    if "position_ids" in inputs:
        return int((inputs["position_ids"][0] == 0).sum())
    return len(inputs["input_ids"])


def halves(inputs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """A batch as two, between two examples; None where it is only one."""
    if "position_ids" in inputs:
        begins = (inputs["position_ids"][0] == 0).nonzero()[:, 0].tolist()
        if len(begins) < 2:
            return None
        cut = begins[len(begins) // 2]
        return (
            {name: value[:, :cut] for name, value in inputs.items()},
            {name: value[:, cut:] for name, value in inputs.items()},
        )
    cut = len(inputs["input_ids"]) // 2
    if not cut:
        return None
    return (
        {name: value[:cut] for name, value in inputs.items()},
        {name: value[cut:] for name, value in inputs.items()},
    )
