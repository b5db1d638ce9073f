"""The hyperparameters of local training, checked before anything is started."""

import math
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any

from providers.base import AUTO, Hyperparameter
from providers.errors import InvalidRequest


def _number(default: float, low: float, high: float) -> Any:
    return field(default=default, metadata={"low": low, "high": high})


def _whole(default: int, low: int, high: int, *, can_auto: bool = False) -> Any:
    """A whole number; where `AUTO` may stand for it, that is 0 here."""
    return field(default=default, metadata={"low": low, "high": high, "whole": True, "can_auto": can_auto})


def _choice(default: str, *others: str) -> Any:
    return field(default=default, metadata={"choices": (default, *others)})


@dataclass(frozen=True)
class Knobs:
    """How to train."""

    epochs: float = _number(3.0, 0.01, 1000)
    batch_size: int = _whole(4, 1, 1024, can_auto=True)
    """Examples on a device at once; 0: as many as the memory holds."""
    gradient_accumulation: int = _whole(1, 1, 1024)
    learning_rate: float = _number(5e-4, 1e-8, 1.0)
    scheduler: str = _choice("linear", "cosine", "constant", "constant_with_warmup")
    warmup_ratio: float = _number(0.03, 0, 0.9)
    optimizer: str = _choice("adamw_torch", "adamw_torch_fused", "adamw_8bit", "adafactor")
    weight_decay: float = _number(0.0, 0, 1)
    max_grad_norm: float = _number(1.0, 0, 1000)
    """Gradients are shortened to this; 0: never."""
    neftune_noise: float = _number(0.0, 0, 100)
    """Noise on the embeddings while training; 0: none."""

    tuning: str = _choice("lora", "dora", "rslora", "full")
    lora_r: int = _whole(16, 1, 1024)
    lora_alpha: int = _whole(0, 1, 4096, can_auto=True)
    """0: twice the rank."""
    lora_dropout: float = _number(0.0, 0, 0.9)
    target_modules: str = _choice("all-linear", "attention")
    quantization: str = _choice("none", "nf4", "int8")

    max_length: int = _whole(2048, 8, 131_072)
    learn: str = _choice("answers", "everything")
    packing: str = _choice(AUTO, "off", "packed", "padding-free")
    precision: str = _choice(AUTO, "bf16", "fp16", "fp32")
    attention: str = _choice(AUTO, "sdpa", "eager", "flash_attention_2")
    kernels: str = _choice(AUTO, "liger", "off")
    gradient_checkpointing: str = _choice(AUTO, "on", "off")

    eval_steps: int = _whole(0, 0, 1_000_000, can_auto=True)
    """Steps between two looks at the validation loss; 0: one after each epoch."""
    early_stopping: int = _whole(0, 0, 100)
    """So many looks without a lower validation loss end the training, and the best model is kept; 0: never."""
    checkpoint_steps: int = _whole(50, 1, 1_000_000)

    beta: float = _number(0.1, 0.001, 100)
    """DPO, KTO: how closely the model stays to its base. ORPO: the weight of the preferences."""
    loss_type: str = _choice("sigmoid", "ipo", "hinge")
    desirable_weight: float = _number(1.0, 0, 100)
    undesirable_weight: float = _number(1.0, 0, 100)
    generations: int = _whole(4, 2, 64)
    max_new_tokens: int = _whole(128, 1, 8192)
    temperature: float = _number(1.0, 0.01, 5)

    @property
    def alpha(self) -> int:
        """LoRA's alpha: what was asked for, or the customary multiple of the rank."""
        return self.lora_alpha or 2 * self.lora_r

    @classmethod
    def read(cls, given: Mapping[str, Hyperparameter]) -> "Knobs":
        """From a request's hyperparameters. Raises InvalidRequest with every problem at once."""
        known = {one.name: one for one in fields(cls)}
        problems: list[str] = []
        values: dict[str, Any] = {}
        for name, value in given.items():
            if name not in known:
                problems.append(f"local training has no hyperparameter {name!r}")
            elif problem := _problem(known[name], value):
                problems.append(problem)
            else:
                values[name] = _read(known[name], value)
        knobs = cls(**values)
        problems += knobs._contradictions()
        if problems:
            raise InvalidRequest(f"These settings cannot be used: {'; '.join(problems)}.")
        return knobs

    def _contradictions(self) -> list[str]:
        """What does not go together, whatever the machine and the model."""
        if self.tuning == "full" and self.quantization != "none":
            return [f'quantization "{self.quantization}" needs an adapter: full fine-tuning changes weights in full']
        return []


def _problem(knob: Field[Any], value: Hyperparameter) -> str:
    """What is wrong with a value, in words; empty for nothing."""
    told = knob.metadata
    if "choices" in told:
        return "" if value in told["choices"] else f"{knob.name} must be one of {', '.join(told['choices'])}"
    if value == AUTO and told.get("can_auto"):
        return ""
    otherwise = f', or "{AUTO}"' if told.get("can_auto") else ""
    if isinstance(value, bool | str) or not math.isfinite(value):
        return f"{knob.name} must be a number{otherwise}"
    if not told["low"] <= value <= told["high"]:
        return f"{knob.name} must be between {told['low']:g} and {told['high']:g}{otherwise}"
    if told.get("whole") and value != int(value):
        return f"{knob.name} must be a whole number{otherwise}"
    return ""


def _read(knob: Field[Any], value: Hyperparameter) -> Hyperparameter:
    if "choices" in knob.metadata:
        return value
    if value == AUTO:
        return 0
    return int(value) if knob.metadata.get("whole") else float(value)
