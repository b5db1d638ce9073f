"""Untrusted text made harmless before Slack shows it: nobody is pinged, nothing is fetched, no markup leaks.

People's file names, vendors' words and every model's output come through here.
"""

import re

_BREAK = "\N{ZERO WIDTH SPACE}"
_PING = re.compile(r"<(?=[!@#])")
_IMAGE = re.compile(r"!(?=\[)")
_HELD = ("<", "!")
_HALF_ENTITY = re.compile(r"&[a-z]{0,3}\Z")
_MARKS = str.maketrans({"*": "\N{ASTERISK OPERATOR}", "_": "\N{MODIFIER LETTER LOW MACRON}", "~": "\N{TILDE OPERATOR}"})
_MARK_AT_AN_EDGE = re.compile(r"(?<![^\W_])[*_~]+|[*_~]+(?![^\W_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


def mrkdwn(text: str, most: int = 2900) -> str:
    """For text objects of type mrkdwn: shown as it is, without formatting, links or mentions.

    A mark within a word formats nothing and stays, so that names can be copied; one at a word's edge becomes a sign
    that looks like it.
    """
    text = _CONTROL.sub("", text)[: most + 1].replace("`", "ˋ")
    text = _MARK_AT_AN_EDGE.sub(lambda found: found[0].translate(_MARKS), text)
    return cut_escaped(_entities(text), most)


def code(text: str, most: int = 2900) -> str:
    """For the inside of a code span or block."""
    return cut_escaped(_entities(_CONTROL.sub("", text)[: most + 1].replace("`", "ˋ")), most)


def plain(text: str, most: int = 150) -> str:
    """For text objects of type plain_text: one line, never longer than `most`."""
    return cut(" ".join(_CONTROL.sub("", text).split()), most) or "–"


def cut(text: str, most: int) -> str:
    """At most so many characters, the last one an ellipsis if any are missing."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def cut_escaped(text: str, most: int) -> str:
    """The same for text that is escaped already: never through one of its signs, such as &amp;."""
    return text if len(text) <= most else f"{_HALF_ENTITY.sub('', text[: most - 1])}…"


def _entities(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class MarkdownStream:
    """Makes a model's Markdown harmless piece by piece; what a piece's end may begin is held back."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, text: str) -> str:
        """The harmless part that can be shown now."""
        text = self._held + text
        self._held = text[-1] if text.endswith(_HELD) else ""
        return _harmless(text[: len(text) - len(self._held)])

    def end(self) -> str:
        """What was still held back."""
        rest, self._held = self._held, ""
        return rest


def markdown(text: str) -> str:
    """A whole Markdown text made harmless."""
    stream = MarkdownStream()
    return stream.feed(text) + stream.end()


def _harmless(text: str) -> str:
    text = _PING.sub(f"<{_BREAK}", _CONTROL.sub("", text))
    return _IMAGE.sub("", text)


def from_slack(text: str) -> str:
    """What a person typed, from the text of Slack's event."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
