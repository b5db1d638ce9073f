"""Training on this machine beside a plain TRL script: same model, data, batches, rank, rate and steps.

python -m benchmarks training

The two take turns, so that whatever else the machine does hits both. Reported are the steps' median time with the
first steps left out, all of the time with them, what the bot's bookkeeping takes of it, and both final losses.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.plain_trl import RANK, RATE, ROWS
from providers.base import Method, ProviderJobStatus, TrainingRequest
from providers.local import base_models
from providers.local.adapter import LocalTraining

BASE = "smollm2-135m-instruct"
EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "cookbook_recipe_training.jsonl"
STEPS, ROUNDS, WARM = 26, 2, 4
"""Steps of one training, how often each is done, and how many steps are its warm-up."""
FASTER, MOST_OVERHEAD, NOISE = 1.3, 0.02, 0.25
"""How good it has to be; losses of the last steps may differ by so much of theirs."""


@dataclass(frozen=True)
class Trained:
    """One training: the seconds of each step, and its losses."""

    seconds: list[float]
    losses: list[float]
    bookkeeping: float = 0.0
    """Seconds in callbacks of ours."""

    @property
    def warm(self) -> float:
        """The median step's seconds after the warm-up."""
        return statistics.median(self.seconds[WARM:])

    @property
    def loss(self) -> float:
        """The mean of the last quarter of the losses."""
        return statistics.mean(self.losses[-max(1, len(self.losses) // 4) :])


def measure() -> dict[str, Any]:
    """Ratios of both, in one run."""
    with tempfile.TemporaryDirectory(prefix="bench-training-") as name:
        folder = Path(name)
        base = base_models.find(BASE, folder / "cache")
        plain, ours = [], []
        for number in range(ROUNDS):
            plain.append(_plain(base))
            ours.append(_ours(folder, number))
    warm = statistics.median(one.warm for one in plain) / statistics.median(one.warm for one in ours)
    whole = sum(sum(one.seconds) for one in plain) / sum(sum(one.seconds) for one in ours)
    overhead = sum(one.bookkeeping for one in ours) / sum(sum(one.seconds) for one in ours)
    losses = [statistics.mean(one.loss for one in some) for some in (plain, ours)]
    return {
        "faster_warm": round(warm, 3),
        "faster_with_warm_up": round(whole, 3),
        "overhead": round(overhead, 4),
        "loss_plain": round(losses[0], 3),
        "loss_ours": round(losses[1], 3),
        "steps": STEPS,
        "rounds": ROUNDS,
        "good": warm >= FASTER
        and whole >= FASTER
        and overhead <= MOST_OVERHEAD
        and abs(losses[0] - losses[1]) <= NOISE * losses[0],
    }


def _plain(base: Path) -> Trained:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.plain_training", str(base), str(STEPS)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    figures = json.loads(done.stdout.splitlines()[-1])
    return Trained(figures["seconds"], figures["losses"])


def _ours(folder: Path, number: int) -> Trained:
    """As the bot does it: the trainer in a process of its own, watched through its files."""
    examples = len(EXAMPLES.read_text().splitlines())
    provider = LocalTraining(folder / "cache")
    request = TrainingRequest(
        key=f"bench-{number}",
        base_model=BASE,
        method=Method.SFT,
        train_path=EXAMPLES,
        suffix="bench",
        folder=folder / f"run-{number}",
        hyperparameters={
            "epochs": STEPS * ROWS / examples,
            "batch_size": ROWS,
            "learning_rate": RATE,
            "lora_r": RANK,
            "warmup_ratio": 0.0,
        },
    )
    job = provider.submit(request)
    points = list(job.metrics)
    while job.status in {ProviderJobStatus.PENDING, ProviderJobStatus.RUNNING}:
        time.sleep(1.0)
        job = provider.poll(job.id, job.cursor)
        points += job.metrics
    if job.status is not ProviderJobStatus.SUCCEEDED:
        raise SystemExit(f"the training ended {job.status}: {job.error}")
    timed = json.loads((folder / f"run-{number}" / "timing.json").read_text())
    return Trained(timed["seconds"], [one.loss for one in points if one.loss is not None][:STEPS], timed["bookkeeping"])
