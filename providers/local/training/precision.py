"""In how many bits it is computed, and in how many the weights are held."""

from typing import Any

from providers.errors import InvalidRequest
from providers.local.hardware import computes_in_bf16
from providers.local.training.knobs import Knobs


def bf16_is_quicker() -> bool:
    """True for a GPU that knows bfloat16, and for processors with instructions for it."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return computes_in_bf16()


def is_bf16(knobs: Knobs) -> bool:
    """Whether it is computed in bfloat16."""
    return knobs.precision == "bf16" or (knobs.precision == "auto" and bf16_is_quicker())


def is_fp16(knobs: Knobs) -> bool:
    """Whether it is computed in 16 bits of the older kind. Raises InvalidRequest where there is no GPU for it."""
    import torch

    old_gpu = torch.cuda.is_available() and not bf16_is_quicker()
    if knobs.precision == "fp16" and not torch.cuda.is_available():
        raise InvalidRequest("fp16 needs a GPU; the machine that trains has none. Set the precision to auto.")
    return knobs.precision == "fp16" or (knobs.precision == "auto" and old_gpu)


def held_in(knobs: Knobs) -> Any:
    """The type of the weights: bfloat16 for a frozen model on a GPU that computes in it, else 32 bits."""
    import torch

    frozen = knobs.tuning != "full"
    return torch.bfloat16 if frozen and torch.cuda.is_available() and is_bf16(knobs) else torch.float32
