"""The keys and values of a running batch, in memory that is taken ahead: a step copies only what is new."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import cache_utils

_ROOM = 64
"""Memory for so many further tokens is taken at once."""
_Layer: Any = cache_utils.DynamicLayer
_Cache: Any = cache_utils.Cache


class GrowingLayer(_Layer):  # type: ignore[misc]
    """One layer's part."""

    keys: torch.Tensor
    values: torch.Tensor
    _store: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add the new keys and values at the end; returns all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.hold(key_states, value_states)
            return self.keys, self.values
        begin = self.keys.shape[-2]
        end = begin + key_states.shape[-2]
        if self._store is None or end > self._store[0].shape[-2]:
            self._store = (_roomy(self.keys, end + _ROOM), _roomy(self.values, end + _ROOM))
        keys, values = self._store
        keys[:, :, begin:end] = key_states
        values[:, :, begin:end] = value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values

    def hold(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Hold these instead."""
        self.keys, self.values, self._store = keys, values, None


class GrowingCache:
    """All layers. Rows are aligned at their right ends."""

    def __init__(self, layers: int) -> None:
        self.layers = [GrowingLayer() for _ in range(layers)]
        self.for_model = _Cache(layers=self.layers)

    def begin(self, keys: Sequence[torch.Tensor], values: Sequence[torch.Tensor], rows: int) -> None:
        """Let so many rows begin with these keys and values, by layer, which they have in common."""
        for one, key, value in zip(self.layers, keys, values, strict=True):
            one.lazy_initialization(key, value)
            one.hold(key.expand(rows, -1, -1, -1), value.expand(rows, -1, -1, -1))

    def row(self, place: int, tokens: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """A copy of one row's keys and values at these tokens, by layer."""
        keys = [one.keys[place : place + 1, :, tokens] for one in self.layers]
        return keys, [one.values[place : place + 1, :, tokens] for one in self.layers]

    def append(self, other: "GrowingCache", length: int, order: Sequence[int]) -> None:
        """Put the rows of another one below these, all padded on the left to `length`; then put all in this order."""
        for one, new in zip(self.layers, other.layers, strict=True):
            index = torch.tensor(order, device=one.keys.device)
            keys = torch.cat([_left(one.keys, length), _left(new.keys, length)])
            values = torch.cat([_left(one.values, length), _left(new.values, length)])
            one.hold(keys[index], values[index])

    def keep(self, rows: Sequence[int], begin: int) -> None:
        """Keep these rows only, from the place `begin` on."""
        for one in self.layers:
            index = torch.tensor(rows, device=one.keys.device)
            one.hold(one.keys[index, :, begin:], one.values[index, :, begin:])


def _roomy(held: torch.Tensor, length: int) -> torch.Tensor:
    store = held.new_empty((*held.shape[:2], length, held.shape[3]))
    store[:, :, : held.shape[2]] = held
    return store


def _left(held: torch.Tensor, length: int) -> torch.Tensor:
    return torch.nn.functional.pad(held, (0, 0, length - held.shape[2], 0))
