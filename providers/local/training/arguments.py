"""What transformers' trainer is told, whatever the method."""

from typing import Any

from providers.base import TrainingRequest
from providers.local.training import precision
from providers.local.training.knobs import Knobs
from providers.local.training.run_folder import RunFolder

_LARGE = 1_000_000_000
"""A model with more parameters recomputes activations instead of keeping them."""


def arguments(
    request: TrainingRequest, knobs: Knobs, folder: RunFolder, model: Any, *, validate: bool
) -> dict[str, Any]:
    """The arguments of `transformers.TrainingArguments`, by name."""
    import torch

    return {
        "output_dir": str(folder.checkpoints_folder),
        "num_train_epochs": knobs.epochs,
        "per_device_train_batch_size": knobs.batch_size,
        "per_device_eval_batch_size": knobs.batch_size,
        "gradient_accumulation_steps": knobs.gradient_accumulation,
        "gradient_checkpointing": model.num_parameters() > _LARGE,
        "learning_rate": knobs.learning_rate,
        "warmup_steps": knobs.warmup_ratio,  # a fraction means: of all steps
        "bf16": precision.bf16_is_quicker(),
        "use_cpu": not torch.cuda.is_available(),
        "seed": request.seed,
        "data_seed": request.seed,
        "eval_strategy": "epoch" if validate else "no",
        "save_strategy": "steps",
        "save_steps": knobs.checkpoint_steps,
        "save_total_limit": None,  # who copies them elsewhere removes them
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": "none",
        "dataloader_pin_memory": torch.cuda.is_available(),
    }
