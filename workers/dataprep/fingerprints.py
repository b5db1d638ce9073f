"""Numbers that tell examples apart: equal for equal content, whatever the key order and spacing of the file."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import xxhash

from workers.dataprep.example import Example, Message

Hashes = npt.NDArray[np.uint64]
ROLES = ("system", "developer", "user", "assistant", "tool")
"""The roles of most conversations; their places are their numbers."""
_CODES = {role: code for code, role in enumerate(ROLES)}
_ROLE = np.uint64(0x9E3779B97F4A7C15)
_PLACE = np.uint64(0xD6E8FEB86659FD93)
_OWN = np.uint64(0x94D049BB133111EB)
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_SHIFT = np.uint64(29)


def of_texts(texts: Sequence[str]) -> Hashes:
    """Each text's own 64-bit hash."""
    return np.fromiter(map(xxhash.xxh3_64_intdigest, map(str.encode, texts)), np.uint64, len(texts))


def combine(hashes: Hashes, roles: npt.NDArray[np.int8], starts: npt.NDArray[np.int64]) -> tuple[Hashes, Hashes]:
    """Of the messages' hashes: each example's, and that of its prompt (all but the last message).

    `starts` is where each example's messages begin; none may be empty.
    """
    lengths = np.diff(starts, append=len(hashes))
    places = np.arange(len(hashes)) - np.repeat(starts, lengths)
    mixed = mix(hashes + roles.astype(np.uint64) * _ROLE + places.astype(np.uint64) * _PLACE)
    whole = np.add.reduceat(mixed, starts)
    return whole, whole - mixed[starts + lengths - 1]


def mix(values: Hashes) -> Hashes:
    """Spread the bits."""
    values = (values ^ (values >> _SHIFT)) * _MIX
    return values ^ (values >> _SHIFT)


def of_examples(examples: Sequence[Example]) -> tuple[Hashes, Hashes]:
    """Each example's hash and that of its prompt, as `combine` gives them for plain conversations.

    Where there is no prompt (plain text) or no answer, a number of the example's own stands for it: such an example
    contradicts nothing.
    """
    whole = _combined([one.messages for one in examples])
    asked = np.array([bool(one.prompt) and _answers(one) for one in examples], np.bool_)
    prompt = np.where(asked, _combined([one.prompt for one in examples]), mix(whole + _OWN))
    answered = [_json(_beside(one)) if _beside(one) else "" for one in examples]
    declared = [of_tools(one.tools) for one in examples]
    if any(answered):
        whole += of_texts(answered) * np.array([bool(one) for one in answered], np.uint64)
    if any(declared):
        tools = of_declared(declared)
        whole, prompt = whole + tools, prompt + tools
    return whole, prompt


def of_tools(tools: Sequence[Mapping[str, Any]]) -> str:
    """What tells declared tools from others; empty for none."""
    return _json(tools) if tools else ""


def of_declared(declared: Sequence[str]) -> Hashes:
    """What each example's declared tools (as `of_tools` tells them) add to its hash and to its prompt's: 0 for none."""
    return of_texts(declared) * np.array([bool(one) for one in declared], np.uint64)


def _answers(example: Example) -> bool:
    return any(one.content or one.extra for one in example.answers)


def _beside(example: Example) -> list[Any]:
    """What an example has beside its messages; empty for nothing."""
    if not example.rejected and example.label is None and not example.reference:
        return []
    return [[words(one) for one in example.rejected], example.label, example.reference]


def _combined(conversations: Sequence[Sequence[Message]]) -> Hashes:
    """The hash of each of these conversations; 0 for an empty one."""
    flat = [message for messages in conversations for message in messages]
    lengths = np.fromiter(map(len, conversations), np.int64, len(conversations))
    hashes: Hashes = np.zeros(len(conversations), np.uint64)
    if flat:
        roles = np.fromiter((_CODES.get(one.role, len(ROLES)) for one in flat), np.int8, len(flat))
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])[lengths > 0]
        hashes[lengths > 0] = combine(of_texts(list(map(words, flat))), roles, starts)[0]
    return hashes


def words(message: Message) -> str:
    """What tells a message from others of its role."""
    if isinstance(message.content, str) and not message.extra:
        return _storable(message.content)
    return _json([message.content, *message.extra.items()])


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:  # what only the exact parser reads, such as half a character
        return _storable(json.dumps(value, sort_keys=True, default=str))


def _storable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
