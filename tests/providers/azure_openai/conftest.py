"""Azure on this machine, and what a test asks of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from providers.base import DeploymentRequest, Method, TrainingRequest
from providers.settings import ProviderSettings
from tests.contracts.azure_openai import AzureStandIn

BASE = "gpt-4.1-mini-2025-04-14"
NAME = "ftb-r1-t-0123456789"


@pytest.fixture
def azure() -> Iterator[AzureStandIn]:
    """The stand-in; its provider jobs move on by hand."""
    with AzureStandIn(pace="hand") as running:
        yield running


@pytest.fixture
def settings(azure: AzureStandIn, tmp_path: Path) -> ProviderSettings:
    return ProviderSettings(home=tmp_path / "home", **azure.settings())


@pytest.fixture
def request_of(tmp_path: Path):
    """`request_of(key="run-2", ...)`: a training request with twelve examples."""
    path = tmp_path / "train.jsonl"
    lines = [
        {"messages": [{"role": "user", "content": f"question {n}"}, {"role": "assistant", "content": f"answer {n}"}]}
        for n in range(12)
    ]
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))

    def make(**given) -> TrainingRequest:
        usual = {
            "key": "run-1",
            "base_model": BASE,
            "method": Method.SFT,
            "train_path": path,
            "suffix": "support",
            "folder": tmp_path,
        }
        return TrainingRequest(**{**usual, **given})

    return make


@pytest.fixture
def tuned(azure: AzureStandIn) -> str:
    """A model that was tuned there."""
    account = azure.account
    line = json.dumps({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]})
    file = account.keep("x.jsonl", f"{line}\n".encode() * 12, "fine-tune")
    file.status = "processed"
    from tests.contracts.azure_openai_account import AzureJob

    asked = {"model": BASE, "training_file": file.id, "trainingType": "standard", "suffix": "s"}
    job = AzureJob("ftjob-made", asked, [json.loads(line)] * 12, 100)
    account.jobs[job.id] = job
    account.advance(job.id, "succeeded")
    return job.tuned


@pytest.fixture
def wanted(tuned: str) -> DeploymentRequest:
    """What is to be deployed of it."""
    return DeploymentRequest(NAME, tuned, "DeveloperTier", 1, BASE)
