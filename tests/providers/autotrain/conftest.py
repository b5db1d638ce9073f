"""AutoTrain's own environment for the long tests, and a stand-in that says what the real one has said before."""

import json
import os
import stat
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from providers.autotrain.adapter import AutoTrainTraining
from providers.autotrain.environment import Environment
from providers.base import Method, MetricPoint, ProviderEvent, ProviderJob, ProviderJobStatus, TrainingRequest
from tests.tiny_model import make

LOGS = Path(__file__).parent / "logs"
MOVING = {ProviderJobStatus.PENDING, ProviderJobStatus.RUNNING}
PAIRS = ("red", "green", "blue", "white", "black", "amber", "violet", "grey")


def question(number: int) -> tuple[str, str]:
    pair = [PAIRS[number % 8], PAIRS[(number // 8 + number) % 8]]
    return f"Flag {number} is {pair[0]} and {pair[1]}.", json.dumps(pair)


def write_examples(path: Path, method: Method = Method.SFT, count: int = 24) -> Path:
    lines = []
    for asked, answer in map(question, range(count)):
        user, said = [{"role": "user", "content": asked}], [{"role": "assistant", "content": answer}]
        worse = [{"role": "assistant", "content": "I like flags."}]
        pair = {"input": {"messages": user}, "preferred_output": said, "non_preferred_output": worse}
        lines.append(json.dumps(pair if method is Method.DPO else {"messages": user + said}))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def request_for(folder: Path, base: Path, method: Method = Method.SFT, **knobs) -> TrainingRequest:
    return TrainingRequest(
        key=str(folder),
        base_model=str(base),
        method=method,
        train_path=write_examples(folder / "train.jsonl", method),
        suffix="flags",
        folder=folder,
        hyperparameters={"epochs": 4, "learning_rate": 1e-2, "lora_r": 8, "checkpoint_steps": 50, **knobs},
    )


def works_in(folder: Path) -> list[int]:
    """The processes whose working folder is this one, or in it."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            if place.readlink().is_relative_to(folder):
                found.append(int(place.parent.name))
    return found


class Watched:
    """A job seen to its end, or until a condition holds."""

    def __init__(self, training: AutoTrainTraining, job: ProviderJob, until=None, seconds: float = 200) -> None:
        self.points: list[MetricPoint] = list(job.metrics)
        self.events: list[ProviderEvent] = list(job.events)
        self.stages = [job.stage]
        deadline = time.monotonic() + seconds
        while job.status in MOVING and not (until and until(job)):
            assert time.monotonic() < deadline, f"still {job.status}: {job.stage}"
            time.sleep(0.02)
            job = training.poll(job.id, job.cursor)
            self.points += job.metrics
            self.events += job.events
            self.stages += [job.stage] if job.stage != self.stages[-1] else []
        self.job = job


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model whose positions are turned by other angles than older libraries take for granted."""
    folder = make(tmp_path_factory.mktemp("tiny") / "model")
    config = json.loads((folder / "config.json").read_text())
    config["rope_parameters"]["rope_theta"] = 500.0
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="session")
def real_environment() -> Path:
    """AutoTrain's environment as the product builds it, kept for the next tests: it is large."""
    told = os.environ.get("TEST_AUTOTRAIN_ENVIRONMENT")
    if told:
        return Path(told)
    folder = Path(tempfile.gettempdir()) / "finetune-bot-tests"
    return Environment(folder).ensure(lambda _words: None, threading.Event())


@pytest.fixture
def stand_in(tmp_path: Path):
    """An environment whose `autotrain` is a script: it says what it is given to say, and ends with 0."""

    def made(log: str, script: str = "", *, adapter: Path | None = None) -> Environment:
        place = tmp_path / "environment"
        (place / "bin").mkdir(parents=True, exist_ok=True)
        copy = f"mkdir -p project; cp {adapter}/* project/" if adapter else ""
        program = place / "bin" / "autotrain"
        program.write_text(f"#!/bin/sh\n{script}\ncat {LOGS / log}\n{copy}\nexit 0\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return Environment(tmp_path / "unused", ready_made=place)

    return made
