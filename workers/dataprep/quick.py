"""The quick way through plain lines: it proves, many lines at a time, that no check can find anything in them.

What it cannot prove goes the exact way (`workers.dataprep.judge`), line by line. So the two never disagree: this one
only saves time. A plain line is a conversation of an optional system message and turns of user and assistant, all of
them text, with no other keys; or one prompt with its completion.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from workers.dataprep import fingerprints
from workers.dataprep.example import Example, Message
from workers.dataprep.fingerprints import ROLES, Hashes

Text = Annotated[str, msgspec.Meta(min_length=1)]
SYSTEM, USER, ASSISTANT = ROLES.index("system"), ROLES.index("user"), ROLES.index("assistant")
_CODES = {role: code for code, role in enumerate(ROLES)}


class _Message(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    role: Literal["system", "developer", "user", "assistant"]
    content: Text


class _Chat(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    messages: Annotated[list[_Message], msgspec.Meta(min_length=2)]


class _Pair(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    prompt: Text
    completion: Text


@dataclass(frozen=True)
class Proven:
    """Plain examples of a batch, flattened: message i of example k is at `starts[k] + i` of `texts` and `roles`."""

    places: npt.NDArray[np.int64]
    """Where in the batch each example's line is."""
    texts: list[str]
    roles: npt.NDArray[np.int8]
    starts: npt.NDArray[np.int64]
    others: list[int]
    """The places of the lines that nothing was proved of."""

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """How many messages each example has."""
        return np.diff(self.starts, append=len(self.texts))

    def fingerprints(self) -> tuple[Hashes, Hashes]:
        """Each example's hash, and that of its prompt."""
        return fingerprints.combine(fingerprints.of_texts(self.texts), self.roles, self.starts)

    def example(self, number: int, line: int) -> Example:
        """The proven example of this number (from 0)."""
        start, length = int(self.starts[number]), int(self.lengths[number])
        return Example(
            tuple(Message(ROLES[self.roles[place]], self.texts[place]) for place in range(start, start + length)), line
        )


_DECODE: dict[str, Callable[[bytes], Any]] = {
    "openai-chat": msgspec.json.Decoder(_Chat).decode,
    "prompt-completion": msgspec.json.Decoder(_Pair).decode,
}
_PROBLEMS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_messages = operator.attrgetter("messages")
_content = operator.attrgetter("content")
_role = operator.attrgetter("role")


def has_shape(format_id: str) -> bool:
    """Whether lines of this format may be plain ones."""
    return format_id in _DECODE


def prove(format_id: str, data: bytes, lines: Sequence[bytes | None], doubtful: frozenset[int] = frozenset()) -> Proven:
    """What can be proved of these lines, but for those at the `doubtful` places; `data` is all their bytes."""
    places, values, failed = _decoded(_DECODE[format_id], lines)
    if not values:
        return Proven(np.zeros(0, np.int64), [], np.zeros(0, np.int8), np.zeros(0, np.int64), failed)
    if format_id == "openai-chat":
        nested = list(map(_messages, values))
        lengths = np.fromiter(map(len, nested), np.int64, len(nested))
        flat = [message for messages in nested for message in messages]
        texts = list(map(_content, flat))
        roles = np.fromiter(map(_CODES.__getitem__, map(_role, flat)), np.int8, len(flat))
    else:
        lengths = np.full(len(values), 2, np.int64)
        texts = [text for value in values for text in (value.prompt, value.completion)]
        roles = np.tile(np.array([USER, ASSISTANT], np.int8), len(values))
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    good = _in_turns(roles, starts, lengths)
    if any(map(str.isspace, texts)):
        blank = np.fromiter(map(str.isspace, texts), np.bool_, len(texts))
        good &= ~np.logical_or.reduceat(blank, starts)
    if any("\x00" in text for text in texts):
        good &= ~np.logical_or.reduceat(np.array(["\x00" in text for text in texts]), starts)
    good &= _said_once(data, lines, places, 1 + 4 * lengths if format_id == "openai-chat" else 2 * lengths)
    if doubtful:
        good &= np.fromiter((place not in doubtful for place in places), np.bool_, len(places))
    return _kept(np.array(places, np.int64), texts, roles, starts, lengths, good, failed)


def _decoded(decode: Callable[[bytes], Any], lines: Sequence[bytes | None]) -> tuple[list[int], list[Any], list[int]]:
    """The lines that are in the shape, with their places; and the places of the others."""
    try:
        return list(range(len(lines))), list(map(decode, lines)), []  # type: ignore[arg-type]  # None: see below
    except (*_PROBLEMS, TypeError):
        pass
    places, values, failed = [], [], []
    for place, line in enumerate(lines):
        try:
            if line is None:
                failed.append(place)
                continue
            values.append(decode(line))
        except _PROBLEMS:
            failed.append(place)
        else:
            places.append(place)
    return places, values, failed


def _in_turns(
    roles: npt.NDArray[np.int8], starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Whether each conversation is user and assistant in turns after at most one system message, answered at last."""
    headed = roles[starts] < USER
    place = np.arange(len(roles)) - np.repeat(starts + headed, lengths)
    wanted = np.where(place % 2 == 0, USER, ASSISTANT)
    right = (roles == wanted) | (place < 0)
    good: npt.NDArray[np.bool_] = np.logical_and.reduceat(right, starts)
    good &= ((lengths - headed) % 2 == 0) & (lengths > headed)
    return good


def _said_once(
    data: bytes, lines: Sequence[bytes | None], places: Sequence[int], strings: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Whether no key stands twice: a decoder would keep the last in silence.

    A decoded line has all its keys and values, `strings` of them, so two quotes for each of them at least; more only if
    there are more keys.
    """
    if len(places) == len(lines) and _quotes(data) == 2 * int(strings.sum()):
        return np.ones(len(places), np.bool_)
    return np.fromiter(
        (_quotes(lines[place] or b"") == 2 * wanted for place, wanted in zip(places, strings.tolist(), strict=True)),
        np.bool_,
        len(places),
    )


def _quotes(data: bytes) -> int:
    """How many quotes begin or end a string; -1 where that is not to be told from neighbours alone."""
    letters = np.frombuffer(data, np.uint8)
    quotes = letters == ord('"')
    slashes = letters[:-1] == ord("\\")
    if not slashes.any():
        return int(np.count_nonzero(quotes))
    if (slashes[:-1] & slashes[1:]).any():  # a backslash before a quote may itself be escaped
        return -1
    return int(np.count_nonzero(quotes) - np.count_nonzero(slashes & quotes[1:]))


def _kept(
    places: npt.NDArray[np.int64],
    texts: list[str],
    roles: npt.NDArray[np.int8],
    starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    good: npt.NDArray[np.bool_],
    failed: list[int],
) -> Proven:
    if good.all():
        return Proven(places, texts, roles, starts, failed)
    others = sorted([*failed, *places[~good].tolist()])
    mask = np.repeat(good, lengths)
    texts = [text for text, keep in zip(texts, mask.tolist(), strict=True) if keep]
    kept = lengths[good]
    starts = np.concatenate([[0], np.cumsum(kept)[:-1]]) if kept.size else np.zeros(0, np.int64)
    return Proven(places[good], texts, roles[mask], starts, others)
