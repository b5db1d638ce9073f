"""How JSON spells characters as escapes, for those who search in its bytes without parsing them."""

import re

import numpy as np

_ESCAPED = re.compile(rb"\\u00(?:2[1345689a-fA-F]|3[0-9a-bdfA-BDF]|[4-7])")
_ESCAPE = re.compile(rb'\\(?:u00([2-7][0-9a-fA-F])|u[0-9a-fA-F]{4}|(["\\/])|[nrtbf])')


def hides_ascii(chunk: bytes) -> bool:
    r"""Whether an ASCII letter, digit or sign (but for quotes, < and >) is spelt \u00XX somewhere in these bytes."""
    return b"\\u00" in chunk and _ESCAPED.search(chunk) is not None


def has_unicode(chunk: bytes) -> bool:
    r"""Whether a character may be spelt \uXXXX somewhere in these bytes: as a search, but several times as fast."""
    letters = np.frombuffer(chunk, np.uint8)
    return bool(((letters[:-1] == ord("\\")) & (letters[1:] == ord("u"))).any())


def plain(window: bytes) -> bytes:
    """The bytes with ASCII escapes as what they mean, and every other escape as a line's end."""
    return _ESCAPE.sub(_meant, window) if b"\\" in window else window


def _meant(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return bytes.fromhex(match[1].decode())
    return match[2] or b"\n"
