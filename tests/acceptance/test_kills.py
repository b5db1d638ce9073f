"""Every process is killed in the middle of training; the run ends as if nothing had happened."""

import os
import re
import signal
from collections import Counter

import psutil
import pytest
from sqlmodel import col, select

from bot.launch import Installation
from tests.acceptance.conftest import examples
from tests.acceptance.player import Player, has, said
from workers.tables import Run, RunEvent, RunMetric

pytestmark = pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.full)], indirect=True, scope="module"
)
STEPS = 600
CHECKPOINT = 10


def trainer_pid(installation: Installation) -> int:
    """The process that trains, found among the gpu worker's descendants."""
    worker = psutil.Process(installation.supervisor.pids()["worker-gpu"])
    for child in worker.children(recursive=True):
        if "providers.local.training" in " ".join(child.cmdline()):
            return child.pid
    raise AssertionError("nobody trains")


def horse_pid(installation: Installation) -> int:
    worker = psutil.Process(installation.supervisor.pids()["worker-gpu"])
    return next(child.pid for child in worker.children() if "workers.queues.horse" in " ".join(child.cmdline()))


VICTIMS = {
    "worker": lambda installation: installation.supervisor.pids()["worker-gpu"],
    "horse": horse_pid,
    "trainer": trainer_pid,
    "bot": lambda installation: installation.supervisor.pids()["bot"],
    "notifier": lambda installation: installation.supervisor.pids()["notifier"],
    "valkey": lambda installation: installation.supervisor.pids()["valkey"],
}
TRAINING = ("trainer", "horse", "worker")
"""With these the training dies too, and another attempt goes on."""
CASES = [
    TRAINING,
    ("bot", "notifier", "valkey"),
    *(pytest.param((one,), marks=pytest.mark.full) for one in VICTIMS),
]
"""Who is killed in one run, one after the other."""


@pytest.fixture(scope="module")
def data(installation: Installation) -> None:
    """The dataset that every run of this module learns from."""
    player = Player(installation.sandbox_url, logs=installation.logs)
    player.report(player.attach(("kills_train.jsonl", examples(48)), ("kills_test.jsonl", examples(12, start=48))))


@pytest.fixture(scope="module")
def unkilled(data: None, installation: Installation) -> dict[int, float]:
    """The losses, by step, of a run that nobody disturbs."""
    player = Player(installation.sandbox_url, logs=installation.logs)
    player.until_ready(player.start({"epochs": "50", "name": "undisturbed"}))
    return of_run(installation, "undisturbed")[1]


@pytest.mark.parametrize("victims", CASES, ids="+".join)
def test_kills_change_nothing(
    victims: tuple[str, ...], installation: Installation, player: Player, unkilled: dict[int, float]
):
    assert sorted(unkilled) == list(range(1, STEPS + 1))
    name = " ".join(["kills", *(victim[:3] for victim in victims)])
    card = player.start({"epochs": "50", "name": name})
    seen = []
    for number, victim in enumerate(victims, 1):
        player.wait(lambda: len(resumed_at(installation, name)) == len(seen), "the next attempt", 120)
        at = max(100 * number, 1 + max(seen, default=0))
        step = player.wait(lambda at=at: reached(installation, at), f"step {at}", 120)
        os.kill(VICTIMS[victim](installation), signal.SIGKILL)
        if victim in TRAINING:
            seen.append(step)
    player.until_ready(card)

    run, losses = of_run(installation, name)
    assert sorted(losses) == sorted(unkilled)
    assert f"step {STEPS} of {STEPS}" in player.card(card)
    for step, loss in losses.items():
        assert loss == pytest.approx(unkilled[step], rel=0.02, abs=0.02), step
    went_on = resumed_at(installation, name)
    assert len(went_on) == len(seen)
    assert all(at > before - CHECKPOINT for at, before in zip(went_on, seen, strict=True)), (went_on, seen)
    told = Counter(kind(one) for one in player.thread(card))
    assert (told["curve"], told["evaluation"], told["endpoint"]) == (1, 1, 1)
    assert sum(f"Run {run.id} by" in said(one) for one in player.messages()) == 1


def reached(installation: Installation, step: int) -> int:
    db = installation.database()
    with db.read() as session:
        newest = session.exec(select(Run).order_by(col(Run.id).desc()).limit(1)).one()
    db.dispose()
    at = int(newest.progress.get("step") or 0)
    return at if at >= step else 0


def of_run(installation: Installation, name: str) -> tuple[Run, dict[int, float]]:
    db = installation.database()
    with db.read() as session:
        run = session.exec(select(Run).where(Run.name == name)).one()
        metrics = session.exec(select(RunMetric).where(RunMetric.run_id == run.id)).all()
    db.dispose()
    return run, {one.step: one.loss for one in metrics if one.loss is not None}


def resumed_at(installation: Installation, name: str) -> list[int]:
    """The steps at which later attempts went on, as the run's history says."""
    db = installation.database()
    with db.read() as session:
        events = session.exec(select(RunEvent.message).join(Run).where(Run.name == name)).all()
    db.dispose()
    return [int(found[1]) for found in (re.search(r"Going on at step (\d+)", message) for message in events) if found]


def kind(message: dict) -> str:
    if any(file["name"].startswith("loss-curve") for file in message.get("files") or []):
        return "curve"
    if has(message, "endpoint_key"):
        return "endpoint"
    return "evaluation" if "Was it worth it?" in said(message) else "other"
