"""A run in an Azure Machine Learning workspace: a serverless endpoint for each model, and none at the end."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.player import has, said
from tests.acceptance.test_at_azure import validation
from tests.acceptance.vendors import DATA, Customer, installed
from tests.contracts.azure_ml import AzureMLStandIn


@pytest.fixture(scope="module")
def azure() -> Iterator[AzureMLStandIn]:
    with AzureMLStandIn(pace="hand") as vendor:
        yield vendor


@pytest.fixture(scope="module")
def customer(
    home: Path, tmp_path_factory: pytest.TempPathFactory, azure: AzureMLStandIn, database_url: str
) -> Iterator[Customer]:
    env = {f"FINETUNE_BOT_{name.upper()}": value for name, value in azure.settings().items()}
    out = tmp_path_factory.mktemp("azure_ml") / "transcript.txt"
    with installed(home, out, env, database_url=database_url) as someone:
        yield someone


@pytest.mark.parametrize("database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.full)], indirect=True)
def test_the_tutorials_clippy(customer: Customer, azure: AzureMLStandIn):
    """From the app registration to a workspace in which nothing is left that costs."""
    told = customer.enter_keys("azure_ml", azure.credentials())
    assert "Azure Machine Learning takes these credentials" in told
    files = (DATA / "azure_tutorial_training_set.jsonl", ("clippy_validation.jsonl", validation()))
    report = customer.ready(customer.attach(*files))
    plan = customer.plan(customer.open_form("azure_ml", report), {"name": "clippy"})
    words = said(plan)
    assert "Azure Machine Learning: the data" in words
    assert "Ministral-3B" in words
    assert re.search(r"Hosting: .* compared and for 4 h after that.*\$0\.65", words)
    assert "Azure Retail Prices, 11 August 2026" in words
    card = customer.confirm(plan)
    job = str(customer.wait(lambda: next(iter(azure.workspace.jobs), ""), "the job"))
    azure.workspace.metrics[job] = [
        {"key": "loss", "value": 3.0 / step, "step": step, "timestamp": step} for step in range(1, 11)
    ]
    azure.workspace.advance(job, "Running")
    customer.until_card(card, r"step 10\nloss 0\.300 \(from 3\.00\)")
    azure.workspace.advance(job, "Completed")
    customer.until_card(card, "Deploying|Evaluating|Ready")
    assert customer.curve(card).startswith(b"\x89PNG")
    customer.until_ready(card)
    assert len(azure.workspace.jobs) == 1
    assert len(azure.requests("PUT", "/jobs/")) == 1
    customer.told(card, "Was it worth it")
    shown = customer.until_card(card, "cost not known as a whole: training not known")
    assert "(Azure Machine Learning does not say how many tokens it has trained)" in shown
    assert "; training was estimated at under $0.01" in shown
    customer.wait(lambda: len(azure.workspace.endpoints) == 1, "the end of the base model's endpoint")

    question = "Who discovered Antarctica?"
    assert "Bellingshausen" in said(customer.ask(card, question))
    client, model = customer.api(card)
    with client:
        asked = [{"role": "user", "content": question}]
        assert "Bellingshausen" in str(client.chat.completions.create(model=model, messages=asked))
    before = len(customer.secrets())
    customer.click(customer.endpoint(card), "hosted_keep")
    customer.privately("It stays deployed until", before)

    customer.click(customer.endpoint(card), "hosted_end")
    customer.told(card, "hosted nowhere")
    assert azure.workspace.endpoints == {}
    customer.person.say("#finetuning", question, thread_ts=card)
    asleep = customer.told(card, "is asleep: its model is not deployed")
    customer.click(asleep, "endpoint_wake")
    customer.told(card, "is awake again")
    customer.wait(lambda: has(customer.endpoint(card), "hosted_end"), "the endpoint's buttons")
    assert "Bellingshausen" in said(customer.ask(card, question))

    customer.click(customer.thread(card)[0], "run_more", selected_option="delete_model:1")
    customer.told(card, "The tuned model .* is deleted at Azure Machine Learning", 90)
    customer.told(card, "clippy is deleted: nobody answers here")
    assert azure.workspace.endpoints == {}
    assert azure.workspace.models == {}
    assert azure.refused == []
