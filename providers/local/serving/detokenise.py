"""Tokens into text as they come, without broken characters; and the end at a stop text."""

from collections.abc import Sequence
from typing import Any

_BROKEN = "\N{REPLACEMENT CHARACTER}"
_LONGEST_CHARACTER = 4
"""Tokens: with so many bytes or more that are no text, more will not help."""


class TextStream:
    """The text of one answer, given out piece by piece."""

    def __init__(self, tokenizer: Any, stops: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._stops = tuple(filter(None, stops))
        self._tokens: list[int] = []
        self._begin = 0  # decoding starts here, for what a token looks like depends on the one before it
        self._done = 0  # tokens whose text has been taken
        self._held = ""  # may be the beginning of a stop text
        self.stopped = False

    def add(self, token: int) -> str:
        """The text that is certain now."""
        self._tokens.append(token)
        return self._release(self._new_text())

    def finish(self) -> str:
        """Whatever was held back."""
        rest = self._release(self._new_text(last=True))
        held, self._held = self._held, ""
        return rest if self.stopped else rest + held

    def _new_text(self, *, last: bool = False) -> str:
        before = self._decode(self._tokens[self._begin : self._done])
        now = self._decode(self._tokens[self._begin :])
        unfinished = now.endswith(_BROKEN) and len(self._tokens) - self._done < _LONGEST_CHARACTER
        if len(now) <= len(before) or (unfinished and not last):
            return ""
        self._begin, self._done = self._done, len(self._tokens)
        return now[len(before) :]

    def _decode(self, tokens: list[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _release(self, text: str) -> str:
        if not self._stops or self.stopped:
            return "" if self.stopped else text
        self._held += text
        found = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            out, self._held = self._held[: min(found)], ""
            return out
        keep = max((n for stop in self._stops for n in range(1, len(stop)) if self._held.endswith(stop[:n])), default=0)
        cut = len(self._held) - keep
        out, self._held = self._held[:cut], self._held[cut:]
        return out
