"""Train, validation and test: decided by content and a seed, so that it is the same every time.

Examples with the same prompt, and those that are nearly the same, stay together on one side, so that nothing is
tested on what was learnt. Where the answers are labels, every side gets its share of each.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from providers.scoring import shape
from providers.scoring.shape import Shape
from workers.dataprep.example import Example, Message

LEAST_TO_HOLD_OUT = 50
"""Of fewer examples none are held out: what is left would teach too little, what is held out would say too little."""
LEAST_TESTED = 10
_NO_LABEL = -1


class Side(IntEnum):
    """What an example is for."""

    TRAIN = 0  # learnt from
    VALIDATION = 1  # watched while training
    TEST = 2  # held out for the evaluation


def test_size(examples: int, most: int) -> int:
    """How many of a lone dataset's examples are held out to test on: a fifth, 10 at least, none of fewer than 50."""
    return 0 if examples < LEAST_TO_HOLD_OUT else min(most, max(LEAST_TESTED, examples // 5))


def validation_size(examples: int, most: int) -> int:
    """How many are held out to be watched while training: a tenth, 10 at least, none of fewer than 50."""
    return 0 if examples < LEAST_TO_HOLD_OUT else min(most, max(LEAST_TESTED, examples // 10))


def prompt_key(example: Example) -> int:
    """64 bits that the same prompt always has, whatever its spacing and case; without one, its answer's."""
    asked = [message for message in example.prompt if message.role != "system"] or list(example.prompt)
    return _number([_plain(message) for message in asked or example.messages])


def example_key(example: Example) -> int:
    """64 bits that the same conversation always has, system messages aside, whatever its spacing and case."""
    said = [message for message in example.messages if message.role != "system"]
    return _number([_plain(message) for message in said or example.messages])


def _plain(message: Message) -> tuple[str, str, str]:
    """Role, words without case and surplus spaces, and whatever else is shown, as pictures are."""
    shown = (
        [] if isinstance(message.content, str) else [one for one in message.content or () if one.get("type") != "text"]
    )
    return message.role, shape.normalised(message.text), json.dumps(shown, sort_keys=True) if shown else ""


def _number(said: Sequence[tuple[str, str, str]]) -> int:
    data = repr(said).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


@dataclass(frozen=True)
class Keys:
    """What splitting must know of a dataset's examples, in their order: some 20 bytes each."""

    lines: NDArray[np.int64]
    prompts: NDArray[np.uint64]
    labels: NDArray[np.int8]
    """The number of each example's label; -1 throughout where the answers are no labels."""

    @classmethod
    def of(cls, examples: Iterable[Example]) -> "Keys":
        """Read the examples once."""
        lines: list[int] = []
        prompts: list[int] = []
        labels = _Labels()
        for place, example in enumerate(examples):
            lines.append(example.line or place + 1)
            prompts.append(prompt_key(example))
            labels.add(example)
        return cls(np.array(lines, np.int64), np.array(prompts, np.uint64), labels.numbers(len(lines)))

    def __len__(self) -> int:
        return len(self.lines)


class _Labels:
    """Numbers the answers while there are few different ones; gives up for good when there are too many."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._said = bytearray()
        self._no_labels = False

    def add(self, example: Example) -> None:
        if self._no_labels:
            return
        wanted = None if example.label is None else f"{example.label}"
        said = wanted if wanted is not None else shape.normalised(example.answer[:200])
        if (len(self._known) >= shape.MOST_LABELS and said not in self._known) or example.rejected:
            self._no_labels = True
            self._said.clear()
            return
        self._said.append(self._known.setdefault(said, len(self._known)))

    def numbers(self, examples: int) -> NDArray[np.int8]:
        if self._no_labels or not self._are_labels(examples):
            return np.full(examples, _NO_LABEL, np.int8)
        return np.frombuffer(bytes(self._said), np.uint8).astype(np.int8)

    def _are_labels(self, examples: int) -> bool:
        """As `shape.of` finds for all answers, which depends on the different ones and on there being enough."""
        different = list(self._known)
        enough = min(examples, 2 * shape.MOST_LABELS) - len(different)
        kind = shape.of([*different, *different[:1] * enough])
        return len(different) > 1 and (kind is Shape.LABEL or (kind is Shape.NUMBER and examples >= 5 * len(different)))


@dataclass(frozen=True)
class Split:
    """The side of every example, by its place in the dataset."""

    keys: Keys
    sides: NDArray[np.int8]

    def places(self, side: int) -> frozenset[int]:
        """The places (from 0) of a side's examples."""
        return frozenset(int(place) for place in np.flatnonzero(self.sides == side))

    def lines(self, side: int) -> list[int]:
        """The lines of a side's examples, in the file's order."""
        return [int(line) for line in self.keys.lines[self.sides == side]]

    def count(self, side: int) -> int:
        """How many examples are on a side."""
        return int(np.count_nonzero(self.sides == side))


def split(
    keys: Keys, *, validation: int = 0, test: int = 0, seed: int = 42, near: Iterable[Iterable[int]] = ()
) -> Split:
    """Hold out about so many examples for validation and test; never more, and always whole groups.

    `near` has groups of lines that are nearly the same. Where they leave too little to choose from, as when every
    example follows one pattern, only those with the same prompt are kept together.
    """
    alike = [list(lines) for lines in near]
    sides = _held_out(keys, _Groups.of(keys, seed, alike), validation, test)
    if alike and np.count_nonzero(sides == Side.TEST) < min(test, LEAST_TESTED):
        sides = _held_out(keys, _Groups.of(keys, seed, []), validation, test)
    return Split(keys, sides)


def folds(keys: Keys, count: int, *, seed: int = 42, near: Iterable[Iterable[int]] = ()) -> Split:
    """Deal the examples into `count` parts of about the same size; the sides are the parts' numbers from 0."""
    sides = np.zeros(len(keys), np.int8)
    for alike in ([list(lines) for lines in near], []):
        groups = _Groups.of(keys, seed, alike)
        filled = [0] * count
        for number in map(int, np.argsort(groups.labels, kind="stable")):
            part = filled.index(min(filled))
            sides[groups[number]] = part
            filled[part] += len(groups[number])
        if min(filled) > 0:
            break
    return Split(keys, sides)


def held_out_places(examples: Iterable[Example], count: int, seed: int) -> frozenset[int]:
    """The places (from 0) of about `count` examples to hold out; never more, whole groups of one prompt each."""
    return split(Keys.of(examples), test=count, seed=seed).places(Side.TEST)


@dataclass(frozen=True)
class _Groups:
    """Examples that stay together, in an order that depends on the seed and on what is asked alone."""

    order: NDArray[np.int64]
    """The examples' places, group after group."""
    starts: NDArray[np.int64]
    """Where each group begins in `order`, and the end."""
    labels: NDArray[np.int64]
    """The label that most of a group's examples have."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, number: int) -> NDArray[np.int64]:
        return self.order[self.starts[number] : self.starts[number + 1]]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many examples each group has."""
        return np.diff(self.starts)

    @classmethod
    def of(cls, keys: Keys, seed: int, near: Sequence[Sequence[int]]) -> "_Groups":
        """Group by prompt, and join what is nearly the same."""
        prompts, number = np.unique(keys.prompts, return_inverse=True)
        mixed = np.array([_mixed(int(prompt), seed) for prompt in prompts], np.uint64)
        rank = np.empty(len(prompts), np.int64)
        rank[np.argsort(mixed, kind="stable")] = np.arange(len(prompts))
        rank = _joined(rank, (number[places] for places in _places(keys, near)))[number]
        order = np.argsort(rank, kind="stable")
        starts = np.concatenate([[0], np.flatnonzero(np.diff(rank[order])) + 1, [len(order)]]).astype(np.int64)
        return cls(order, np.unique(starts), _majority(keys.labels[order], np.unique(starts)))


def _mixed(prompt: int, seed: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}:{prompt}".encode(), digest_size=8).digest(), "big")


def _places(keys: Keys, near: Iterable[Sequence[int]]) -> Iterator[NDArray[np.int64]]:
    """The places of each group of lines; lines that are no examples are left out."""
    for group in near if len(keys) else ():
        lines = np.array(group, np.int64)
        places = np.minimum(np.searchsorted(keys.lines, lines), len(keys) - 1)
        yield places[keys.lines[places] == lines]


def _joined(rank: NDArray[np.int64], groups: Iterable[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The ranks, with one for all that belong together: the lowest of them (union-find, without recursion)."""
    parent: dict[int, int] = {}

    def root(one: int) -> int:
        while parent.get(one, one) != one:
            parent[one] = parent.get(parent[one], parent[one])
            one = parent[one]
        return one

    for group in groups:
        ranks = sorted({root(int(rank[one])) for one in group})
        for other in ranks[1:]:
            parent[other] = ranks[0]
    lowest = np.arange(len(rank), dtype=np.int64)
    for one in parent:
        lowest[one] = root(one)
    joined: NDArray[np.int64] = lowest[rank]
    return joined


def _majority(labels: NDArray[np.int8], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The most frequent label between every two starts."""
    groups = len(starts) - 1
    if groups == 0 or labels[0] == _NO_LABEL:
        return np.full(groups, _NO_LABEL, np.int64)
    counts = np.zeros((groups, int(labels.max()) + 1), np.int32)
    np.add.at(counts, (np.repeat(np.arange(groups), np.diff(starts)), labels), 1)
    most: NDArray[np.int64] = counts.argmax(axis=1)
    return most


def _held_out(keys: Keys, groups: _Groups, validation: int, test: int) -> NDArray[np.int8]:
    sides = np.full(len(keys), Side.TRAIN, np.int8)
    for side, count in ((Side.TEST, test), (Side.VALIDATION, validation)):
        left = count
        for label, share in _shares(groups, count).items():
            left -= _take(sides, side, groups, np.flatnonzero(groups.labels == label), share)
        _take(sides, side, groups, np.arange(len(groups)), left)  # what did not fit into its label's share
    return sides


def _shares(groups: _Groups, count: int) -> dict[int, int]:
    """`count` dealt out to the labels in proportion, the largest remainders first."""
    sizes = {int(label): int(groups.sizes[groups.labels == label].sum()) for label in np.unique(groups.labels)}
    whole = sum(sizes.values()) or 1
    shares = {label: count * size // whole for label, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda label: (-(count * sizes[label] % whole), label))
    for label in by_remainder[: count - sum(shares.values())]:
        shares[label] += 1
    return shares


def _take(sides: NDArray[np.int8], side: Side, groups: _Groups, wanted: NDArray[np.int64], count: int) -> int:
    """Give whole groups that are still free to a side while they fit. Returns how many examples that are."""
    taken = 0
    for number in map(int, wanted):
        if taken >= count:
            break
        places = groups[number]
        if taken + len(places) <= count and sides[places[0]] == Side.TRAIN:
            sides[places] = side
            taken += len(places)
    return taken
