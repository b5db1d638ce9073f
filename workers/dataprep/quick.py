"""The quick way through plain lines: it proves, many lines at a time, that no check can find anything in them.

What it cannot prove goes the exact way (`workers.dataprep.judge`), line by line. So the two never disagree: this one
only saves time. A plain line is a conversation of an optional system message and turns of user and assistant, all of
them text, with no other keys; or one prompt with its completion. Lines with tools are proven by `calling`, one by one.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from workers.dataprep import calling, fingerprints, json_structure
from workers.dataprep.calling import PROBLEMS, Text
from workers.dataprep.fingerprints import ROLES, Hashes
from workers.dataprep.json_values import BIG_LINE_BYTES

SYSTEM, DEVELOPER, USER, ASSISTANT, TOOL = map(ROLES.index, ("system", "developer", "user", "assistant", "tool"))
Places = npt.NDArray[np.int64]
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

    places: Places
    """Where in the batch each example's line is."""
    texts: list[str]
    """Each message's content, empty for none."""
    roles: npt.NDArray[np.int8]
    starts: Places
    told: Sequence[calling.Told] = ()
    """More about each example, where they have to do with tools."""

    @property
    def lengths(self) -> Places:
        """How many messages each example has."""
        return np.diff(self.starts, append=len(self.texts))

    def fingerprints(self) -> tuple[Hashes, Hashes]:
        """Each example's hash, and that of its prompt."""
        if not self.told:
            return fingerprints.combine(fingerprints.of_texts(self.texts), self.roles, self.starts)
        words = [one for told in self.told for one in told.words]
        whole, prompt = fingerprints.combine(fingerprints.of_texts(words), self.roles, self.starts)
        tools = fingerprints.of_declared([told.declared.compared for told in self.told])
        return whole + tools, prompt + tools


_DECODE: dict[str, Callable[[bytes], Any]] = {
    "openai-chat": msgspec.json.Decoder(_Chat).decode,
    "prompt-completion": msgspec.json.Decoder(_Pair).decode,
}


class Proof(NamedTuple):
    """Examples, whether each is good, and how many quotes its line has if no key stands twice."""

    proven: Proven
    good: npt.NDArray[np.bool_]
    quotes: Places


_messages = operator.attrgetter("messages")
_content = operator.attrgetter("content")
_role = operator.attrgetter("role")


def has_shape(format_id: str) -> bool:
    """Whether lines of this format may be plain ones."""
    return format_id in _DECODE


def prove(
    format_id: str, data: bytes, lines: Sequence[bytes | None], doubtful: frozenset[int] = frozenset()
) -> tuple[list[Proven], list[int]]:
    """What can be proved of these lines, and the places of the others: the `doubtful` ones are among them.

    `data` is all their bytes.
    """
    decoded, values, failed = _decoded(_DECODE[format_id], lines)
    proofs = [_plain(format_id, decoded, values)] if values else []
    if format_id == "openai-chat" and failed:
        proofs.append(_with_tools(lines, failed))
    sure = np.ones(len(lines), np.bool_)
    sure[list(doubtful)] = False
    if len(data) > BIG_LINE_BYTES:
        sure &= np.fromiter((len(line or b"") <= BIG_LINE_BYTES for line in lines), np.bool_, len(lines))
    left = np.ones(len(lines), np.bool_)
    found = []
    for proof in proofs:
        places = proof.proven.places
        found.append(_kept(proof.proven, proof.good & sure[places] & _said_once(data, lines, places, proof.quotes)))
        left[found[-1].places] = False
    return found, np.flatnonzero(left).tolist()


def _plain(format_id: str, places: list[int], values: list[Any]) -> Proof:
    """What can be proved of lines in the plain shape."""
    if format_id == "openai-chat":
        nested = list(map(_messages, values))
        lengths = np.fromiter(map(len, nested), np.int64, len(nested))
        flat = [message for messages in nested for message in messages]
        texts = list(map(_content, flat))
        roles = np.fromiter(map(_CODES.__getitem__, map(_role, flat)), np.int8, len(flat))
        strings = 1 + 4 * lengths
    else:
        lengths = np.full(len(values), 2, np.int64)
        texts = [text for value in values for text in (value.prompt, value.completion)]
        roles = np.tile(np.array([USER, ASSISTANT], np.int8), len(values))
        strings = 2 * lengths
    starts = np.cumsum(lengths) - lengths
    good = _in_turns(roles, starts, lengths) & _are_words(texts, starts)
    return Proof(Proven(np.array(places, np.int64), texts, roles, starts), good, 2 * strings)


def _with_tools(lines: Sequence[bytes | None], places: Sequence[int]) -> Proof:
    """What can be proved of lines that are not in the plain shape."""
    proofs = ((place, calling.prove(lines[place] or b"")) for place in places)
    found = {place: told for place, told in proofs if told is not None}
    told = list(found.values())
    lengths = np.fromiter((len(one.roles) for one in told), np.int64, len(told))
    starts = np.cumsum(lengths) - lengths
    texts = [text for one in told for text in one.texts]
    roles = np.array([role for one in told for role in one.roles], np.int8)
    proven = Proven(np.array(list(found), np.int64), texts, roles, starts, told)
    return Proof(proven, _are_words(texts, starts), np.array([one.quotes for one in told], np.int64))


def _are_words(texts: list[str], starts: Places) -> npt.NDArray[np.bool_]:
    """Whether none of an example's texts are nothing but spaces, or have NUL characters."""
    good = np.ones(len(starts), np.bool_)
    if any(map(str.isspace, texts)):
        good &= ~np.logical_or.reduceat(np.fromiter(map(str.isspace, texts), np.bool_, len(texts)), starts)
    if "\x00" in "".join(texts):
        good &= ~np.logical_or.reduceat(np.array(["\x00" in text for text in texts]), starts)
    return good


def _decoded(decode: Callable[[bytes], Any], lines: Sequence[bytes | None]) -> tuple[list[int], list[Any], list[int]]:
    """The lines that are in the shape, with their places; and the places of the others."""
    try:
        return list(range(len(lines))), list(map(decode, lines)), []  # type: ignore[arg-type]  # None: see below
    except (*PROBLEMS, TypeError):
        pass
    places, values, failed = [], [], []
    for place, line in enumerate(lines):
        try:
            if line is None:
                failed.append(place)
                continue
            values.append(decode(line))
        except PROBLEMS:
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


def _said_once(data: bytes, lines: Sequence[bytes | None], places: Places, wanted: Places) -> npt.NDArray[np.bool_]:
    """Whether no key stands twice: a decoder would keep the last in silence.

    A decoded line has two quotes for each of its keys and texts, `wanted` in all; it has more only if it has more keys.
    """
    if len(places) == len(lines) and json_structure.quotes(data) == wanted.sum():
        return np.ones(len(places), np.bool_)
    found = (json_structure.quotes(lines[place] or b"") for place in places.tolist())
    same: npt.NDArray[np.bool_] = np.fromiter(found, np.int64, len(places)) == wanted
    return same


def _kept(proven: Proven, good: npt.NDArray[np.bool_]) -> Proven:
    """The good ones of these examples."""
    if good.all():
        return proven
    lengths = proven.lengths
    mask = np.repeat(good, lengths)
    texts = list(compress(proven.texts, mask.tolist()))
    starts = np.cumsum(lengths[good]) - lengths[good]
    told = tuple(compress(proven.told, good.tolist()))
    return Proven(proven.places[good], texts, proven.roles[mask], starts, told)
