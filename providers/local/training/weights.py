"""The base model in memory, and the adapter that is trained on it."""

import importlib.util
from pathlib import Path
from typing import Any

from providers.errors import InvalidRequest
from providers.local.training import precision
from providers.local.training.knobs import Knobs

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
"""The layers that `target_modules` "attention" means, as Llama-like models call them."""
_FLASH_CAPABILITY = 8
"""The compute capability from which on a GPU runs FlashAttention 2."""


def load(folder: Path, knobs: Knobs) -> Any:
    """The base model, ready to be trained. Raises InvalidRequest for what this machine cannot do."""
    from transformers import AutoModelForCausalLM

    quantised = _quantisation(knobs)
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=precision.held_in(knobs),
        attn_implementation=_attention(knobs),
        local_files_only=True,
        use_safetensors=True,
        **({"quantization_config": quantised, "device_map": {"": _device()}} if quantised is not None else {}),
    )
    if quantised is not None:
        import peft

        prepare: Any = peft.prepare_model_for_kbit_training
        model = prepare(model, use_gradient_checkpointing=False)
    return model


def adapter(knobs: Knobs, model: Any) -> Any | None:
    """The configuration of the adapter; None where all weights are trained. Raises InvalidRequest."""
    if knobs.tuning == "full":
        return None
    from peft import LoraConfig

    named = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    if knobs.target_modules == "attention" and not named.intersection(ATTENTION):
        raise InvalidRequest(
            "This base model's attention layers have names that are not known here. Set the layers to adapt to "
            "“all-linear”."
        )
    return LoraConfig(
        r=knobs.lora_r,
        lora_alpha=knobs.alpha,
        lora_dropout=knobs.lora_dropout,
        target_modules=ATTENTION if knobs.target_modules == "attention" else "all-linear",
        use_dora=knobs.tuning == "dora",
        use_rslora=knobs.tuning == "rslora",
        task_type="CAUSAL_LM",
    )


def _device() -> str | int:
    import torch

    return torch.cuda.current_device() if torch.cuda.is_available() else "cpu"


def _quantisation(knobs: Knobs) -> Any | None:
    if knobs.quantization == "none":
        return None
    if importlib.util.find_spec("bitsandbytes") is None:
        raise InvalidRequest(
            f"Holding the base model in {knobs.quantization} needs bitsandbytes, which is not installed on the machine "
            "that trains. Install it there: pip install bitsandbytes. Or set “Base model in memory” to none."
        )
    import torch
    import transformers

    config: Any = transformers.BitsAndBytesConfig

    if knobs.quantization == "int8":
        return config(load_in_8bit=True)
    computed = torch.bfloat16 if torch.cuda.is_available() and precision.is_bf16(knobs) else torch.float32
    return config(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=computed,
    )


def _attention(knobs: Knobs) -> str | None:
    """The implementation by its name in transformers; None leaves it to the model."""
    import torch

    here = torch.cuda.is_available() and torch.cuda.get_device_capability()[0] >= _FLASH_CAPABILITY
    can_flash = here and importlib.util.find_spec("flash_attn") is not None
    if knobs.attention == "flash_attention_2" and not can_flash:
        raise InvalidRequest(
            "FlashAttention 2 needs an NVIDIA GPU of compute capability 8 or more and the package flash-attn, which "
            "are not on the machine that trains. Set “Attention” to auto."
        )
    if knobs.attention == "auto":
        return "flash_attention_2" if can_flash else None
    return knobs.attention
