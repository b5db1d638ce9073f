"""Mojibake: UTF-8 text that was once read as Windows-1252 ("cafÃ©" for "café"), and characters that were lost.

What can be turned back is; the sign � stands where nothing is left to turn back.
"""

import re
from collections.abc import Iterator

from workers.dataprep.checks.escapes import has_unicode
from workers.dataprep.checks.spans import Span, apart, replaced

LOST = "\ufffd"
KIND = "mojibake"
MOST_PASSES = 12
"""Each misreading at least doubles the length, so that more cannot be in a text of sensible size."""


def _meant() -> dict[str, int]:
    """The bytes 80 to FF by the character that Windows-1252 (and, where it has none, Latin-1) shows for them."""
    table = {}
    for code in range(0x80, 0x100):
        table[chr(code)] = code
        shown = bytes([code]).decode("cp1252", "replace")
        if shown != LOST:
            table[shown] = code
    return table


_BYTES = _meant()
_ANY = "".join(re.escape(sign) for sign, code in _BYTES.items() if code < 0xC0)
_SURE = "".join(re.escape(sign) for sign, code in _BYTES.items() if code < 0xC0 and sign not in "‘’“”‚„–—…•«»")
_PATTERN = re.compile(
    rf"(?:[ÃÂ][{_SURE}]|â[{_ANY}]{{2}}|ðŸ[{_ANY}]{{2}}|ð\x9f[{_ANY}]{{2}}|ï»¿|ï¿½)"  # Western, signs, emoji
    rf"|(?:[ÃÂÄÅÐÑÎÏ][{_ANY}]){{3,}}"  # Eastern European, Cyrillic, Greek
    rf"|(?:[à-ï][{_ANY}]{{2}}){{2,}}"  # the scripts of Asia
)
_SUSPECT = re.compile(rb"\xc3[\x82\x83\x84\x85\x8e\x8f\x90\x91\xa0-\xb0](?:\xc2[\x80-\xbf]|\xc5|\xc6|\xcb|\xe2|\\u)")
_SUSPECT_ESCAPED = re.compile(rb"\\u00[c-fC-F][0-9a-fA-F](?:\\u|\xc2|\xc5|\xc6|\xcb|\xe2)")
_LOST = re.compile(rb"\\u[fF]{3}[dD]")


def find(text: str) -> Iterator[Span]:
    """Every row of characters that is the misreading of others, in order and apart."""
    if not text.isascii():
        yield from apart(
            Span(KIND, *match.span()) for match in _PATTERN.finditer(text) if _read_right(match[0]) is not None
        )


def repair(text: str) -> str:
    """The text as it was before it was misread."""
    for _ in range(MOST_PASSES):
        spans = list(find(text))
        if not spans:
            break
        text = replaced(text, spans, lambda span: _read_right(text[span.start : span.end]) or "")  # noqa: B023 (used at once)
    return text


def may_have(chunk: bytes) -> bool:
    """Whether mojibake or lost characters may stand in these bytes of JSON lines."""
    if (b"\xef" in chunk and b"\xef\xbf\xbd" in chunk) or (b"\xc3" in chunk and _SUSPECT.search(chunk)):
        return True
    return has_unicode(chunk) and bool(_SUSPECT_ESCAPED.search(chunk) or _LOST.search(chunk))


def _read_right(misread: str) -> str | None:
    try:
        text = bytes(_BYTES[sign] for sign in misread).decode("utf-8")
    except (KeyError, UnicodeDecodeError):
        return None
    return None if any("\x80" <= sign < "\xa0" for sign in text) else text
