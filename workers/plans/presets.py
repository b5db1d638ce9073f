"""Sets of hyperparameters under a name, for this machine's trainer: where they come from, and what they are for."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from providers.base import AUTO, Hyperparameter, Method
from providers.local.memory import Shape
from workers.plans.choices import Choices

USUAL = "usual"
OWN = "own"
"""What a form says once somebody has changed a value: no preset's any more."""
RATES: Mapping[Method, tuple[float, float]] = {
    Method.DPO: (5e-5, 1e-5),
    Method.ORPO: (2e-4, 8e-5),
    Method.KTO: (5e-5, 1e-5),
    Method.GRPO: (2e-4, 1e-5),
}
"""Learning rates of methods that want lower ones than SFT, for small and for larger models. Those for larger ones are
ten times what TRL's trainers (ORPO: the paper) have for all weights, as adapters learn at; those for small ones were
measured with SmolLM2-135M (docs/local.md)."""
_OF_ADAPTERS = 10
"""So many times the rate of full fine-tuning adapters learn at."""
_SMALL = 1_000_000_000
"""Parameters below which a model learns at a higher rate."""


@dataclass(frozen=True)
class Preset:
    """Hyperparameters by their neutral names; those that are not there are the provider's defaults."""

    text: str
    description: str
    source: str
    knobs: Mapping[str, Hyperparameter] = field(default_factory=dict)


PRESETS: Mapping[str, Preset] = {
    USUAL: Preset(
        "Usual for this model and data",
        "LoRA on all linear layers; the rate by the model's size",
        "Measured with SmolLM2-135M on the recipes (docs/local.md); 2e-4 for larger models as in the QLoRA paper.",
    ),
    "quick-try": Preset(
        "Quick try",
        "one epoch, to see whether anything is learnt",
        "The usual one, with a third of its epochs.",
        {"epochs": 1},
    ),
    "trl-tutorial": Preset(
        "TRL tutorial (QLoRA, rank 256)",
        "for a 7B model on a GPU of 24 GB",
        "Hugging Face's tutorial of fine-tuning with TRL on text-to-SQL examples.",
        {
            "epochs": 3,
            "batch_size": 1,
            "gradient_accumulation": 8,
            "learning_rate": 2e-4,
            "scheduler": "constant",
            "warmup_ratio": 0.03,
            "max_grad_norm": 0.3,
            "optimizer": "adamw_torch_fused",
            "lora_r": 256,
            "lora_alpha": 128,
            "lora_dropout": 0.05,
            "target_modules": "all-linear",
            "quantization": "nf4",
            "precision": "bf16",
            "packing": "packed",
            "max_length": 3072,
            "gradient_checkpointing": "on",
            "learn": "everything",
        },
    ),
    "full": Preset(
        "All weights",
        "full fine-tuning: more memory, a lower rate",
        "The rate that TRL's trainer has for full fine-tuning.",
        {"tuning": "full", "learning_rate": 2e-5, "gradient_checkpointing": AUTO},
    ),
}
"""By the name that a job file's “preset” has."""


def usual(model: Shape | None, epochs: int, method: Method = Method.SFT) -> dict[str, Hyperparameter]:
    """What is sensible for a model of this size, a dataset that wants so many epochs, and a method."""
    large = model is not None and model.parameters >= _SMALL
    small_rate, large_rate = RATES.get(method, (None, 2e-4))
    rate = large_rate if large else small_rate
    return {"epochs": epochs, **({"learning_rate": rate} if rate is not None else {})}


def apply(name: str, choices: Choices, model: Shape | None, epochs: int) -> Choices:
    """The choices with a preset's values in place of all others. Raises KeyError for a name that is none."""
    values = {**usual(model, epochs, choices.method), **PRESETS[name].knobs}
    if values.get("tuning") == "full" and choices.method in RATES:
        values["learning_rate"] = RATES[choices.method][1] / _OF_ADAPTERS
    known = {one.name for one in replace(choices, knobs={}).usable_knobs}
    return replace(choices, knobs={knob: value for knob, value in values.items() if knob in known})


def named(choices: Choices, model: Shape | None, epochs: int) -> str:
    """Which preset these choices are; OWN where they are none's."""
    for name in PRESETS:
        if apply(name, choices, model, epochs).hyperparameters == choices.hyperparameters:
            return name
    return OWN


def offered(provider: str, method: Method) -> list[str]:
    """The names of those that can be chosen there."""
    if provider != "local":
        return []
    return [name for name in PRESETS if method is Method.SFT or name != "trl-tutorial"]
