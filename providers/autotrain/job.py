"""A training as AutoTrain's YAML. Nothing in it comes from a person's own file: every value is checked and put here."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import yaml

from providers.base import AUTO, Hyperparameter, Method
from providers.errors import InvalidRequest

PROJECT = "project"
"""The name of the folder, within the run's own, where AutoTrain leaves its model."""
TASKS = {Method.SFT: "llm-sft", Method.DPO: "llm-dpo"}
_COLUMNS = {
    Method.SFT: {"text_column": "text"},
    Method.DPO: {"text_column": "text", "rejected_text_column": "rejected_text", "prompt_text_column": "prompt"},
}
_QUANTIZATION = {"none": None, "nf4": "int4", "int8": "int8"}
_PRECISION = {"fp32": None, "bf16": "bf16", "fp16": "fp16"}
_TARGETS = {"all-linear": "all-linear", "attention": "q_proj,k_proj,v_proj,o_proj"}
_BLOCKS_AN_EPOCH = 24
"""Joined examples make so many blocks at least, where there is text enough: else there is hardly a step to learn in."""
_LEAST_BLOCK, _LONGEST_BLOCK = 32, 1024
IGNORED = frozenset({"checkpoint_steps"})
"""What is only told to trainers that keep checkpoints."""
KNOWN = IGNORED | {
    "epochs",
    "batch_size",
    "gradient_accumulation",
    "learning_rate",
    "max_length",
    "lora_r",
    "lora_alpha",
    "lora_dropout",
    "warmup_ratio",
    "weight_decay",
    "max_grad_norm",
    "optimizer",
    "scheduler",
    "target_modules",
    "quantization",
    "precision",
    "beta",
}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "quantization": tuple(_QUANTIZATION),
    "target_modules": tuple(_TARGETS),
    "precision": (AUTO, *_PRECISION),
    "optimizer": ("adamw_torch", "adamw_torch_fused", "adamw_8bit", "adafactor"),
    "scheduler": ("linear", "cosine", "constant", "constant_with_warmup"),
}


@dataclass(frozen=True)
class Facts:
    """The examples in tokens, and the machine; as `providers.local.portable` has written them."""

    examples: int
    tokens: int
    longest: int
    longest_prompt: int
    context: int
    small: bool
    gpu: bool
    bf16: bool
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Facts":
        """The reverse of what was written; what is not known is left out."""
        known = {name: value for name, value in data.items() if name in cls.__dataclass_fields__}
        return cls(**{**known, "warnings": tuple(data.get("warnings") or ())})


@dataclass(frozen=True)
class Job:
    """What to write, and what follows from it."""

    text: str
    tokens_a_step: int
    block: int


def write(method: Method, seed: int, given: Mapping[str, Hyperparameter], facts: Facts, *, base: str, data: str) -> Job:
    """The file for these hyperparameters; `base` and `data` are folders. Raises InvalidRequest."""
    check(method, given)
    _check_machine(given, facts)
    batch, gathered = int(_number(given, "batch_size", 4)), int(_number(given, "gradient_accumulation", 1))
    rank = int(_number(given, "lora_r", 16))
    block = _block(method, given, facts)
    params: dict[str, Any] = {
        "trainer": TASKS[method].removeprefix("llm-"),
        "seed": seed,
        "epochs": int(_number(given, "epochs", 3)),
        "batch_size": batch,
        "gradient_accumulation": gathered,
        "lr": float(_number(given, "learning_rate", 5e-4)),
        "optimizer": str(given.get("optimizer", "adamw_torch")),
        "scheduler": str(given.get("scheduler", "linear")),
        "warmup_ratio": float(_number(given, "warmup_ratio", 0.1)),
        "weight_decay": float(_number(given, "weight_decay", 0.0)),
        "max_grad_norm": float(_number(given, "max_grad_norm", 1.0)),
        "mixed_precision": _precision(given, facts),
        "quantization": _QUANTIZATION[str(given.get("quantization", "none"))],  # its own default is int4
        "block_size": block,
        "model_max_length": max(block, 8),
        "padding": "right",
        "peft": True,
        "merge_adapter": False,
        "lora_r": rank,
        "lora_alpha": int(_number(given, "lora_alpha", 0)) or 2 * rank,
        "lora_dropout": float(_number(given, "lora_dropout", 0.0)),
        "target_modules": _TARGETS[str(given.get("target_modules", "all-linear"))],
        "disable_gradient_checkpointing": facts.small,
        "logging_steps": 1,
        "auto_find_batch_size": False,
        "unsloth": False,
        "use_flash_attention_2": False,
    }
    if method is Method.DPO:
        params |= {"dpo_beta": float(_number(given, "beta", 0.1)), "max_prompt_length": block}
    whole = {
        "task": TASKS[method],
        "base_model": base,
        "project_name": PROJECT,
        "log": "none",
        "backend": "local",
        "data": {
            "path": data,
            "train_split": "train",
            "valid_split": None,  # it does nothing with one for files of one's own
            "chat_template": None,  # the examples are rendered already, as the model server renders questions
            "column_mapping": _COLUMNS[method],
        },
        "params": params,
    }
    packed = block if method is Method.SFT else round(facts.tokens / max(1, facts.examples))
    return Job(yaml.safe_dump(whole, sort_keys=False), batch * gathered * packed, block)


