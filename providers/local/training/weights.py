"""The base model in memory, and the adapter that is trained on it."""

from pathlib import Path
from typing import Any

from providers.local.training.knobs import Knobs


def load(folder: Path, _knobs: Knobs) -> Any:
    """The base model, ready to be trained."""
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)


def adapter(knobs: Knobs) -> Any:
    """The configuration of the adapter."""
    from peft import LoraConfig

    return LoraConfig(
        r=knobs.lora_r,
        lora_alpha=knobs.alpha,
        lora_dropout=knobs.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
