"""Azure Machine Learning on this machine, and what a test asks of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from providers import azure_ml
from providers.base import Method, TrainingRequest
from providers.settings import ProviderSettings
from tests.contracts.azure_ml import AzureMLStandIn
from tests.contracts.azure_ml_workspace import MLWorkspace

BASE = "Ministral-3B"


@pytest.fixture(scope="package")
def running() -> Iterator[AzureMLStandIn]:
    """One for all tests: azurite takes seconds to start."""
    with AzureMLStandIn() as azure:
        yield azure


@pytest.fixture
def azure(running: AzureMLStandIn) -> AzureMLStandIn:
    """The stand-in, as new; its jobs move on by hand."""
    old = running.workspace
    running.workspace = MLWorkspace(sas=old.sas, blob=old.blob)
    running.server.asked.clear()
    running.server.faults.clear()
    running.refused.clear()
    running.empty()
    return running


@pytest.fixture
def settings(azure: AzureMLStandIn, tmp_path: Path) -> ProviderSettings:
    return ProviderSettings(home=tmp_path / "home", **azure.settings())


@pytest.fixture
def training(azure: AzureMLStandIn, settings: ProviderSettings) -> azure_ml.AzureMLTraining:
    return azure_ml.build_training(settings, azure.credentials())


@pytest.fixture
def hosting(azure: AzureMLStandIn, settings: ProviderSettings) -> azure_ml.AzureMLHosting:
    return azure_ml.build_hosting(settings, azure.credentials())


@pytest.fixture
def chat(azure: AzureMLStandIn, settings: ProviderSettings) -> azure_ml.AzureMLChat:
    return azure_ml.build_chat(settings, azure.credentials())


@pytest.fixture
def models(azure: AzureMLStandIn, settings: ProviderSettings) -> azure_ml.AzureMLModels:
    return azure_ml.build_models(settings, azure.credentials())


@pytest.fixture
def request_of(tmp_path: Path):
    """`request_of(key="run-2", ...)`: a training request with twelve examples."""
    path = tmp_path / "train.jsonl"
    path.write_text("".join(f"{json.dumps(_example(n))}\n" for n in range(12)))

    def make(**given) -> TrainingRequest:
        usual = {
            "key": f"{tmp_path.name}-1",
            "base_model": BASE,
            "method": Method.SFT,
            "train_path": path,
            "suffix": "support",
            "folder": tmp_path,
            "hyperparameters": {"epochs": 3, "batch_size": 1, "learning_rate": 2e-5},
        }
        return TrainingRequest(**{**usual, **given})

    return make


def _example(n: int) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": f"question {n}"}, {"role": "assistant", "content": f"answer {n}"}]}
