import pytest
import torch

from providers.local.training import batches


def example(length, first=0):
    return {"input_ids": list(range(first, first + length)), "labels": list(range(first, first + length))}


def test_a_flat_batch_has_every_token_once_and_places_that_begin_anew():
    batch = batches.FlatCollator()([example(3), example(2, 10)])
    assert batch["input_ids"].tolist() == [[0, 1, 2, 10, 11]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1]]
    assert batch["labels"].tolist() == [[-100, 1, 2, -100, 11]]


def test_packing_keeps_every_example_whole_and_fills_rows():
    columns = {"input_ids": [[1] * 5, [2] * 3, [3] * 7, [4] * 2], "labels": [[1] * 5, [2] * 3, [3] * 7, [4] * 2]}
    rows = batches.packed(columns, 10)
    assert sorted(map(len, rows["input_ids"])) == [7, 10]
    assert sorted(token for row in rows["input_ids"] for token in row) == sorted([1] * 5 + [2] * 3 + [3] * 7 + [4] * 2)
    assert rows["position_ids"][1] == [0, 1, 2, 3, 4, 0, 1]


def test_how_much_is_padding():
    assert batches.padding([4, 4, 4, 4], 2) == 0
    assert batches.padding([1, 3], 2) == pytest.approx(1 / 3)
    assert batches.padding([], 2) == 0


def test_halves_are_cut_between_examples():
    flat = batches.FlatCollator()([example(3), example(2, 10), example(4, 20)])
    left, right = batches.halves(flat)
    assert left["input_ids"].tolist() == [[0, 1, 2]]
    assert right["position_ids"].tolist() == [[0, 1, 0, 1, 2, 3]]
    assert batches.halves(left) is None
    padded = {"input_ids": torch.ones(3, 4), "labels": torch.ones(3, 4)}
    assert [len(part["labels"]) for part in batches.halves(padded)] == [1, 2]
