"""What transformers' trainer is told, whatever the method."""

import importlib.util
from typing import Any

from providers.base import TrainingRequest
from providers.errors import InvalidRequest
from providers.local.training import precision
from providers.local.training.knobs import Knobs
from providers.local.training.run_folder import RunFolder

_LARGE = 1_000_000_000
"""A model with more parameters recomputes activations instead of keeping them."""


def arguments(
    request: TrainingRequest, knobs: Knobs, folder: RunFolder, model: Any, *, validate: bool
) -> dict[str, Any]:
    """The arguments of `transformers.TrainingArguments`, by name. Raises InvalidRequest."""
    import torch

    watching = "steps" if knobs.eval_steps else "epoch"
    return {
        "output_dir": str(folder.checkpoints_folder),
        "num_train_epochs": knobs.epochs,
        "per_device_train_batch_size": knobs.batch_size,
        "per_device_eval_batch_size": knobs.batch_size,
        "gradient_accumulation_steps": knobs.gradient_accumulation,
        "activation_checkpointing": _checkpointing(knobs, model),
        "learning_rate": knobs.learning_rate,
        "lr_scheduler_type": knobs.scheduler,
        "warmup_steps": knobs.warmup_ratio,  # a fraction means: of all steps
        "optim": _optimizer(knobs),
        "weight_decay": knobs.weight_decay,
        "max_grad_norm": knobs.max_grad_norm,
        "neftune_noise_alpha": knobs.neftune_noise or None,
        "bf16": precision.is_bf16(knobs),
        "fp16": precision.is_fp16(knobs),
        "use_liger_kernel": _fused(knobs),
        "use_cpu": not torch.cuda.is_available(),
        "seed": request.seed,
        "data_seed": request.seed,
        "eval_strategy": watching if validate else "no",
        "eval_steps": knobs.eval_steps or None,
        "save_strategy": "steps",
        "save_steps": knobs.checkpoint_steps,
        "save_total_limit": None,  # who copies them elsewhere removes them
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": "none",
        "dataloader_pin_memory": torch.cuda.is_available(),
    }


def _checkpointing(knobs: Knobs, model: Any) -> bool:
    if knobs.gradient_checkpointing == "auto":
        return bool(model.num_parameters() > _LARGE)
    return knobs.gradient_checkpointing == "on"


def _optimizer(knobs: Knobs) -> str:
    if knobs.optimizer == "adamw_8bit" and importlib.util.find_spec("bitsandbytes") is None:
        raise InvalidRequest(
            "The optimizer adamw_8bit needs bitsandbytes, which is not installed on the machine that trains. Choose "
            "another optimizer, or install it there: pip install bitsandbytes"
        )
    return knobs.optimizer


def _fused(knobs: Knobs) -> bool:
    """Whether Liger's kernels replace the model's own: they need a GPU, and to be installed."""
    import torch

    can = torch.cuda.is_available() and importlib.util.find_spec("liger_kernel") is not None
    if knobs.kernels == "liger" and not can:
        raise InvalidRequest(
            "Liger's fused kernels need a GPU and the package liger-kernel, which are not on the machine that trains. "
            "Set “Fused kernels” to auto."
        )
    return can and knobs.kernels == "liger"
