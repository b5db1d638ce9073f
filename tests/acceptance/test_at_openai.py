"""Runs at OpenAI, from the key to the tuned model's deletion: by examples, by preferences, by a grader."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import examples
from tests.acceptance.player import has, said
from tests.acceptance.vendors import DATA, RECIPES, Customer, installed
from tests.contracts.stand_in import StandIn

KEY = "sk-proj-canary0123456789"
CREATE = "POST /fine_tuning/jobs"
JOB_FILE = """\
finetune: 1
name: countdown
goal: reach the target with all the numbers
dataset: foundry_rft_countdown.jsonl
provider: openai
base_model: o4-mini-2025-04-16
method: rft
hyperparameters: {epochs: 2, reasoning_effort: low}
test: held-out
openai:
  grader:
    type: string_check
    name: target
    input: "{{sample.output_text}}"
    reference: "{{item.target}}"
    operation: like
"""


@pytest.fixture(scope="module")
def openai() -> Iterator[StandIn]:
    with StandIn(key=KEY, pace="hand") as vendor:
        yield vendor


@pytest.fixture(scope="module")
def customer(
    home: Path, tmp_path_factory: pytest.TempPathFactory, openai: StandIn, tiny_model: Path, database_url: str
) -> Iterator[Customer]:
    env = {"FINETUNE_BOT_OPENAI_URL": openai.url, "FINETUNE_BOT_BASE_MODEL": str(tiny_model)}
    out = tmp_path_factory.mktemp("openai") / "transcript.txt"
    with installed(home, out, env, database_url=database_url) as someone:
        assert "OpenAI takes these credentials" in someone.enter_keys("openai", {"api_key": KEY})
        yield someone


def job_of(openai: StandIn, customer: Customer, number: int) -> str:
    """The provider job of a run, once it is there."""
    return str(customer.wait(lambda: _confirmed(customer, number), "the provider job"))


def _confirmed(customer: Customer, number: int) -> str:
    known = customer.run(number).provider_job_id
    return known if known.startswith("ftjob") else ""


@pytest.mark.parametrize("database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.full)], indirect=True)
def test_the_cookbooks_recipes(customer: Customer, openai: StandIn):
    """By examples: plan, card, curve, evaluation, cost, chat, gateway, checkpoints, deletion."""
    created = len(openai.calls(CREATE))
    report = customer.ready(customer.attach(*RECIPES))
    plan = customer.plan(customer.open_form("openai", report), {"name": "recipes", "goal": "list ingredients"})
    words = said(plan)
    assert "OpenAI: the data" in words
    assert "3 epochs × 13,428 tokens ≈ 40,284 tokens: $0.20" in words
    assert re.search(r"Cost: about \$0\.2\d\n", words)
    assert "Evaluation: 80 answers, about $0.0" in words
    assert "Prices: OpenAI API pricing, 5 August 2026" in words
    card = customer.confirm(plan)

    customer.until_card(card, "checking the files")
    job = job_of(openai, customer, 1)
    openai.advance(job)
    customer.until_card(card, "waiting in the vendor's queue")
    openai.advance(job)
    openai.advance(job)
    shown = customer.until_card(card, "step 5 of 10")
    assert "loss 0.500 (from 2.10)" in shown
    assert "validation loss 0.600" in shown
    openai.advance(job)
    customer.until_ready(card)

    shown = customer.until_card(card, r"cost \$0\.2\d.*: training \$0\.22 \(43,107 tokens\), evaluation \$0")
    assert "Worth it: the tuned model is better on 40 examples" in shown
    assert "training was estimated at $0.20, it was $0.01 more" in shown
    assert customer.curve(card).startswith(b"\x89PNG")
    assert "Was it worth it? recipes" in said(customer.told(card, "Was it worth it"))

    question = "Title: Tomato Salad Ingredients: tomatoes, olive oil, salt Generic ingredients:"
    answer = said(customer.ask(card, question))
    assert isinstance(json.loads(answer.splitlines()[0]), list)
    client, model = customer.api(card)
    with client:
        asked = [{"role": "user", "content": question}]
        assert client.chat.completions.create(model=model, messages=asked).choices[0].message.content in answer

    before = len(customer.secrets())
    customer.click(customer.thread(card)[0], "run_checkpoints")
    listed = customer.privately("Checkpoints of recipes", before)
    assert "step 5 · loss 0.500 · validation loss 0.600" in said(listed)
    known = {one["ts"] for one in customer.messages()}
    block = next(one for one in listed["blocks"] if "checkpoint_chat" in str(one))
    customer.click(listed, "checkpoint_chat", block_id=block["block_id"])
    root = customer.wait(
        lambda: next((one for one in customer.messages() if one["ts"] not in known and has(one, "endpoint_key")), None),
        "the checkpoint's message",
    )
    assert "recipes at step 5" in said(root)
    customer.wait(lambda: customer.is_bound(root["ts"]), "its thread")
    assert isinstance(json.loads(said(customer.ask(root["ts"], question)).splitlines()[0]), list)

    customer.click(customer.thread(card)[0], "run_more", selected_option="delete_model:1")
    customer.told(card, "The tuned model ft:.* is deleted at OpenAI")
    customer.told(card, "recipes is deleted: nobody answers here")
    customer.wait(lambda: "nobody answers here" in customer.card(root["ts"]), "the checkpoint's end")
    customer.until_card(card, "Its tuned model is deleted")
    assert openai.account.jobs[job].tuned in openai.account.deleted_models
    assert [one for one in openai.account.models() if one.startswith(openai.account.jobs[job].tuned)] == []
    assert len(openai.calls(CREATE)) == created + 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_preferences(customer: Customer, openai: StandIn):
    """By pairs of answers."""
    created = len(openai.calls(CREATE))
    report = customer.ready(customer.attach(DATA / "foundry_orca_dpo_validation.jsonl"))
    form = customer.open_form("openai", report)
    plan = customer.plan(form, {"name": "orca", "test_dataset_id": "nothing"})
    print(said(plan))
    card = customer.confirm(plan)
    customer.wait(lambda: len(openai.calls(CREATE)) > created, "the create call")
    sent = openai.calls(CREATE)[-1]["body"]
    assert sent["method"]["type"] == "dpo"
    openai.advance(next(reversed(openai.account.jobs)), "succeeded")
    customer.until_ready(card)
    assert len(openai.calls(CREATE)) == created + 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_grader_from_a_job_file(customer: Customer, openai: StandIn):
    """By reinforcement; the job file has the grader."""
    created = len(openai.calls(CREATE))
    ts = customer.attach(DATA / "foundry_rft_countdown.jsonl", ("countdown.yml", JOB_FILE.encode()))
    offer = customer.wait(
        lambda: next((one for one in customer.thread(ts) if has(one, "start_from_job_file")), None), "the job file"
    )
    customer.ready(ts)
    customer.click(offer, "start_from_job_file")
    form = customer.view("start_form")
    assert '"operation": "like"' in json.dumps(form).replace("\\", "")
    plan = customer.plan(form)
    print(said(plan))
    card = customer.confirm(plan)
    customer.wait(lambda: len(openai.calls(CREATE)) > created, "the create call")
    method = openai.calls(CREATE)[-1]["body"]["method"]
    assert method["type"] == "reinforcement"
    assert method["reinforcement"]["grader"]["operation"] == "like"
    assert method["reinforcement"]["hyperparameters"]["reasoning_effort"] == "low"
    openai.advance(next(reversed(openai.account.jobs)), "succeeded")
    customer.until_ready(card)
    assert len(openai.calls(CREATE)) == created + 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_openai_refuses_is_trained_here(customer: Customer, openai: StandIn):
    """There is no model to be compared with, and that is said."""
    files = (("colours_train.jsonl", examples(48)), ("colours_test.jsonl", examples(12, start=500)))
    form = customer.open_form("openai", customer.ready(customer.attach(*files)))
    openai.fault(CREATE, status=403)
    refused = customer.confirm(customer.plan(form, {"name": "colours"}))
    customer.until_card(refused, "Failed")
    customer.click(customer.told(refused, "here, free"), "run_rehome_local")
    plan = customer.plan(customer.view("start_form"))
    assert re.search(r"This repeats run \d+ \(colours\), which was for OpenAI\.", said(plan))
    card = customer.confirm(plan)
    customer.until_ready(card)
    told = said(customer.told(card, "Was it worth it"))
    assert re.search(r"Not set beside run \d+ \(OpenAI, .*\): it never came to a model that could have answered", told)
    assert re.search("Measure +Base model +Tuned model\n", told)
