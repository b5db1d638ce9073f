"""Rows of different adapters in one pass through their base model.

The rows of an adapter stand together, so that each layer computes its own output once for all rows, and adds to each
stretch of them what that stretch's adapter says. Nothing is copied or gathered, however many adapters there are.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from providers.local.serving.adapters import Adapter, Part
from providers.local.settings import usable_cores

MOST_SLICES = 16


class Stretches:
    """Which rows are whose, for all layers of a model at once."""

    def __init__(self) -> None:
        self.now: list[tuple[int, int, Mapping[str, Part]]] = []

    def set(self, owners: Sequence[Adapter | None]) -> None:
        """From now on row number i answers as `owners[i]`; None is the base model."""
        self.now = []
        begin = 0
        for end in range(1, len(owners) + 1):
            if end == len(owners) or owners[end] is not owners[begin]:
                owner = owners[begin]
                if owner is not None:
                    self.now.append((begin, end, owner.parts))
                begin = end


class TunedLinear(nn.Module):
    """A linear layer that adds to each row what the row's adapter says."""

    def __init__(self, base: nn.Linear, name: str, stretches: Stretches) -> None:
        super().__init__()
        self.base = base
        self._name = name
        self._stretches = stretches
        self._slices = sliced(base.weight)

    @property
    def weight(self) -> torch.Tensor:
        """The base model's: some models look at it."""
        return self.base.weight

    @property
    def bias(self) -> torch.Tensor | None:
        """Likewise."""
        return self.base.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The base model's output with the adapters' changes, which are made in place."""
        out: torch.Tensor = self.base(x) if self._slices is None else self._by_slices(x, self._slices)
        for begin, end, parts in self._stretches.now:
            part = parts.get(self._name)
            if part is None:
                continue
            rows = out[begin:end].view(-1, out.shape[-1])
            low = nn.functional.linear(x[begin:end], part.down).view(-1, part.down.shape[0])
            if part.scale is not None and self.base.bias is not None:
                rows.sub_(self.base.bias)
            rows.addmm_(low, part.up)
            if part.scale is not None:
                rows.mul_(part.scale)
                if self.base.bias is not None:
                    rows.add_(self.base.bias)
        return out

    def _by_slices(self, x: torch.Tensor, slices: torch.Tensor) -> torch.Tensor:
        rows = x.reshape(1, -1, x.shape[-1]).expand(slices.shape[0], -1, -1)
        out = torch.bmm(rows, slices).transpose(0, 1).reshape(*x.shape[:-1], -1)
        return out if self.base.bias is None else out.add_(self.base.bias)


def sliced(weight: torch.Tensor) -> torch.Tensor | None:
    """A processor's layer in slices of its outputs, one for each core; None elsewhere.

    For the few rows of a decoding step, torch multiplies on one core only, and across the way that weights lie in
    memory. The weights are turned in place (their shape stays) and looked at as so many matrices side by side.
    """
    if weight.device.type != "cpu":
        return None
    outputs, inputs = weight.shape
    if not weight.t().is_contiguous():
        weight.data = weight.data.t().contiguous().t()
    most = min(usable_cores(), MOST_SLICES)
    count = next(one for one in range(most, 0, -1) if outputs % one == 0)
    return weight.data.t().view(inputs, count, outputs // count).transpose(0, 1)


def prepare(model: Any) -> tuple[Stretches, dict[str, nn.Linear]]:
    """Let every linear layer take adapters; returns them by name."""
    stretches, layers = Stretches(), {}
    for name, module in list(model.named_modules()):
        if type(module) is nn.Linear:
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, TunedLinear(module, name, stretches))
            layers[name] = module
    for value in model.parameters():
        if value.device.type == "cpu" and value.is_contiguous():
            value.data = value.data.clone()  # the rest lies in the file, which would stay in memory for its sake
    return stretches, layers
