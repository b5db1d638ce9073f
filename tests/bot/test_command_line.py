import pytest

from bot.command_line import Cancel, Help, Start, Status, parse


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
