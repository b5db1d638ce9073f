"""The trainer: supervised fine-tuning of one run with LoRA, started and watched by `adapter`.

python -P -m providers.local.sft FOLDER --cache FOLDER

Exit status 0: `status.json` in the run's folder has the outcome; anything else: it broke.
"""

import argparse
import json
import os
import resource
import shutil
import sys
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from providers.base import ProviderEvent, ProviderJobStatus, TrainingRequest
from providers.errors import InvalidRequest, ProviderError
from providers.local import base_models, precision
from providers.local.control import Control
from providers.local.examples import TokenisedFile, tokenise
from providers.local.knobs import Knobs
from providers.local.run_folder import Reporter, RunFolder

log = structlog.get_logger()

OUT_OF_MEMORY = (
    "This machine ran out of memory during the training. Choose a smaller batch size or shorter examples, "
    "then start again."
)
_LARGE = 1_000_000_000
"""A model with more parameters recomputes activations instead of keeping them."""
_NICENESS = 5


def main() -> int:
    """Train what the folder's request says."""
    parser = argparse.ArgumentParser(prog="python -m providers.local.sft", description="Train one run.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    arguments = parser.parse_args()
    folder = RunFolder(arguments.folder)
    reporter = Reporter(folder)
    control = Control(reporter)
    control.start()
    _be_modest()
    try:
        _train(folder, arguments.cache, reporter, control)
    except ProviderError as error:
        log.warning("training_failed", error=type(error).__name__, detail=error.detail)
        reporter.say(status=ProviderJobStatus.FAILED, stage="", error=error.user_message)
    except Exception as error:  # noqa: BLE001 -- the process's edge: whatever broke is logged with an id
        _broke(error, reporter)
        return 1
    return 0


def _be_modest() -> None:
    """Leave the processor, and the memory when it runs short, to the processes that people wait for."""
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # Linux only
        Path("/proc/self/oom_score_adj").write_text("500")


def _broke(error: Exception, reporter: Reporter) -> None:
    error_id = uuid.uuid4().hex[:8]
    log.error("trainer_broke", error_id=error_id, exc_info=error)
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower() or "can't allocate" in str(error):
        words = OUT_OF_MEMORY
    else:
        words = f"The trainer broke ({type(error).__name__}, error id {error_id}). The details are in its log."
    reporter.say(status=ProviderJobStatus.FAILED, stage="", error=words)


def _train(folder: RunFolder, cache: Path, reporter: Reporter, control: Control) -> None:
    """The whole recipe, from top to bottom."""
    request = folder.read_request()
    knobs = Knobs.read(request.hyperparameters)
    reporter.say(status=ProviderJobStatus.RUNNING, stage="loading the libraries")
    import torch
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed

    from providers.local.learning import LearningTrainer
    from providers.local.progress import Progress

    set_seed(request.seed)
    base = base_models.find(request.base_model, cache, lambda: reporter.stage("unpacking the model"))

    reporter.stage("reading the examples")
    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    if not tokenizer.chat_template:
        raise InvalidRequest("This base model has no chat template. Choose one that was made for chat.")
    ends = base_models.end_tokens(base, tokenizer)
    train = _read(folder, request.train_path, tokenizer, ends, knobs)
    validation = _read(folder, request.validation_path, tokenizer, ends, knobs) if request.validation_path else None

    reporter.stage("loading the model")
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, local_files_only=True)
    _check_fits(model, train)
    lora = LoraConfig(
        r=knobs.lora_r,
        lora_alpha=knobs.alpha,
        lora_dropout=knobs.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    progress = Progress(folder, reporter, control)
    trainer = LearningTrainer(
        model=model,
        args=_arguments(request, knobs, folder, large=model.num_parameters() > _LARGE, validate=validation is not None),
        train_dataset=_dataset(train),
        eval_dataset=_dataset(validation) if validation else None,
        processing_class=tokenizer,
        peft_config=lora,
        callbacks=[progress],
        count=progress.count,
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


def _read(folder: RunFolder, path: Path, tokenizer: Any, ends: frozenset[int], knobs: Knobs) -> TokenisedFile:
    examples = tokenise(path, tokenizer, ends, knobs.max_length)
    if examples.shortened:
        words = f"{examples.shortened} examples are longer than {knobs.max_length} tokens and were cut there."
        folder.append(ProviderEvent(f"shortened-{path.name}", time.time(), "warning", words))
    return examples


def _check_fits(model: Any, train: TokenisedFile) -> None:
    limit = getattr(model.config, "max_position_embeddings", None)
    longest = max(len(one.input_ids) for one in train.examples)
    if limit and longest > limit:
        raise InvalidRequest(
            f"The longest example has {longest} tokens, but this base model reads {limit} at most. "
            f"Set the maximum length to {limit} or less."
        )


def _dataset(file: TokenisedFile) -> Any:
    from datasets import Dataset

    return Dataset.from_dict(file.columns)


def _arguments(request: TrainingRequest, knobs: Knobs, folder: RunFolder, *, large: bool, validate: bool) -> Any:
    import torch
    from trl.trainer.sft_config import SFTConfig

    return SFTConfig(
        output_dir=str(folder.checkpoints_folder),
        num_train_epochs=knobs.epochs,
        per_device_train_batch_size=knobs.batch_size,
        per_device_eval_batch_size=knobs.batch_size,
        gradient_accumulation_steps=knobs.gradient_accumulation,
        gradient_checkpointing=large,
        learning_rate=knobs.learning_rate,
        warmup_steps=knobs.warmup_ratio,  # a fraction means: of all steps
        max_length=None,  # the examples are cut already
        dataset_kwargs={"skip_prepare_dataset": True},
        bf16=precision.bf16_is_quicker(),
        use_cpu=not torch.cuda.is_available(),
        seed=request.seed,
        data_seed=request.seed,
        eval_strategy="epoch" if validate else "no",
        save_strategy="steps",
        save_steps=knobs.checkpoint_steps,
        save_total_limit=None,  # who copies them elsewhere removes them
        logging_steps=1,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to="none",
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def _save(model: Any, tokenizer: Any, request: TrainingRequest, folder: RunFolder) -> None:
    """Write the adapter with the chat template it was trained with; it appears whole or not at all."""
    partial = folder.path / "model.partial"
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    (partial / base_models.MODEL_FILE).write_text(json.dumps({"base_model": request.base_model}))
    shutil.rmtree(folder.model_folder, ignore_errors=True)
    partial.replace(folder.model_folder)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # taking the libraries down in order takes seconds, and everything is written
