"""The baseline of training: TRL's own trainer, set as its tutorial says, and nothing of ours.

python -m benchmarks.plain_training BASE_MODEL_FOLDER STEPS

Prints one JSON line: the seconds of each step, the tokens of its batch, its loss.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.plain_trl import _bf16_is_quicker, conversations

BATCH, RATE, RANK = 4, 5e-4, 16


def main() -> None:
    """Train for so many steps."""
    base, steps = Path(sys.argv[1]), int(sys.argv[2])
    import transformers
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    parent: Any = transformers.TrainerCallback

    class Watch(parent):  # type: ignore[misc]
        """When each step ended, and with which loss."""

        ends: list[float]
        losses: list[float]

        def __init__(self) -> None:
            self.ends, self.losses = [], []

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            """The first step begins."""
            self.ends.append(time.monotonic())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            """A step has ended."""
            self.ends.append(time.monotonic())

        def on_log(self, *_: Any, logs: dict[str, Any] | None = None, **__: Any) -> None:
            """Its loss."""
            if logs and "loss" in logs:
                self.losses.append(float(logs["loss"]))

    watch = Watch()
    records = [
        {"prompt": messages[:-1], "completion": messages[-1:]}
        for messages in conversations("cookbook_recipe_training.jsonl")
    ]
    with tempfile.TemporaryDirectory(prefix="plain-training-") as folder:
        trainer = SFTTrainer(
            model=AutoModelForCausalLM.from_pretrained(base),
            processing_class=AutoTokenizer.from_pretrained(base),
            train_dataset=Dataset.from_list(records),
            peft_config=LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM"),
            callbacks=[watch],
            args=SFTConfig(
                output_dir=folder,
                max_steps=steps,
                per_device_train_batch_size=BATCH,
                learning_rate=RATE,
                completion_only_loss=True,
                gradient_checkpointing=False,
                bf16=_bf16_is_quicker(),
                use_cpu=True,
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
        )
        trainer.train()
    seconds = [after - before for before, after in zip(watch.ends, watch.ends[1:], strict=False)]
    print(json.dumps({"seconds": seconds, "losses": watch.losses}))


if __name__ == "__main__":
    main()
