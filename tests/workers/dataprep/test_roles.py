"""Which of the files of one message is learnt from."""

import pytest

from workers.dataprep.roles import guess
from workers.tables import DatasetRole


def test_the_cookbooks_two_files(examples):
    train, test = guess([("cookbook_recipe_training.jsonl", 101), ("cookbook_recipe_validation.jsonl", 100)])
    assert (train.role, test.role) == (DatasetRole.TRAIN, DatasetRole.TEST)
    assert "training" in train.reason
    assert "validation" in test.reason


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([("test.jsonl", 5)], ["train"]),
        ([("val.jsonl", 5), ("Train.JSONL", 2), ("test.jsonl", 5)], ["validation", "train", "test"]),
        ([("a.jsonl", 5), ("b.jsonl", 50)], ["test", "train"]),
        ([("a.jsonl", 5), ("b.jsonl", 5)], ["train", "test"]),
        ([("eval.jsonl", 500), ("data.jsonl", 5)], ["test", "train"]),
        ([("trainers.jsonl", 1), ("contest.jsonl", 2)], ["test", "train"]),
        ([("test.jsonl", 1), ("holdout.jsonl", 2)], ["test", "train"]),
        ([("train.jsonl", 1), ("more.jsonl", 2)], ["train", "train"]),
        ([("train.jsonl", 1), ("dev.jsonl", 2)], ["train", "test"]),
    ],
)
def test_roles_by_name_and_then_by_size(files, expected):
    guesses = guess(files)
    assert [one.role for one in guesses] == expected
    assert all(one.reason for one in guesses)
