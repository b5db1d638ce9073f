import re

from hypothesis import given
from hypothesis import strategies as st

from bot import escape

NASTY = st.text(alphabet=st.sampled_from(list("<!@#>|&*_~`[]()ab \n\x00\u202e")) | st.characters(), max_size=200)


@given(NASTY)
def test_mrkdwn_has_no_markup_left(text: str):
    shown = escape.mrkdwn(text)
    assert "<" not in shown
    assert ">" not in shown
    assert not re.search(r"&(?!amp;|lt;|gt;)", shown)


@given(NASTY)
def test_code_does_not_end_its_block(text: str):
    assert "`" not in escape.code(text)
    assert "<" not in escape.code(text)


@given(NASTY, st.lists(st.integers(1, 7), max_size=60))
def test_a_stream_is_as_harmless_as_the_whole_however_it_is_cut(text: str, cuts: list[int]):
    stream = escape.MarkdownStream()
    shown, at = "", 0
    for length in cuts:
        shown += stream.feed(text[at : at + length])
        at += length
    shown += stream.feed(text[at:]) + stream.end()
    assert not re.search(r"<[!@#]", shown)
    assert "![" not in shown
    assert shown == escape.markdown(text)


@given(NASTY, st.integers(1, 100))
def test_plain_is_one_short_line(text: str, most: int):
    shown = escape.plain(text, most)
    assert 1 <= len(shown) <= most
    assert "\n" not in shown


def test_ordinary_markdown_survives():
    text = "**Bold** and `code`:\n\n- a < b\n- wow! [link](https://example.com)"
    assert escape.markdown(text) == text


def test_what_people_type_comes_back():
    assert escape.from_slack("a &lt; b &amp;&amp; c &gt; d") == "a < b && c > d"


@given(NASTY, st.integers(1, 60))
def test_limits_hold_for_what_is_sent_and_cut_through_no_sign(text: str, most: int):
    for shown in (escape.mrkdwn(text, most), escape.code(text, most)):
        assert len(shown) <= most
        assert not re.search(r"&(?!amp;|lt;|gt;)", shown)


FORMATS = re.compile(r"`[^`\n]+`|(?<![^\W_])([*_~])(?=\S)[^\n]*?\S\1(?![^\W_])")
"""What Slack would draw bold, italic, struck through or as code."""


@given(st.text(alphabet=st.sampled_from(list("ab1é *_~`\u200b.-")), max_size=60))
def test_mrkdwn_formats_nothing(text: str):
    assert not FORMATS.search(escape.mrkdwn(text))


def test_a_name_can_be_copied_from_a_card():
    assert escape.mrkdwn("cookbook_recipe_training-2*3.jsonl") == "cookbook_recipe_training-2*3.jsonl"
