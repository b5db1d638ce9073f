"""Every way of tuning really trains, is saved, and answers otherwise than its base."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from providers.base import ProviderJobStatus
from providers.errors import InvalidRequest
from providers.local.training import precision, recipe, weights
from providers.local.training.best import NOTES, WEIGHTS, Best
from providers.local.training.control import Control
from providers.local.training.knobs import Knobs
from providers.local.training.run_folder import Reporter, RunFolder
from tests.providers.local.conftest import follow

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # of libraries about one another


@pytest.fixture
def train(training, toy_request, tmp_path):
    """Train the toy task with more settings; the job and what was told on the way."""

    def run(validation_path=None, **knobs):
        asked = replace(
            toy_request,
            validation_path=validation_path,
            key="tuning",
            folder=tmp_path / "run",
            hyperparameters={**toy_request.hyperparameters, "epochs": 2, **knobs},
        )
        return follow(training, training.submit(asked))

    return run


@pytest.mark.parametrize(
    "knobs",
    [
        {"tuning": "dora", "target_modules": "attention", "scheduler": "cosine", "weight_decay": 0.01},
        {"tuning": "rslora", "optimizer": "adafactor", "neftune_noise": 5, "gradient_checkpointing": "on"},
        {"quantization": "nf4", "packing": "padding-free", "learn": "everything", "batch_size": "auto"},
    ],
)
def test_adapters_of_every_kind_learn(train, knobs):
    seen = train(**knobs)
    assert seen.job.status is ProviderJobStatus.SUCCEEDED, seen.job.error
    losses = list(seen.losses.values())
    assert losses[-1] < losses[0] * 0.8
    folder = Path(seen.job.tuned_model)
    kept = json.loads((folder / "adapter_config.json").read_text())
    assert kept["use_dora"] is (knobs.get("tuning") == "dora")
    assert kept["use_rslora"] is (knobs.get("tuning") == "rslora")
    if knobs.get("target_modules") == "attention":
        assert set(kept["target_modules"]) == set(weights.ATTENTION)


def test_all_weights_are_a_whole_model(train):
    seen = train(tuning="full", learning_rate=3e-3, packing="packed", max_length=128)
    assert seen.job.status is ProviderJobStatus.SUCCEEDED, seen.job.error
    folder = Path(seen.job.tuned_model)
    assert json.loads((folder / "model.json").read_text())["tuning"] == "full"
    assert (folder / "model.safetensors").is_file()
    assert not (folder / "adapter_config.json").exists()


def test_what_this_machine_cannot_do_is_said(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InvalidRequest, match="fp16 needs a GPU"):
        precision.is_fp16(Knobs(precision="fp16"))
    with pytest.raises(InvalidRequest, match="FlashAttention 2 needs an NVIDIA GPU"):
        weights._attention(Knobs(attention="flash_attention_2"))
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(InvalidRequest, match="pip install bitsandbytes"):
        weights._quantisation(Knobs(quantization="nf4"))


def test_a_training_that_no_longer_gets_better_ends_early_with_its_best_model(train, toy_request, tmp_path):
    others = [json.loads(line) for line in toy_request.train_path.read_text().splitlines()]
    answers = [one["messages"][-1]["content"] for one in others]
    for one, answer in zip(others, [*answers[1:], answers[0]], strict=True):
        one["messages"][-1]["content"] = answer  # of another question: the better it is learnt, the worse is this
    watched = tmp_path / "watched.jsonl"
    watched.write_text("".join(json.dumps(one) + "\n" for one in others))
    seen = train(validation_path=watched, epochs=40, early_stopping=2)
    assert seen.job.status is ProviderJobStatus.SUCCEEDED, seen.job.error
    assert seen.job.step < seen.job.total_steps
    folder = Path(seen.job.tuned_model).parent
    best = json.loads((folder / "best.json").read_text())
    losses = {point.step: point.validation_loss for point in seen.points if point.validation_loss is not None}
    assert best["step"] == min(losses, key=losses.get) < seen.job.step
    kept = load_file(folder / "best.safetensors")
    saved = load_file(Path(seen.job.tuned_model) / "adapter_model.safetensors")
    assert len(kept) == len(saved) > 0
    for name, tensor in saved.items():
        assert torch.equal(
            tensor, kept[name.replace("_A.weight", "_A.default.weight").replace("_B.weight", "_B.default.weight")]
        )


@pytest.fixture
def paused_at(toy_request, tmp_path):
    """Train with a validation after each epoch of six steps, in this process, and pause at a step."""

    def run(step):
        asked = {**toy_request.hyperparameters, "epochs": 2}
        folder = RunFolder(tmp_path)
        folder.write_request(
            replace(toy_request, validation_path=toy_request.train_path, folder=tmp_path, hyperparameters=asked)
        )
        reporter = Reporter(folder)
        control = Control(reporter)
        steps = iter(range(1, 100))
        control.pause_wanted = SimpleNamespace(is_set=lambda: next(steps) == step)  # asked once at each step
        recipe.train(folder, tmp_path / "cache", reporter, control)
        assert folder.read_status().status is ProviderJobStatus.PAUSED
        return folder

    return run


def test_a_checkpoint_at_an_epochs_end_knows_its_validation(paused_at):
    folder = paused_at(6)
    newest = folder.checkpoints()[-1]
    assert newest.name == "checkpoint-6"
    known = json.loads((newest / "best.json").read_text())
    assert known["step"] == 6
    looks = [point for point in folder.news().metrics if point.validation_loss is not None]
    assert [(point.step, point.validation_loss) for point in looks] == [(6, pytest.approx(known["loss"]))]


def test_a_pause_within_an_epoch_does_not_wait_for_a_validation(paused_at):
    assert [(point.step, point.validation_loss) for point in paused_at(2).news().metrics] == [(1, None), (2, None)]


def test_stopping_early_with_nothing_watched_is_said(toy_request, tmp_path):
    asked = {**toy_request.hyperparameters, "epochs": 0.3, "early_stopping": 2}
    folder = RunFolder(tmp_path)
    folder.write_request(replace(toy_request, folder=tmp_path, hyperparameters=asked))
    reporter = Reporter(folder)
    recipe.train(folder, tmp_path / "cache", reporter, Control(reporter))
    assert folder.read_status().status is ProviderJobStatus.SUCCEEDED
    assert any("watched while training" in one.message for one in folder.news().events)


def test_looks_that_were_no_number_leave_notes_alone_and_a_restart_reads_them(tmp_path):
    folder, there = RunFolder(tmp_path / "run"), tmp_path / "checkpoint"
    folder.path.mkdir()
    there.mkdir()
    notes = {"loss": math.inf, "step": 0, "waited": 2, "by_reward": False}
    (there / NOTES).write_text(json.dumps(notes))
    known = Best(folder, 3, there)
    assert (known._waited, known._step) == (2, 0)
    assert not (folder.path / WEIGHTS).exists()
