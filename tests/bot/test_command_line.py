import pytest

from bot.command_line import (
    Cancel,
    DataAdd,
    DataDelete,
    DataDiff,
    DataList,
    DataShow,
    Help,
    Start,
    Status,
    parse,
)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("start", Start()),
        ("  START now", Start()),
        ("new", Start()),
        ("status", Status()),
        ("list", Status()),
        ("cancel 12", Cancel(12)),
        ("stop #12", Cancel(12)),
        ("help", Help()),
        ("", Help()),
    ],
)
def test_known_commands(text: str, command: object):
    assert parse(text) == command


def test_a_typo_is_hinted_at():
    said = parse("statsu")
    assert isinstance(said, Help)
    assert "Did you mean “status”?" in said.intro


def test_nonsense_is_named_and_cut():
    said = parse("x" * 500)
    assert isinstance(said, Help)
    assert len(said.intro) < 100


@pytest.mark.parametrize("text", ["cancel", "cancel it", "cancel 1 2", "cancel -3", "cancel 99999999999"])
def test_cancel_wants_a_number(text: str):
    said = parse(text)
    assert isinstance(said, Help)
    assert "Which run?" in said.intro


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("data", DataList()),
        ("data list", DataList()),
        ("datasets", DataList()),
        ("data show recipes.jsonl", DataShow("recipes.jsonl")),
        ("data show my file.csv v2", DataShow("my file.csv v2")),
        ("DATA DIFF 3 5", DataDiff("3", "5")),
        ("data delete #3", DataDelete("#3")),
        ("data remove 3", DataDelete("3")),
        ("data add hf:owner/name@1a2b", DataAdd("hf:owner/name@1a2b")),
        ("data hf:owner/name@1a2b", DataAdd("hf:owner/name@1a2b")),
    ],
)
def test_words_about_data(text: str, command: object):
    assert parse(text) == command


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("data show", "data show 3"),
        ("data delete", "data delete 3"),
        ("data diff 3", "data diff 3 5"),
        ("data diff 1 2 3", "data diff 3 5"),
        ("data add", "hf:owner/name@"),
        ("data shwo 3", "Did you mean “data show”?"),
        ("data " + "x" * 500, "There are data show"),
    ],
)
def test_half_a_command_about_data_is_completed(text: str, hint: str):
    said = parse(text)
    assert isinstance(said, Help)
    assert hint in said.intro
    assert len(said.intro) < 250
