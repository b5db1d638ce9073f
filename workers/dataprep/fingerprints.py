"""Numbers that tell examples apart: equal for equal content, whatever the key order and spacing of the file."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from workers.dataprep.example import Example, Message

Hashes = npt.NDArray[np.uint64]
ROLES = ("system", "developer", "user", "assistant")
"""The roles of plain conversations; their places are their numbers."""
_ROLE = np.uint64(0x9E3779B97F4A7C15)
_PLACE = np.uint64(0xD6E8FEB86659FD93)
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


def of_example(example: Example) -> tuple[int, int]:
    """The hash of an example and that of its prompt, as `combine` gives them for a plain conversation.

    Where there is no prompt (plain text), that of the example stands for it.
    """
    whole = _combined(example.messages)
    prompt = _combined(example.prompt) if example.prompt else whole
    if example.rejected or example.label is not None or example.reference:
        more = [[_words(one) for one in example.rejected], example.label, example.reference]
        whole = whole + of_texts([_json(more)])
    if example.tools:
        declared = of_texts([_json(example.tools)])
        whole, prompt = whole + declared, prompt + declared
    return int(whole[0]), int(prompt[0])


def _combined(messages: Sequence[Message]) -> Hashes:
    if not messages:
        return np.zeros(1, np.uint64)
    roles = np.array([ROLES.index(one.role) if one.role in ROLES else len(ROLES) for one in messages], np.int8)
    return combine(of_texts([_words(one) for one in messages]), roles, np.zeros(1, np.int64))[0]


def _words(message: Message) -> str:
    if isinstance(message.content, str) and not message.extra:
        return _storable(message.content)
    return _storable(_json([message.content, message.extra]))


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
