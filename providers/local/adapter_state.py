"""What an adapter's saved tensors say by themselves: whether they change anything, whether they are numbers."""

from collections.abc import Mapping
from typing import Any


def changes_nothing(state: Mapping[str, Any]) -> bool:
    """Whether a model with this adapter answers as its base model does: every product of A and B is zero.

    `state` is the adapter's own tensors by name, as they are saved. A trained magnitude (DoRA) or a module that was
    trained in full beside the adapter counts as a change.
    """
    if any("lora_" not in name or "magnitude" in name for name in state):
        return False
    ups = [name for name in state if "lora_B" in name or "lora_embedding_B" in name]
    downs = [name.replace("lora_B", "lora_A").replace("lora_embedding_B", "lora_embedding_A") for name in ups]
    return not any(
        bool(state[up].any()) and (down not in state or bool(state[down].any()))
        for up, down in zip(ups, downs, strict=True)
    )


def is_broken(state: Mapping[str, Any]) -> bool:
    """Whether something in it is no number: the training ran away."""
    import torch

    return any(not bool(torch.isfinite(value).all()) for value in state.values())
