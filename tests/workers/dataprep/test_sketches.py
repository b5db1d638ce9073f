"""What is kept of an example: little, whatever its length, and enough to tell what is nearly the same."""

import numpy as np
import pytest

from workers.dataprep import near, sketches
from workers.dataprep.example import Example, Message
from workers.dataprep.sketches import Sketches, batches

NOTHING = np.zeros(0, np.uint64)


def text(seed, length):
    return " ".join(f"w{(seed * 7919 + place * 104729) % 99991}" for place in range(length))


def example(*said, **more):
    return Example(tuple(Message("user", one) for one in said), **more)


def exactly(left, right):
    one, two = (set(near.pieces(*near.told([each]))[0].tolist()) for each in (left, right))
    return len(one & two) / len(one | two)


@pytest.mark.parametrize("length", [60, 400, 5000])
@pytest.mark.parametrize("cut", [0, 3, 8, 40])
def test_likeness_is_that_of_all_pieces(length, cut):
    whole = text(1, length)
    left = example(whole)
    right = example(whole[: len(whole) * (100 - cut) // 100])
    kept = Sketches.of([example("short"), left, right], NOTHING)
    assert len(kept[1]) <= sketches.MOST_PIECES
    assert kept.are_alike(1, 2) == (exactly(left, right) >= near.ALIKE)
    assert not kept.are_alike(0, 1)


def test_joined_and_rid_of_what_is_common_they_are_what_they_were():
    several = [[example(text(number, 30 * number)) for number in range(start, start + 5)] for start in (0, 5)]
    joined = Sketches.joined([Sketches.of(one, NOTHING) for one in several])
    assert len(joined) == 10
    whole = Sketches.of([*several[0], *several[1]], NOTHING)
    assert [joined[number].tolist() for number in range(10)] == [whole[number].tolist() for number in range(10)]
    common = np.sort(whole[2][::2])
    assert joined.without(common)[2].tolist() == whole[2][1::2].tolist()
    assert set(joined.without(common).owners.tolist()) == set(whole.owners.tolist())
    assert len(Sketches.joined([])) == 0


def test_a_batch_ends_where_its_examples_are_long_whatever_makes_them_long(monkeypatch):
    monkeypatch.setattr(sketches, "BATCH_CHARACTERS", 1000)
    assert [len(one) for one in batches([example("x")] * 1200)] == [500, 500, 200]
    assert [len(one) for one in batches([example("x" * 400)] * 6)] == [3, 3]
    picture = [{"type": "image_url", "image_url": {"url": "x" * 2000}}]
    for long in (example(picture), example("x", reference={"a": "x" * 2000}), example("x", extra={"a": ["x" * 2000]})):
        assert [len(one) for one in batches([long] * 3)] == [1, 1, 1]
    assert list(batches([])) == []
