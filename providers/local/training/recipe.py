"""The whole recipe of a training, from top to bottom. What differs by method is in `methods`."""

import json
import math
import shutil
import time
from pathlib import Path
from typing import Any

import structlog

from providers.base import Method, ProviderEvent, ProviderJobStatus, TrainingRequest
from providers.errors import InvalidRequest, TrainingFailed
from providers.local import base_models
from providers.local.adapter_state import changes_nothing, is_broken
from providers.local.plain_template import load_tokenizer
from providers.local.training import batch_size, preflight, weights
from providers.local.training.arguments import arguments
from providers.local.training.control import Control
from providers.local.training.held_out import HeldOut
from providers.local.training.knobs import Knobs
from providers.local.training.methods import learning
from providers.local.training.methods.base import Kit, Learnable, Reading
from providers.local.training.run_folder import Reporter, RunFolder

log = structlog.get_logger()

_HALVED = (
    "The memory did not hold a batch, so it is done in halves: slower, with the same result. A smaller batch size with "
    "more batches a step would be as good."
)
_RECOMPUTED = (
    "The memory did not hold a single example, so activations are computed twice instead of being kept: slower, with "
    "the same result. A lower maximum length, or a base model held in nf4, would be quicker."
)
_NOTHING_WATCHED = (
    "“Stop early” needs examples that are watched while training, and there are none: it trains to its last step."
)


def train(folder: RunFolder, cache: Path, reporter: Reporter, control: Control) -> None:
    """The whole recipe, from top to bottom."""
    request = folder.read_request()
    knobs = Knobs.read(request.hyperparameters)
    method = learning(request.method)
    reporter.say(status=ProviderJobStatus.RUNNING, stage="loading the libraries")
    from transformers import set_seed

    from providers.local.training.best import Best
    from providers.local.training.progress import Progress

    set_seed(request.seed)
    base = base_models.find(request.base_model, cache, lambda: reporter.stage("unpacking the model"))

    reporter.stage("reading the examples")
    tokenizer = load_tokenizer(base)
    if not tokenizer.chat_template:
        raise InvalidRequest("This base model has neither a chat template nor an end token. Choose another one.")
    reading = Reading(tokenizer, base_models.end_tokens(base, tokenizer), knobs)
    train = _noted(folder, request.train_path, method.read(request.train_path, reading))
    watched = request.validation_path
    validation = _noted(folder, watched, method.read(watched, reading)) if watched else None
    held_out = HeldOut(request, reading, folder)

    reporter.stage("loading the model")
    knobs = batch_size.chosen(knobs, base, train)
    model = weights.load(base, knobs)
    _check_fits(model, train)
    progress = Progress(folder, reporter, control)
    if knobs.early_stopping and validation is None:
        _tell(folder, "early-stopping", "warning", _NOTHING_WATCHED)
    best = Best(folder, knobs.early_stopping if validation is not None else 0, request.resume_from)
    trainer = method.trainer(
        Kit(
            request=request,
            knobs=knobs,
            model=model,
            tokenizer=tokenizer,
            adapter=weights.adapter(knobs, model),
            arguments=arguments(request, knobs, folder, model, validate=validation is not None),
            train=_dataset(train),
            validation=_dataset(validation) if validation else None,
            callbacks=[best, progress],  # a checkpoint has the best model in it when it is called complete
            count=progress.count,
            halved=lambda: _tell(folder, "memory", "warning", _HALVED),
            recomputed=lambda: _tell(folder, "memory-of-one", "warning", _RECOMPUTED),
        )
    )
    if request.method is Method.SFT and request.resume_from is None and _steps(trainer) >= preflight.LONG:
        reporter.stage("trying a few steps")
        for words in preflight.check(trainer, train, reading.ends, knobs.batch_size):
            _tell(folder, "preflight", "warning", words)
    control.training_begins()
    held_out.before(trainer)
    reporter.stage("training")
    trainer.train(resume_from_checkpoint=str(request.resume_from) if request.resume_from else None)
    if progress.paused:
        reporter.say(status=ProviderJobStatus.PAUSED, stage="")
        return

    best.take(trainer.model, trainer.state.global_step)
    held_out.after(trainer)
    _check_changed(trainer.model)
    reporter.stage("saving")
    _save(trainer.model, tokenizer, request, knobs, folder)
    reporter.say(status=ProviderJobStatus.SUCCEEDED, stage="", eta_seconds=None)


def _noted(folder: RunFolder, path: Path, file: Learnable) -> Learnable:
    for number, words in enumerate(file.warnings):
        _tell(folder, f"read-{path.name}-{number}", "warning", words)
    return file


def _tell(folder: RunFolder, name: str, level: str, words: str) -> None:
    folder.append(ProviderEvent(name, time.time(), level, words))


def _steps(trainer: Any) -> int:
    """How many steps the training will have."""
    each = trainer.args.per_device_train_batch_size * trainer.args.gradient_accumulation_steps
    return int(trainer.args.num_train_epochs * math.ceil(len(trainer.train_dataset) / each))


def _check_fits(model: Any, train: Learnable) -> None:
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit and train.longest > limit:
        raise InvalidRequest(
            f"The longest example has {train.longest} tokens, but this base model reads {limit} at most. "
            f"Set the maximum length to {limit} or less."
        )


def _check_changed(model: Any) -> None:
    """Whether an adapter changes anything, and with numbers. Raises TrainingFailed."""
    state = {name: value.detach() for name, value in model.named_parameters() if ".lora_" in name}
    if state and is_broken(state):
        raise TrainingFailed("The training ended with weights that are no numbers. Choose a lower learning rate.")
    if state and changes_nothing(state):
        raise TrainingFailed("The training has changed nothing. Raise the epochs or the learning rate.")


def _dataset(file: Learnable) -> Any:
    from datasets import Dataset

    return Dataset.from_dict(dict(file.columns))


def _save(model: Any, tokenizer: Any, request: TrainingRequest, knobs: Knobs, folder: RunFolder) -> None:
    """Write the adapter, or all weights, with the chat template it was trained with; it appears whole or not at all."""
    partial = folder.path / "model.partial"
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    (partial / base_models.MODEL_FILE).write_text(
        json.dumps({"base_model": request.base_model, "tuning": knobs.tuning})
    )
    shutil.rmtree(folder.model_folder, ignore_errors=True)
    partial.replace(folder.model_folder)
