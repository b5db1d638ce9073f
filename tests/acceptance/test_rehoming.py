"""A run whose base model its vendor ends: told in its thread, repeated at two other places, and set beside both."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.manifest import SHORTCUTS
from bot.sandbox import Sandbox
from tests.acceptance.conftest import examples
from tests.acceptance.player import CHANNEL, has, said
from tests.acceptance.vendors import Customer, installed
from tests.contracts.azure_openai import AzureStandIn
from tests.contracts.stand_in import StandIn

KEY = "sk-proj-canary0123456789"
MODEL = "gpt-4.1-mini-2025-04-14"
LATER = "2027-01-10"
"""Four days before OpenAI's stand-in ends the model."""
JOB_FILE = f"""\
finetune: 1
name: colours
dataset: colours_train.jsonl
test: colours_test.jsonl
provider: openai
base_model: {MODEL}
method: sft
hyperparameters: {{epochs: 2, batch_size: 8, learning_rate_multiplier: 0.5}}
openai:
  integrations: [{{type: wandb, wandb: {{project: colours}}}}]
"""


@pytest.fixture
def openai() -> Iterator[StandIn]:
    with StandIn(key=KEY, pace="poll") as vendor:
        yield vendor


@pytest.fixture
def azure() -> Iterator[AzureStandIn]:
    with AzureStandIn(pace="poll") as vendor:
        yield vendor


@pytest.fixture
def env(openai: StandIn, azure: AzureStandIn, tiny_model: Path) -> dict[str, str]:
    settings = {f"FINETUNE_BOT_{name.upper()}": value for name, value in azure.settings().items()}
    return {"FINETUNE_BOT_OPENAI_URL": openai.url, "FINETUNE_BOT_BASE_MODEL": str(tiny_model), **settings}


@pytest.mark.full
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_model_that_ends_is_repeated_twice_and_compared(
    home: Path, tmp_path: Path, env: dict[str, str], openai: StandIn, azure: AzureStandIn, database_url: str
):
    """The two are compared with what it said in its own evaluation, as it does not answer any more."""
    out = tmp_path / "transcript.txt"
    with Sandbox(shortcuts=SHORTCUTS) as sandbox:
        with installed(home, out, env, database_url=database_url, sandbox=sandbox) as customer:
            customer.enter_keys("openai", {"api_key": KEY})
            customer.enter_keys("azure_openai", azure.credentials())
            card = trained_at_openai(customer)
        env["FINETUNE_BOT_TODAY"] = LATER
        with installed(home, out, env, database_url=database_url, sandbox=sandbox) as customer:
            ending = customer.told(card, "the model answers until 14 January 2027 only, as OpenAI ends")

            customer.click(ending, "run_rehome_azure_openai")
            plan = customer.plan(customer.view("start_form"))
            words = said(plan)
            assert "Data, split and test are the same, so the two can be compared." in words
            assert "Kept: epochs 2, examples a step 8, learning rate multiplier 0.5." in words
            assert "Options that only the other vendor knows are dropped: integrations." in words
            at_azure = customer.confirm(plan)

            openai.account.deleted_models |= {MODEL, customer.run(1).tuned_model}
            customer.click(ending, "run_rehome_local")
            plan = customer.plan(customer.view("start_form"))
            words = said(plan)
            assert "Learning rate multiplier: 0.5 has no counterpart there and is dropped." in words
            assert "Kept: epochs 2, examples a step 8." in words
            here = customer.confirm(plan)

            customer.person.say(CHANNEL, "Flag 1 is red and blue.", thread_ts=card)
            customer.told(card, "OpenAI does not have this model")

            customer.until_ready(at_azure)
            told = said(customer.told(at_azure, "Was it worth it"))
            assert re.search(r"Measure +Base model +Tuned model +Run 1 \(OpenAI\)", told)
            assert f"Beside run 1 (OpenAI, {MODEL}), as it answered the same 40 examples" in told
            assert "no clear difference (95 % interval of the difference +0.00 to +0.00)" in told
            customer.until_ready(here)
            told = said(customer.told(here, "Was it worth it"))
            assert re.search(rf"Beside run 1 \(OpenAI, {MODEL}\), as it answered .*; this one is worse", told)
            assert re.search(r"Its best \(score .* Run 1 \(OpenAI\): \d", told)


def trained_at_openai(customer: Customer) -> str:
    """A run with settings of its own, ready; its card."""
    files = (("colours_train.jsonl", examples(48)), ("colours_test.jsonl", examples(40, start=500)))
    ts = customer.attach(*files, ("colours.yml", JOB_FILE.encode()))
    offer = customer.wait(
        lambda: next((one for one in customer.thread(ts) if has(one, "start_from_job_file")), None), "the job file"
    )
    customer.ready(ts)
    customer.click(offer, "start_from_job_file")
    card = customer.confirm(customer.plan(customer.view("start_form")))
    customer.until_ready(card)
    return card
