"""Supervised fine-tuning: the model learns to write the answers of conversations, or plain text.

A prompt with its completion is a conversation of two messages; a model without a chat template reads and writes them
one behind the other (`providers.local.plain_template`).
"""

from pathlib import Path
from typing import Any

from providers.base import AUTO
from providers.local.training.batches import WORTH_IT, FlatCollator, packed, padding
from providers.local.training.methods.base import Kit, Learnable, Reading
from providers.local.training.methods.conversations import tokenise


def read(path: Path, reading: Reading) -> Learnable:
    """Conversations in OpenAI's format, tokenised. Raises InvalidRequest."""
    knobs = reading.knobs
    everything = knobs.learn == "everything"
    file = tokenise(path, reading.tokenizer, reading.ends, knobs.max_length, everything=everything)
    cut = f"{file.shortened} examples are longer than {reading.knobs.max_length} tokens and were cut there."
    return Learnable(
        columns=packed(file.columns, knobs.max_length) if knobs.packing == "packed" else file.columns,
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
        halved=kit.halved,
        recomputed=kit.recomputed,
        **({"data_collator": FlatCollator()} if _is_flat(kit) else {}),
    )


def _is_flat(kit: Kit) -> bool:
    """Whether batches are made without padding."""
    if kit.knobs.packing == AUTO:
        lengths = [len(one) for one in kit.train["input_ids"]]
        return padding(lengths, kit.knobs.batch_size) > WORTH_IT
    return kit.knobs.packing != "off"
