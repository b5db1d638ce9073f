"""A training that is killed at random moments, again and again, learns what one learns that is never killed."""

import random
import time
from dataclasses import replace

import pytest

from providers.base import ProviderJobStatus
from tests.providers.local.conftest import MOVING, follow

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]
KILLS = 10
LONGER = {"epochs": 20, "checkpoint_steps": 5, "learning_rate": 3e-3, "lora_dropout": 0.1}


@pytest.mark.parametrize("more", [{}, {"packing": "padding-free", "gradient_accumulation": 2, "batch_size": 2}])
def test_ten_kills_change_nothing(training, toy_request, tmp_path, more):
    wanted = replace(
        toy_request,
        validation_path=toy_request.train_path,
        hyperparameters={**toy_request.hyperparameters, **LONGER, **more},
    )
    alone = follow(training, training.submit(replace(wanted, key="alone", folder=tmp_path / "alone")))
    assert alone.job.status is ProviderJobStatus.SUCCEEDED, alone.job.error
    chance = random.Random(11)
    losses, resume_from, kills, attempt = {}, None, 0, 0
    while True:
        attempt += 1
        request = replace(wanted, key=f"try-{attempt}", folder=tmp_path / f"try-{attempt}", resume_from=resume_from)
        seen = _until_killed(training, request, chance if kills < KILLS else None)
        losses |= seen.losses
        if seen.job.status is ProviderJobStatus.SUCCEEDED:
            break
        assert seen.job.status is ProviderJobStatus.INTERRUPTED
        kills += 1
        resume_from = seen.job.checkpoints[-1] if seen.job.checkpoints else resume_from
    assert kills == KILLS
    assert losses == pytest.approx(alone.losses, rel=1e-4)


def _until_killed(training, request, chance):
    """Follow an attempt to its end; with `chance` it is killed some steps on, or before its first."""
    job = training.submit(request)
    steps = chance.randrange(0, 12) if chance else 10**9
    begun = int(request.resume_from.name.rpartition("-")[2]) if request.resume_from else 0
    seen = follow(training, job, until=lambda job: job.step >= begun + steps and job.stage == "training")
    if seen.job.status in MOVING:
        time.sleep(chance.random() * 0.3)
        training._trainers[job.id].kill()
        rest = follow(training, training.poll(job.id, seen.job.cursor))
        return replace(rest, points=[*seen.points, *rest.points])
    return seen