def check(method: Method, given: Mapping[str, Hyperparameter]) -> None:
    """Whatever is wrong with these, all of it. Raises InvalidRequest."""
    problems = [] if method in TASKS else [f"AutoTrain is asked for {' and '.join(TASKS)} here, not for {method}"]
    problems += [f"AutoTrain has no hyperparameter {name!r} here" for name in given if name not in KNOWN]
    for name, choices in _CHOICES.items():
        if name in given and given[name] not in choices:
            problems.append(f"{name} must be one of {', '.join(choices)}")
    for name, value in given.items():
        if name in KNOWN and name not in _CHOICES and not _is_number(value) and value != AUTO:
            problems.append(f"{name} must be a number")
    epochs = given.get("epochs", 3)
    if _is_number(epochs) and epochs != int(epochs):
        problems.append("epochs must be a whole number: AutoTrain counts whole epochs only")
    _refuse(problems)


def _check_machine(given: Mapping[str, Hyperparameter], facts: Facts) -> None:
    problems = []
    if given.get("quantization", "none") != "none" and not facts.gpu:
        problems.append("quantization needs an NVIDIA GPU, and this machine has none: choose none")
    if given.get("precision") == "fp16" and not facts.gpu:
        problems.append("fp16 needs a GPU, and this machine has none: choose auto")
    _refuse(problems)


def _refuse(problems: list[str]) -> None:
    if problems:
        raise InvalidRequest(f"These settings cannot be used: {'; '.join(problems)}.")


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _number(given: Mapping[str, Hyperparameter], name: str, default: float) -> float:
    """The value of what has been checked to be a number, or to leave it open."""
    value = given.get(name, default)
    return value if _is_number(value) else default


def _precision(given: Mapping[str, Hyperparameter], facts: Facts) -> str | None:
    wanted = str(given.get("precision", AUTO))
    if wanted == AUTO:
        return "bf16" if facts.bf16 else None
    return _PRECISION[wanted]


def _block(method: Method, given: Mapping[str, Hyperparameter], facts: Facts) -> int:
    """Tokens of an example, or of a block of packed ones. Raises InvalidRequest."""
    most = int(_number(given, "max_length", 0)) or _LONGEST_BLOCK
    most = min(most, facts.context)
    if method is Method.DPO:
        return min(most, _eights(facts.longest))
    if facts.tokens < _LEAST_BLOCK:
        raise InvalidRequest(
            f"All examples together have {facts.tokens} tokens: too few for AutoTrain, which joins them to blocks."
        )
    block = min(most, _eights(facts.longest), max(_LEAST_BLOCK, facts.tokens // _BLOCKS_AN_EPOCH // 8 * 8))
    return min(block, facts.tokens)


def _eights(tokens: int) -> int:
    return (tokens + 7) // 8 * 8
