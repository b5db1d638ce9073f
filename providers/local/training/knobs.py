"""The hyperparameters of local training, checked before anything is started."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from providers.base import Hyperparameter
from providers.errors import InvalidRequest

_RANGES: Mapping[str, tuple[float, float]] = {
    "epochs": (0.01, 1000),
    "batch_size": (1, 1024),
    "gradient_accumulation": (1, 1024),
    "learning_rate": (1e-8, 1.0),
    "max_length": (8, 131_072),
    "lora_r": (1, 1024),
    "lora_alpha": (1, 4096),
    "lora_dropout": (0, 0.9),
    "warmup_ratio": (0, 0.9),
    "checkpoint_steps": (1, 1_000_000),
}


@dataclass(frozen=True)
class Knobs:
    """How to train. `lora_alpha` 0 means twice `lora_r`."""

    epochs: float = 3.0
    batch_size: int = 4
    gradient_accumulation: int = 1
    learning_rate: float = 5e-4
    max_length: int = 2048
    lora_r: int = 16
    lora_alpha: int = 0
    lora_dropout: float = 0.0
    warmup_ratio: float = 0.03
    checkpoint_steps: int = 50

    @property
    def alpha(self) -> int:
        """LoRA's alpha: what was asked for, or the customary multiple of the rank."""
        return self.lora_alpha or 2 * self.lora_r

    @classmethod
    def read(cls, given: Mapping[str, Hyperparameter]) -> "Knobs":
        """From a request's hyperparameters. Raises InvalidRequest with every problem at once."""
        types = {one.name: one.type for one in fields(cls)}
        problems: list[str] = []
        values: dict[str, Any] = {}
        for name, value in given.items():
            if name not in types:
                problems.append(f"local training has no hyperparameter {name!r}")
            elif isinstance(value, bool) or not isinstance(value, int | float):
                problems.append(f"{name} must be a number")
            elif not _RANGES[name][0] <= value <= _RANGES[name][1]:
                low, high = _RANGES[name]
                problems.append(f"{name} must be between {low:g} and {high:g}")
            elif types[name] is int and value != int(value):
                problems.append(f"{name} must be a whole number")
            else:
                values[name] = int(value) if types[name] is int else float(value)
        if problems:
            raise InvalidRequest(f"These settings cannot be used: {'; '.join(problems)}.")
        return cls(**values)
