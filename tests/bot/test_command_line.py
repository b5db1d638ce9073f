import pytest

from bot.command_line import (
    Cancel,
    DataAdd,
    DataDelete,
    DataDiff,
    DataList,
    DataShow,
    Help,
    Keys,
    Pause,
    Resume,
    Show,
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
        ("cancel run 12", Cancel(12)),
        ("pause 12", Pause(12)),
        ("Hold #12", Pause(12)),
        ("resume 12", Resume(12)),
        ("continue #12", Resume(12)),
        ("show 12", Show(12)),
        ("run 12", Show(12)),
        ("keys", Keys()),
        ("KEYS please", Keys()),
        ("credentials", Keys()),
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


@pytest.mark.parametrize("name", ["cancel", "pause", "resume", "show"])
@pytest.mark.parametrize("rest", ["", "it", "1 2", "-3", "99999999999", "run", "run run 1"])
def test_what_is_done_to_a_run_wants_a_number(name: str, rest: str):
    said = parse(f"{name} {rest}")
    assert isinstance(said, Help)
    assert f"Which run? Its number is on its card, as in: /finetune {name} 12" in said.intro


def test_a_dataset_that_is_to_be_shown_is_pointed_to():
    said = parse("show recipes.jsonl")
    assert isinstance(said, Help)
    assert "/finetune data show NAME" in said.intro


@pytest.mark.parametrize(("typed", "meant"), [("kyes", "keys"), ("paus 3", "pause"), ("resum 3", "resume")])
def test_typos_of_the_newer_words_are_hinted_at(typed: str, meant: str):
    said = parse(typed)
    assert isinstance(said, Help)
    assert f"Did you mean “{meant}”?" in said.intro


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
