"""What was read before and need not be read again: a conversation's earlier turns, a system prompt.

When an answer ends, its keys and values are kept with the tokens they belong to. A later question to the same model
that begins with the same tokens is read from there on. What was used longest ago goes first.
"""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from providers.local.serving.adapters import Adapter

SHARE = 1 / 16
"""Of the model's own memory."""
LEAST_TOKENS = 8
"""A shorter beginning is not worth it."""


@dataclass(frozen=True)
class Prefix:
    """The keys and values of some tokens, by layer: 1, heads, tokens, width."""

    tokens: Sequence[int]
    keys: Sequence[torch.Tensor]
    values: Sequence[torch.Tensor]

    @property
    def bytes(self) -> int:
        """Of memory."""
        return sum(one.numel() * one.element_size() for one in (*self.keys, *self.values))

    def first(self, length: int) -> "Prefix":
        """So many tokens of it; nothing is copied."""
        keys, values = ([one[:, :, :length] for one in some] for some in (self.keys, self.values))
        return Prefix(self.tokens[:length], keys, values)


class Prefixes:
    """Those of one base model and its adapters."""

    def __init__(self, room: int) -> None:
        """Keep `room` bytes of them."""
        self._room = room
        self._kept: list[tuple[weakref.ref[Adapter] | None, Prefix]] = []  # the oldest use first

    def keep(self, adapter: Adapter | None, prefix: Prefix) -> None:
        """Keep one for later, in place of those that it goes on from."""
        if prefix.bytes > self._room:
            return
        length = len(prefix.tokens)
        self._kept = [
            (owner, one)
            for owner, one in self._kept
            if (owner is None or owner() is not None)
            and not (_is(owner, adapter) and list(one.tokens) == list(prefix.tokens[: min(len(one.tokens), length)]))
        ]
        self._kept.append((None if adapter is None else weakref.ref(adapter), prefix))
        while sum(one.bytes for _, one in self._kept) > self._room:
            self._kept.pop(0)

    def longest(self, adapter: Adapter | None, prompts: Sequence[Sequence[int]]) -> Prefix | None:
        """The longest beginning that all these prompts have in common with one that is kept; never a whole prompt."""
        best, length = -1, LEAST_TOKENS - 1
        for place, (owner, one) in enumerate(self._kept):
            if _is(owner, adapter):
                shared = min(_shared(one.tokens, prompt[:-1]) for prompt in prompts)
                if shared > length:
                    best, length = place, shared
        if best < 0:
            return None
        self._kept.append(self._kept.pop(best))
        return self._kept[-1][1].first(length)


def _is(owner: "weakref.ref[Adapter] | None", adapter: Adapter | None) -> bool:
    return adapter is None if owner is None else owner() is adapter and adapter is not None


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens they begin with alike."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
