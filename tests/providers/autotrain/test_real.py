"""The real AutoTrain on a tiny model.

Its environment is built the first time (2.2 GB); TEST_AUTOTRAIN_ENVIRONMENT names one that is there already.
"""

import json
import subprocess
import time
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from providers.autotrain.adapter import AutoTrainTraining
from providers.autotrain.environment import Environment
from providers.base import Method, ProviderJobStatus
from providers.local import portable
from tests.providers.autotrain.conftest import Watched, question, request_for, works_in

pytestmark = [
    pytest.mark.full,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning"),  # PEFT's own
]

THEIRS = """
import json, sys, torch
from transformers import AutoModelForCausalLM
from peft import PeftModel
base, adapter, tokens = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
model = AutoModelForCausalLM.from_pretrained(base).eval()
if adapter:
    model = PeftModel.from_pretrained(model, adapter).eval()
print(json.dumps(model(torch.tensor([tokens])).logits[0, -1].tolist()))
"""


@pytest.fixture(scope="module")
def training(real_environment, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    return AutoTrainTraining(cache, Environment(cache, ready_made=real_environment))


@pytest.fixture(scope="module", params=[Method.SFT, Method.DPO])
def trained(request, training, tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param) / "run"
    asked = request_for(folder, tiny, request.param, epochs=12 if request.param is Method.SFT else 3)
    return request.param, Watched(training, training.submit(asked), seconds=600)


def theirs(environment: Path, base: Path, adapter: Path | None, tokens: list[int]) -> torch.Tensor:
    """What the older libraries make of these tokens."""
    command = [environment / "bin" / "python", "-c", THEIRS, base, adapter or "", json.dumps(tokens)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return torch.tensor(json.loads(done.stdout.splitlines()[-1]))


def tokens_of(tiny: Path) -> list[int]:
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    messages = [{"role": "user", "content": question(3)[0]}]
    return tokenizer(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))["input_ids"]


def ours(tiny: Path, adapter: Path | None, tokens: list[int]) -> torch.Tensor:
    model = AutoModelForCausalLM.from_pretrained(tiny).eval()
    if adapter is not None:
        model = PeftModel.from_pretrained(model, adapter).eval()
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0, -1].float()


def test_it_learns_and_says_how_that_goes(trained):
    _, seen = trained
    assert seen.job.status is ProviderJobStatus.SUCCEEDED, seen.job.error
    losses = [point.loss for point in seen.points]
    assert [point.step for point in seen.points] == list(range(1, seen.job.total_steps + 1))
    assert losses[-1] < losses[0] / 3
    assert "training" in seen.stages
    assert any(point.tokens_per_second for point in seen.points)


def test_older_and_newer_libraries_agree_on_the_base_and_on_the_tuned_model(trained, real_environment, tiny):
    _, seen = trained
    folder, tokens = Path(seen.job.id), tokens_of(tiny)
    base, before = theirs(real_environment, folder / "base", None, tokens), ours(tiny, None, tokens)
    torch.testing.assert_close(base, before, atol=2e-4, rtol=1e-3)
    after = theirs(real_environment, folder / "base", folder / "project", tokens)
    torch.testing.assert_close(after, ours(tiny, folder / "model", tokens), atol=2e-3, rtol=1e-3)
    assert (after - before).abs().max() > 1


def test_without_our_translation_they_would_not_agree(real_environment, tiny, tmp_path):
    """The trap itself: if this fails one day, `portable.older_model` may go."""
    portable.older_model(tiny, tmp_path / "base")
    config = json.loads((tiny / "config.json").read_text())
    (tmp_path / "base" / "config.json").unlink()
    (tmp_path / "base" / "config.json").write_text(json.dumps(config))
    tokens = tokens_of(tiny)
    wrong = theirs(real_environment, tmp_path / "base", None, tokens)
    assert (wrong - ours(tiny, None, tokens)).abs().max() > 0.05


def test_the_tuned_model_answers_as_it_was_taught(trained, tiny):
    method, seen = trained
    if method is not Method.SFT:
        return
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), Path(seen.job.tuned_model)).eval()
    tokenizer = AutoTokenizer.from_pretrained(seen.job.tuned_model)
    tokens = torch.tensor([tokens_of(tiny)])
    with torch.no_grad():
        said = model.generate(tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=40, do_sample=False)
    answer = tokenizer.decode(said[0, tokens.shape[1] :])
    print(repr(answer))
    assert answer.startswith('["')
    assert answer.rstrip().endswith("<|end|>")


def test_weights_that_broke_are_no_success(training, tiny, tmp_path):
    """A learning rate at which everything becomes nan: the command ends with 0 and leaves an adapter all the same."""
    asked = request_for(tmp_path / "run", tiny, learning_rate=0.1, max_grad_norm=100.0, epochs=3)
    base = tmp_path / "broken"
    base.mkdir()
    for path in tiny.iterdir():
        (base / path.name).write_bytes(path.read_bytes())
    weights = load_file(base / "model.safetensors")
    save_file(
        {name: value * float("nan") for name, value in weights.items()}, base / "model.safetensors", {"format": "pt"}
    )
    asked = asked.__class__(**{**vars(asked), "base_model": str(base)})
    seen = Watched(training, training.submit(asked), seconds=600)
    assert seen.job.status is ProviderJobStatus.FAILED
    assert "no numbers" in seen.job.error


def test_cancelling_the_real_one_takes_seconds(training, tiny, tmp_path):
    asked = request_for(tmp_path / "run", tiny, epochs=50)
    seen = Watched(training, training.submit(asked), lambda job: job.step > 3, seconds=600)
    assert len(works_in(tmp_path / "run")) > 2
    began = time.monotonic()
    training.cancel(seen.job.id)
    assert Watched(training, seen.job).job.status is ProviderJobStatus.CANCELLED
    assert time.monotonic() - began < 5
    assert not works_in(tmp_path / "run")
