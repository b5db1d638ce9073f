"""A tiny model, a toy task, and one training of it that several modules look at."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from providers.base import Method, MetricPoint, ProviderJob, ProviderJobStatus, TrainingRequest
from providers.local.adapter import LocalTraining
from providers.local.settings import shut_off
from tests.tiny_model import make

shut_off()  # before a test imports a library that would look for a hub
MOVING = {ProviderJobStatus.PENDING, ProviderJobStatus.RUNNING}
HYPERPARAMETERS = {"epochs": 6, "batch_size": 4, "learning_rate": 1e-2, "lora_r": 8, "checkpoint_steps": 4}


@dataclass
class Followed:
    """A job seen to its end, with all that was told on the way."""

    job: ProviderJob
    points: list[MetricPoint]
    stages: list[str]

    @property
    def losses(self) -> dict[int, float]:
        return {point.step: point.loss for point in self.points if point.loss is not None}


def follow(training: LocalTraining, job: ProviderJob, until: Callable[[ProviderJob], bool] | None = None) -> Followed:
    """Poll until the job ends, or until a condition holds."""
    points, stages, deadline = list(job.metrics), [job.stage], time.monotonic() + 200
    while job.status in MOVING and not (until and until(job)):
        assert time.monotonic() < deadline, f"still {job.status}: {job.stage}"
        time.sleep(0.02)
        job = training.poll(job.id, job.cursor)
        points += job.metrics
        stages += [job.stage] if job.stage != stages[-1] else []
    return Followed(job, points, stages)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def training(tmp_path: Path) -> Iterator[LocalTraining]:
    """A provider whose trainers are gone when the test is over."""
    provider = LocalTraining(tmp_path / "cache")
    yield provider
    for trainer in provider._trainers.values():
        trainer.kill()
        trainer.wait()
        trainer.stdin.close()


def write_examples(path: Path, count: int = 24) -> Path:
    lines = []
    for number in range(count):
        said = [("user", f"say {number}"), ("assistant", f"it is {number} \u2013 d\u00e9j\u00e0 vu")]
        lines.append(json.dumps({"messages": [{"role": role, "content": text} for role, text in said]}))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def toy_request(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingRequest:
    """36 steps on the toy task; a test replaces key and folder."""
    folder = tmp_path_factory.mktemp("trained")
    return TrainingRequest(
        key="run-1-1",
        base_model=str(tiny),
        method=Method.SFT,
        train_path=write_examples(folder / "train.jsonl"),
        suffix="toy",
        folder=folder / "run",
        hyperparameters=HYPERPARAMETERS,
    )


@pytest.fixture(scope="session")
def trained(toy_request: TrainingRequest, tmp_path_factory: pytest.TempPathFactory) -> Followed:
    """The toy task trained without interruption, validated on its own examples."""
    training = LocalTraining(tmp_path_factory.mktemp("cache"))
    request = replace(toy_request, validation_path=toy_request.train_path)
    return follow(training, training.submit(request))
