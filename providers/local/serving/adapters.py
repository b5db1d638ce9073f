"""An adapter in memory: for each layer that it changes, two small matrices, ready to be multiplied with.

The saved form is PEFT's LoRA, DoRA and rsLoRA among it. Of what PEFT can do beyond, nothing is read here: see
`Entry.mixes` in the catalogue.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
import torch
from peft import PeftConfig
from peft.tuners.tuners_utils import check_target_module_exists
from peft.utils.other import get_pattern_key
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from providers.errors import InvalidRequest
from providers.local.adapter_state import changes_nothing, is_broken

log = structlog.get_logger()

_PREFIX = "base_model.model."
_DOWN, _UP, _MAGNITUDE = ".lora_A.weight", ".lora_B.weight", ".lora_magnitude_vector"


@dataclass(frozen=True)
class Part:
    """What is done to one layer's output: + (x down^T) up, and with DoRA each output scaled after that."""

    down: torch.Tensor  # rank, inputs
    up: torch.Tensor  # rank, outputs; the adapter's own scaling is in it
    scale: torch.Tensor | None = None  # outputs


@dataclass(frozen=True)
class Adapter:
    """A tuned model's difference from its base model, by layer."""

    parts: Mapping[str, Part]
    bytes: int


def read(folder: Path, name: str, layers: Mapping[str, nn.Linear], last: str) -> Adapter:
    """The adapter in a folder, for a base model with these layers. `name` is the tuned model's, for words.

    `last` is the layer that writes the words: adapters for all layers leave it out.
    Raises InvalidRequest if it does not fit, is broken, or changes nothing.
    """
    config: Any = PeftConfig.from_pretrained(str(folder))
    try:
        state = load_file(folder / "adapter_model.safetensors")
    except SafetensorError as error:
        raise _does_not_fit(name, str(error)) from error
    check(state, name)
    saved = {_layer(key) for key in state}
    everything = config.target_modules == "all-linear"
    wanted = {layer for layer in layers if (layer != last if everything else check_target_module_exists(config, layer))}
    if saved != wanted:
        raise _does_not_fit(name, f"beyond it {sorted(saved - wanted)[:3]}, missing {sorted(wanted - saved)[:3]}")
    raw = {layer: _part(state, layer, layers[layer], config, name) for layer in sorted(saved)}
    adapter = _packed(raw)
    log.info("adapter_loaded", model=name, layers=len(raw), bytes=adapter.bytes)
    return adapter


def check(state: Mapping[str, torch.Tensor], name: str) -> None:
    """Raises InvalidRequest if an adapter with these tensors is broken or changes nothing."""
    if is_broken(state):
        raise InvalidRequest(
            f"The tuned model {name} holds values that are no numbers, so it cannot answer. Its training ran away: "
            "train it again with a lower learning rate."
        )
    if changes_nothing(state):
        raise InvalidRequest(
            f"The tuned model {name} changes nothing: it would answer exactly as its base model does. Its training "
            "had no effect; look at its loss, and train it again with a higher learning rate or more steps."
        )


def _part(state: Mapping[str, torch.Tensor], layer: str, linear: nn.Linear, config: Any, name: str) -> Part:
    down, up = (state.get(_PREFIX + layer + kind) for kind in (_DOWN, _UP))
    if down is None or up is None or (down.shape[1], up.shape[0]) != (linear.in_features, linear.out_features):
        raise _does_not_fit(name, f"shapes of {layer}")
    rank = down.shape[0]
    if up.shape[1] != rank or rank != _by_pattern(config.rank_pattern, layer, config.r):
        raise _does_not_fit(name, f"rank of {layer}")
    alpha = _by_pattern(config.alpha_pattern, layer, config.lora_alpha)
    scaling = alpha / (math.sqrt(rank) if config.use_rslora else rank)
    weight = linear.weight
    down, up = down.to(weight.device, torch.float32), up.to(weight.device, torch.float32) * scaling
    magnitude = state.get(_PREFIX + layer + _MAGNITUDE, state.get(f"{_PREFIX}{layer}{_MAGNITUDE}.weight"))
    scale = None
    if magnitude is not None:
        norm = (weight.float() + up @ down).norm(dim=1)
        scale = (magnitude.to(weight.device, torch.float32).flatten() / norm).to(weight.dtype)
    elif config.use_dora:
        raise _does_not_fit(name, f"magnitude of {layer}")
    return Part(down.to(weight.dtype), up.T.to(weight.dtype), scale)


def _packed(raw: Mapping[str, Part]) -> Adapter:
    """The same in one piece of memory, which is given back whole when the adapter leaves."""
    tensors = [one for part in raw.values() for one in (part.down, part.up, part.scale) if one is not None]
    store = torch.empty(sum(one.numel() for one in tensors), dtype=tensors[0].dtype, device=tensors[0].device)
    place = 0

    def moved(tensor: torch.Tensor | None) -> Any:
        nonlocal place
        if tensor is None:
            return None
        view = store[place : place + tensor.numel()].view(tensor.shape)
        view.copy_(tensor)
        place += tensor.numel()
        return view

    parts = {layer: Part(moved(part.down), moved(part.up), moved(part.scale)) for layer, part in raw.items()}
    return Adapter(parts, store.numel() * store.element_size())


def _layer(key: str) -> str:
    """The name of the layer that a saved tensor belongs to."""
    return key.removeprefix(_PREFIX).rpartition(".lora_")[0]


def _by_pattern(pattern: Mapping[str, Any], layer: str, usual: Any) -> Any:
    return pattern.get(get_pattern_key(list(pattern), layer), usual)


def _does_not_fit(name: str, detail: str) -> InvalidRequest:
    return InvalidRequest(
        f"The tuned model {name} does not fit its base model, so it cannot answer. Train it again.", detail=detail
    )
