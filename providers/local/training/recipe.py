"""The whole recipe of a training, from top to bottom. What differs by method is in `methods`."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import structlog

from providers.base import ProviderEvent, ProviderJobStatus, TrainingRequest
from providers.errors import InvalidRequest
from providers.local import base_models
from providers.local.training import weights
from providers.local.training.arguments import arguments
from providers.local.training.control import Control
from providers.local.training.knobs import Knobs
from providers.local.training.methods import learning
from providers.local.training.methods.base import Kit, Learnable, Reading
from providers.local.training.run_folder import Reporter, RunFolder

log = structlog.get_logger()


def train(folder: RunFolder, cache: Path, reporter: Reporter, control: Control) -> None:
    """The whole recipe, from top to bottom."""
    request = folder.read_request()
    knobs = Knobs.read(request.hyperparameters)
    method = learning(request.method)
    reporter.say(status=ProviderJobStatus.RUNNING, stage="loading the libraries")
    from transformers import AutoTokenizer, set_seed

    from providers.local.training.progress import Progress

    set_seed(request.seed)
    base = base_models.find(request.base_model, cache, lambda: reporter.stage("unpacking the model"))

    reporter.stage("reading the examples")
    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    if not tokenizer.chat_template:
        raise InvalidRequest("This base model has no chat template. Choose one that was made for chat.")
    reading = Reading(tokenizer, base_models.end_tokens(base, tokenizer), knobs)
    train = _noted(folder, request.train_path, method.read(request.train_path, reading))
    watched = request.validation_path
    validation = _noted(folder, watched, method.read(watched, reading)) if watched else None

    reporter.stage("loading the model")
    model = weights.load(base, knobs)
    _check_fits(model, train)
    progress = Progress(folder, reporter, control)
    trainer = method.trainer(
        Kit(
            request=request,
            knobs=knobs,
            model=model,
            tokenizer=tokenizer,
            adapter=weights.adapter(knobs),
            arguments=arguments(request, knobs, folder, model, validate=validation is not None),
            train=_dataset(train),
            validation=_dataset(validation) if validation else None,
            callbacks=[progress],
            count=progress.count,
        )
    )
    control.training_begins()
    reporter.stage("training")
    trainer.train(resume_from_checkpoint=str(request.resume_from) if request.resume_from else None)
    if progress.paused:
        reporter.say(status=ProviderJobStatus.PAUSED, stage="")
        return

    reporter.stage("saving")
    _save(trainer.model, tokenizer, request, folder)
    reporter.say(status=ProviderJobStatus.SUCCEEDED, stage="", eta_seconds=None)


def _noted(folder: RunFolder, path: Path, file: Learnable) -> Learnable:
    for number, words in enumerate(file.warnings):
        folder.append(ProviderEvent(f"read-{path.name}-{number}", time.time(), "warning", words))
    return file


def _check_fits(model: Any, train: Learnable) -> None:
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit and train.longest > limit:
        raise InvalidRequest(
            f"The longest example has {train.longest} tokens, but this base model reads {limit} at most. "
            f"Set the maximum length to {limit} or less."
        )


def _dataset(file: Learnable) -> Any:
    from datasets import Dataset

    return Dataset.from_dict(dict(file.columns))


def _save(model: Any, tokenizer: Any, request: TrainingRequest, folder: RunFolder) -> None:
    """Write the adapter with the chat template it was trained with; it appears whole or not at all."""
    partial = folder.path / "model.partial"
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    (partial / base_models.MODEL_FILE).write_text(json.dumps({"base_model": request.base_model}))
    shutil.rmtree(folder.model_folder, ignore_errors=True)
    partial.replace(folder.model_folder)
