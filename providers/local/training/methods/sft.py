"""Supervised fine-tuning: the model learns to write the answers of conversations."""

from pathlib import Path
from typing import Any

from providers.local.training.methods.base import Kit, Learnable, Reading
from providers.local.training.methods.conversations import tokenise


def read(path: Path, reading: Reading) -> Learnable:
    """Conversations in OpenAI's format, tokenised. Raises InvalidRequest."""
    file = tokenise(path, reading.tokenizer, reading.ends, reading.knobs.max_length)
    cut = f"{file.shortened} examples are longer than {reading.knobs.max_length} tokens and were cut there."
    return Learnable(
        columns=file.columns,
        longest=max(len(one.input_ids) for one in file.examples),
        warnings=[cut] if file.shortened else [],
    )


def trainer(kit: Kit) -> Any:
    """TRL's trainer for examples that are tokenised already."""
    from trl.trainer.sft_config import SFTConfig

    from providers.local.training.methods.answers_only import LearningTrainer

    arguments = SFTConfig(
        **kit.arguments,
        max_length=None,  # the examples are cut already
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    return LearningTrainer(
        model=kit.model,
        args=arguments,
        train_dataset=kit.train,
        eval_dataset=kit.validation,
        processing_class=kit.tokenizer,
        peft_config=kit.adapter,
        callbacks=list(kit.callbacks),
        count=kit.count,
    )
