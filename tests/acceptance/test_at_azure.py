"""A run at Azure OpenAI, whose models cost by the hour: deployed, leased, compared, kept, deleted, woken, forgotten."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.player import has, said
from tests.acceptance.vendors import DATA, Customer, installed
from tests.contracts.azure_openai import AzureStandIn

CREATE = "POST /fine_tuning/jobs"
SYSTEM = "Clippy is a factual chatbot that is also sarcastic."
VALIDATION = (
    ("What is the capital of Australia?", "Canberra. Not Sydney, however often you have been told so."),
    ("How many players are in a football team?", "Eleven, unless your school was short of friends."),
    ("What is the largest desert in the world?", "Antarctica. Yes, ice counts. Look it up."),
    ("Who wrote Don Quixote?", "Some fellow called Miguel de Cervantes. It is about windmills, mostly."),
    ("How far is the Moon from Earth?", "About 384,400 kilometres. Bring a sandwich."),
    ("What is the chemical symbol of gold?", "Au, as everybody who stayed awake in chemistry knows."),
    ("Who composed the Moonlight Sonata?", "Beethoven. Moonlight had nothing to do with it."),
    ("What is the tallest mountain on Earth?", "Mount Everest. It is rather hard to overlook."),
    ("How many continents are there?", "Seven, give or take a geographer's mood."),
    ("What does DNA stand for?", "Deoxyribonucleic acid. Try saying that three times."),
)


def validation() -> bytes:
    """Ten examples of the tutorial's kind."""
    lines = []
    for question, answer in VALIDATION:
        said = (("system", SYSTEM), ("user", question), ("assistant", answer))
        lines.append(json.dumps({"messages": [{"role": role, "content": content} for role, content in said]}))
    return ("\n".join(lines) + "\n").encode()


@pytest.fixture(scope="module")
def azure() -> Iterator[AzureStandIn]:
    with AzureStandIn(pace="poll") as vendor:
        yield vendor


@pytest.fixture(scope="module")
def customer(
    home: Path, tmp_path_factory: pytest.TempPathFactory, azure: AzureStandIn, database_url: str
) -> Iterator[Customer]:
    env = {f"FINETUNE_BOT_{name.upper()}": value for name, value in azure.settings().items()}
    out = tmp_path_factory.mktemp("azure") / "transcript.txt"
    with installed(home, out, env, database_url=database_url) as someone:
        yield someone


@pytest.mark.parametrize("database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.full)], indirect=True)
def test_the_tutorials_clippy(customer: Customer, azure: AzureStandIn):
    """From the app registration to a resource on which nothing is left that costs."""
    assert "Azure OpenAI takes these credentials" in customer.enter_keys("azure_openai", azure.credentials())
    files = (DATA / "azure_tutorial_training_set.jsonl", ("clippy_validation.jsonl", validation()))
    report = customer.ready(customer.attach(*files))
    plan = customer.plan(customer.open_form("azure_openai", report), {"name": "clippy"})
    words = said(plan)
    assert "Azure OpenAI: the data" in words
    assert "Cost: under $0.01" in words
    assert re.search(r"Training: \d+ epochs × [\d,]+ tokens ≈ [\d,]+ tokens", words)
    assert re.search(r"Hosting: .* compared and for 4 h after that.* no cost by the hour", words)
    assert "Azure OpenAI ends it after 24 h" in words
    assert "Evaluation: 20 answers" in words
    assert "Azure Retail Prices, 11 August 2026" in words
    card = customer.confirm(plan)
    customer.until_card(card, "Deploying", 90)
    assert not [one for one in customer.thread(card) if "Reply in this thread" in said(one)]
    customer.until_ready(card)
    assert len(azure.plane.calls(CREATE)) == 1
    assert customer.curve(card).startswith(b"\x89PNG")
    customer.told(card, "Was it worth it")
    customer.until_card(card, r"cost .*: training under \$0\.01 \([\d,]+ tokens\)")

    question = "Who discovered Antarctica?"
    assert "Bellingshausen" in said(customer.ask(card, question))
    client, model = customer.api(card)
    with client:
        asked = [{"role": "user", "content": question}]
        assert "Bellingshausen" in str(client.chat.completions.create(model=model, messages=asked))

        before = len(customer.secrets())
        customer.click(customer.endpoint(card), "hosted_keep")
        customer.privately("It stays deployed until", before)
        customer.wait(lambda: has(customer.endpoint(card), "hosted_longer"), "the way to host it longer")
        customer.click(customer.endpoint(card), "hosted_longer")
        customer.told(card, r"costs \$1\.70/h · until")
        customer.wait(lambda: [one.sku["name"] for one in azure.arm.deployments.values()] == ["GlobalStandard"], "one")
        before = len(customer.secrets())
        customer.click(customer.endpoint(card), "hosted_end")
        customer.privately("The deployment is being deleted", before)
        customer.told(card, "hosted nowhere")
        assert azure.arm.deployments == {}
        with pytest.raises(Exception, match="asleep"):
            client.chat.completions.create(model=model, messages=asked)

        customer.person.say("#finetuning", question, thread_ts=card)
        asleep = customer.told(card, "is asleep: its model is not deployed")
        customer.click(asleep, "endpoint_wake")
        customer.wait(lambda: "clippy is ready" in said(customer.endpoint(card)), "the model")
        assert "Bellingshausen" in said(customer.ask(card, question))
        assert "Bellingshausen" in str(client.chat.completions.create(model=model, messages=asked))

    customer.click(customer.endpoint(card), "hosted_end")
    customer.wait(lambda: not azure.arm.deployments, "the end of the deployment")
    customer.click(customer.thread(card)[0], "run_more", selected_option="delete_model:1")
    customer.told(card, "The tuned model .* is deleted at Azure OpenAI")
    customer.told(card, "clippy is deleted: nobody answers here")
    assert azure.arm.deployments == {}
    assert azure.arm.most_at_once == 2  # the tuned model and the base model, while they were compared
    assert [one for one in azure.account.models() if ".ft-" in one] == []
    assert len(azure.plane.calls(CREATE)) == 1
