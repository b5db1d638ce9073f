"""What is no dataset is refused in the thread, in plain words, and the bot goes on."""

import pytest

from tests.acceptance.conftest import examples
from tests.acceptance.player import Player, has, said

pytestmark = pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.full)], indirect=True, scope="module"
)

GOOD = examples(12)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.jsonl", b"", "It is empty"),
        ("blank.jsonl", b"\n \n\n", "It is empty"),
        ("model.jsonl", b"\x7fELF\x02\x01\x01" + bytes(500), "It is a program"),
        ("noise.jsonl", b'{"a": 1}\x00\x00\xff\xfe' + bytes(range(256)), "binary"),
        ("login.jsonl", b"<!DOCTYPE html><html><body>Sign in</body></html>", "web page (HTML)"),
        ("large.jsonl", examples(400), "limit of 20,000 bytes"),
    ],
)
def test_no_dataset(player: Player, name: str, content: bytes, words: str):
    report = player.report(player.attach((name, content)))
    assert words in said(report)
    assert name in said(report)
    assert not has(report, "start_from_report")


def test_a_truncated_file_gets_a_report_with_the_line(player: Player):
    report = player.report(player.attach(("cut.jsonl", GOOD[:-25])))
    assert "Line 12" in said(report)
    assert "Not trainable yet" in said(report)
    assert not has(report, "start_from_report")


def test_one_bad_file_beside_a_good_one(player: Player):
    report = player.report(player.attach(("good.jsonl", GOOD), ("bad.jsonl", b"")))
    assert "1 of 2 files can be used" in said(report)
    assert has(report, "start_from_report")


def test_names_and_contents_ping_nobody(player: Player):
    nasty = GOOD + b'{"messages": [{"role": "<!channel>", "content": "<@U1> hi"}]}\n'
    report = player.report(player.attach(("<!here> *x* `y`.jsonl", nasty)))
    assert "<!" not in str(report["blocks"])
    assert "<@" not in str(report["blocks"])


def test_the_bot_goes_on(player: Player):
    report = player.report(player.attach(("after.jsonl", GOOD)))
    assert "Ready to train" in said(report)
