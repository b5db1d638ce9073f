"""A tuned model says the same wherever it is: in the trainer, read again, merged, served."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from providers.base import Method, TrainingRequest
from providers.local import base_models
from providers.local.settings import PROJECT, trainer_environment
from providers.local.training.run_folder import RunFolder, Status
from tests.providers.local.conftest import HYPERPARAMETERS, write_examples
from tests.providers.local.serving.conftest import serving

QUESTIONS = [f"say {number}" for number in range(20)]
"""What it was taught: where it knows nothing, two answers may be as likely as each other to the last digit."""
TOKENS = 24

ANSWER = f"""
import json, sys
def answers(model, tokenizer):
    import torch
    was, said = model.training, []
    model.eval()
    for question in {QUESTIONS!r}:
        messages = [{{"role": "user", "content": question}}]
        inputs = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        with torch.no_grad():
            out = model.generate(**inputs, max_new_tokens={TOKENS}, do_sample=False, use_cache=True)
        said.append(tokenizer.decode(out[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))
    model.train(was)
    return said
"""
TRAIN = """
import os
from pathlib import Path
from transformers import AutoTokenizer, PreTrainedModel
from peft import PeftModel
folder, cache, base, out = sys.argv[1:]
def answering(save):
    def saved(model, *rest, **more):
        if isinstance(model, PeftModel) or not hasattr(model, "peft_config"):
            said = answers(model, AutoTokenizer.from_pretrained(base))
            Path(out).write_text(json.dumps(said))
        return save(model, *rest, **more)
    return saved
for kind in (PeftModel, PreTrainedModel):
    kind.save_pretrained = answering(kind.save_pretrained)
sys.argv = ["trainer", folder, "--cache", cache]
from providers.local.training.__main__ import main
sys.stdout.flush(); status = main(); os._exit(status)
"""
AGAIN = """
from transformers import AutoModelForCausalLM, AutoTokenizer
from peft import PeftModel
base, tuned, whole = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(tuned)
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), tuned)
print(json.dumps(answers(model, tokenizer)))
model = model.merge_and_unload()
print(json.dumps(answers(model, tokenizer)))
model.save_pretrained(whole); tokenizer.save_pretrained(whole)
"""


def run(program: str, *arguments: object, cache: Path) -> str:
    """A program of its own, as the trainer is one. Its input stays open, by which a trainer knows that it may go on."""
    with subprocess.Popen(
        [sys.executable, "-c", ANSWER + program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=trainer_environment(cache) | {"PATH": os.environ["PATH"]},
        cwd=PROJECT,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.read()
    assert process.returncode == 0, said
    return said


def in_four_places(folder: Path, base_model: str, cache: Path, **hyperparameters) -> dict[str, list[str]]:
    """The answers of a model that is trained now: in the trainer, read again, merged, and served in both forms."""
    base = base_models.find(base_model, cache)
    work = RunFolder(folder / "run")
    work.path.mkdir()
    work.write_request(
        TrainingRequest(
            key="run-1-1",
            base_model=base_model,
            method=Method.SFT,
            train_path=write_examples(folder / "train.jsonl"),
            suffix="toy",
            folder=work.path,
            hyperparameters={**HYPERPARAMETERS, "checkpoint_steps": 1000, **hyperparameters},
        )
    )
    work.write_status(Status())
    run(TRAIN, work.path, cache, base, folder / "trained.json", cache=cache)
    assert work.read_status().status == "succeeded", work.read_status().error
    said = {"trained": json.loads((folder / "trained.json").read_text())}
    tuned = folder / "models" / "tuned"
    shutil.copytree(work.model_folder, tuned)
    names = ["tuned"]
    if (tuned / "adapter_config.json").is_file():
        lines = run(AGAIN, base, tuned, tuned / "merged", cache=cache).splitlines()
        said |= {"read again": json.loads(lines[-2]), "merged": json.loads(lines[-1])}
        shutil.copytree(tuned / "merged", folder / "models" / "whole")
        names += ["tuned-merged", "whole"]
    with serving(folder, cache) as server:
        for name in names:
            said[f"{name} served"] = [server.ask(name, question, TOKENS)[0] for question in QUESTIONS]
        said["base"] = [server.ask(base_model, question, TOKENS)[0] for question in QUESTIONS]
    return said


LONG = pytest.mark.full


@pytest.mark.parametrize(
    "tuning", ["lora", "full", pytest.param("dora", marks=LONG), pytest.param("rslora", marks=LONG)]
)
def test_a_tuned_model_says_the_same_wherever_it_is(tiny, tmp_path, tuning):
    rate = {"full": 2e-3, "rslora": 4e-3}.get(tuning, 1e-2)
    said = in_four_places(tmp_path, str(tiny), tmp_path / "cache", tuning=tuning, learning_rate=rate)
    base = said.pop("base")
    assert len(said) == (2 if tuning == "full" else 6)
    for place, answers in said.items():
        assert answers == said["trained"], place
    assert sum(one != other for one, other in zip(said["trained"], base, strict=True)) > len(QUESTIONS) / 2


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_the_real_model_says_the_same_wherever_it_is(tmp_path):
    said = in_four_places(tmp_path, "smollm2-135m-instruct", tmp_path / "cache", epochs=2, learning_rate=1e-3)
    base = said.pop("base")
    for place, answers in said.items():
        assert answers == said["trained"], place
    assert said["trained"] != base
