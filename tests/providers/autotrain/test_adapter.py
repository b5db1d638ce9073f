"""Runs from end to end with a stand-in for the command; the model and the examples are real."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from providers.autotrain.adapter import AutoTrainTraining
from providers.autotrain.run import Run
from providers.base import MetricPoint, ProviderJobStatus
from providers.errors import InvalidRequest, NotFound
from tests.providers.autotrain.conftest import Watched, request_for, write_examples


@pytest.fixture(scope="session")
def adapter(tmp_path_factory) -> Path:
    """An adapter as AutoTrain leaves one, with embeddings beside it that were only resized."""
    folder = tmp_path_factory.mktemp("adapter")
    name = "base_model.model.model.layers.0.self_attn.q_proj"
    weights = {
        f"{name}.lora_A.weight": np.ones((8, 96), np.float32),
        f"{name}.lora_B.weight": np.ones((96, 8), np.float32),
        "base_model.model.model.embed_tokens.weight": np.zeros((314, 96), np.float32),
    }
    save_file(weights, folder / "adapter_model.safetensors")
    settings = {"peft_type": "LORA", "r": 8, "base_model_name_or_path": "/run/base", "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture
def written(monkeypatch):
    """The model and the examples are not written anew for tests of what comes after."""
    facts = {"examples": 24, "tokens": 1300, "longest": 61, "longest_prompt": 0, "context": 512, "small": True}

    def portable(run, act, *_words):
        assert act == "write"
        (run.folder / "written.json").write_text(json.dumps({**facts, "gpu": False, "bf16": False}))

    monkeypatch.setattr(Run, "_portable", portable)


def test_a_run_from_its_examples_to_a_model(stand_in, adapter, tiny, tmp_path):
    training = AutoTrainTraining(tmp_path / "cache", stand_in("sft.log", adapter=adapter))
    request = request_for(tmp_path / "run", tiny)
    request = request.__class__(**{**vars(request), "validation_path": write_examples(tmp_path / "watched.jsonl")})
    job = training.submit(request)
    assert training.submit(request).id == job.id
    seen = Watched(training, job)
    assert seen.job.status is ProviderJobStatus.SUCCEEDED, seen.job.error
    assert [point.step for point in seen.points] == list(range(1, 41))
    assert all(isinstance(point, MetricPoint) for point in seen.points)
    assert (seen.job.step, seen.job.total_steps, seen.job.total_epochs) == (40, 40, 4.0)
    assert "reading the examples" in seen.stages
    said = " ".join(event.message for event in seen.events)
    assert "watches nothing" in said
    assert "every token" in said
    model = Path(seen.job.tuned_model)
    assert all(".lora_" in key for key in load_file(model / "adapter_model.safetensors"))
    assert json.loads((model / "model.json").read_text()) == {"base_model": str(tiny)}
    assert json.loads((model / "adapter_config.json").read_text())["base_model_name_or_path"] == str(tiny)
    assert (model / "chat_template.jinja").read_text() == (tiny / "chat_template.jinja").read_text()
    assert training.find(request.key).id == job.id
    assert training.poll(job.id, seen.job.cursor).metrics == []


@pytest.mark.parametrize(
    ("log", "words", "leaves"),
    [
        ("failed.log", "AutoTrain failed: CUDA is required", True),
        ("killed.log", "ran out of memory", False),
        ("sft.log", "without a model and without saying why", False),
    ],
)
def test_an_exit_status_of_0_is_believed_nothing(stand_in, adapter, written, tiny, tmp_path, log, words, leaves):
    training = AutoTrainTraining(tmp_path / "cache", stand_in(log, adapter=adapter if leaves else None))
    seen = Watched(training, training.submit(request_for(tmp_path / "run", tiny)))
    assert (seen.job.status, seen.job.tuned_model) == (ProviderJobStatus.FAILED, None)
    assert words in seen.job.error


@pytest.mark.parametrize(("act", "status"), [("cancel", "cancelled"), ("pause", "paused")])
def test_the_end_comes_within_seconds_and_takes_the_program_with_it(stand_in, written, tiny, tmp_path, act, status):
    script = f"sleep 120 & echo $! > {tmp_path}/part; mv {tmp_path}/part {tmp_path}/inner; sleep 120"
    training = AutoTrainTraining(tmp_path / "cache", stand_in("sft.log", script))
    job = training.submit(request_for(tmp_path / "run", tiny))
    seen = Watched(training, job, lambda _: (tmp_path / "inner").exists())
    began = time.monotonic()
    getattr(training, act)(job.id)
    ended = Watched(training, seen.job).job
    assert time.monotonic() - began < 5
    assert ended.status == status
    number = int((tmp_path / "inner").read_text())
    stat = Path(f"/proc/{number}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"
    with pytest.raises(InvalidRequest, match="cannot go on"):
        training.resume(job.id)


def test_what_can_be_known_to_be_wrong_is_said_before_anything_starts(stand_in, tiny, tmp_path):
    training = AutoTrainTraining(tmp_path / "cache", stand_in("sft.log"))
    with pytest.raises(InvalidRequest, match="whole epochs"):
        training.submit(request_for(tmp_path / "run", tiny, epochs=0.5))
    request = request_for(tmp_path / "run", tiny)
    request.train_path.unlink()
    with pytest.raises(InvalidRequest, match="not there any more"):
        training.submit(request)
    assert training.find(request.key) is None


def test_a_job_of_another_process_is_not_known_and_a_cursor_is_checked(stand_in, tmp_path):
    training = AutoTrainTraining(tmp_path / "cache", stand_in("sft.log"))
    with pytest.raises(NotFound):
        training.poll(str(tmp_path / "run"))


def test_a_base_model_that_is_not_here_is_said_in_the_words_of_who_looked(stand_in, tmp_path):
    training = AutoTrainTraining(tmp_path / "cache", stand_in("sft.log"))
    seen = Watched(training, training.submit(request_for(tmp_path / "run", tmp_path / "nowhere")))
    assert seen.job.status is ProviderJobStatus.FAILED
    assert "There is no base model" in seen.job.error
