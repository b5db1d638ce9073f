"""A channel as text: Slack's markup reads as a person sees it."""

import pytest

from bot import transcript
from bot.blocks import hosting


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "until <!date^1795575600^{date_short_pretty} {time}|25 November, 03:00> or so",
            "until 25 November, 03:00 or so",
        ),
        ("<!date^1795575600^{ago}^https://example.com/x|03:00 UTC>, <!date^1^{time}|lately>", "03:00 UTC, lately"),
        ("*bold* &lt;!date^1^{ago}|x&gt; <https://example.com|there>", "bold <!date^1^{ago}|x> there"),
    ],
)
def test_markup_as_text(text, shown):
    assert transcript.plain(text) == shown


def test_the_bots_own_times():
    assert transcript.plain(f"{hosting.moment(0)}, {hosting.span(0)}") == "1970-01-01 00:00 UTC, 00:00 UTC"
