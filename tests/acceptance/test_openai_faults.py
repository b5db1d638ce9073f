"""What goes wrong during a run at OpenAI, and processes that are killed: nothing is lost or asked for twice."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.sandbox.cast import TEAM_ID
from tests.acceptance.conftest import examples
from tests.acceptance.player import has, said
from tests.acceptance.vendors import Customer, installed
from tests.contracts.stand_in import StandIn

KEY, OTHER_KEY = "sk-proj-canary0123456789", "sk-proj-canary9876543210"
SECRET = "whsec_c2lsdmVyLWNhbmFyeS0wMTIzNDU2Nzg5"
CREATE, LIST, POLL = "POST /fine_tuning/jobs", "GET /fine_tuning/jobs", "GET /fine_tuning/jobs/{id}"

pytestmark = pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.full)], indirect=True, scope="module"
)


@pytest.fixture(scope="module")
def openai() -> Iterator[StandIn]:
    with StandIn(key=KEY, pace="hand") as vendor:
        yield vendor


@pytest.fixture(scope="module")
def customer(
    home: Path, tmp_path_factory: pytest.TempPathFactory, openai: StandIn, database_url: str
) -> Iterator[Customer]:
    out = tmp_path_factory.mktemp("faults") / "transcript.txt"
    with installed(home, out, {"FINETUNE_BOT_OPENAI_URL": openai.url}, database_url=database_url) as someone:
        yield someone


def started(customer: Customer, name: str) -> str:
    """A run with a test of its own; its card."""
    number = len(customer.messages())
    files = (f"{name}_train.jsonl", examples(48, start=number)), (f"{name}_test.jsonl", examples(12, start=500))
    report = customer.ready(customer.attach(*files))
    return customer.confirm(customer.plan(customer.open_form("openai", report), {"name": name}))


def test_one_misfortune_after_the_other(customer: Customer, openai: StandIn):
    openai.key = KEY
    openai.clear()
    customer.enter_keys("openai", {"api_key": KEY, "webhook_secret": SECRET})

    sent, seen = threading.Event(), threading.Event()
    openai.fault(CREATE, cut="after", until=sent)
    card = started(customer, "unlucky")
    customer.wait(lambda: openai.calls(CREATE), "the create call")
    openai.fault(LIST, until=seen)  # it is not found before somebody has seen that it is looked for
    sent.set()
    customer.until_card(card, "Asking the provider whether it has started")
    seen.set()
    customer.until_card(card, "checking the files")
    assert len(openai.calls(CREATE)) == 1
    job = next(reversed(openai.account.jobs))

    openai.fault(POLL, status=429, headers={"retry-after": "200"})
    customer.until_card(card, "OpenAI asks us to slow down. It is asked again at")
    polls = len(openai.calls(POLL))
    openai.advance(job, "running")
    openai.advance(job)
    address = f"{customer.installation.gateway_url}/webhooks/openai/{TEAM_ID}"
    assert openai.webhook(job, address, "whsec_bm90LXRoZS1zZWNyZXQtb2YtYW55Ym9keQ==") == 401
    assert len(openai.calls(POLL)) == polls
    assert openai.webhook(job, address, SECRET) == 200
    shown = customer.until_card(card, "step 5 of 10")
    assert "slow down" not in shown

    openai.key = OTHER_KEY
    shown = customer.until_card(card, "OpenAI refuses the credentials since")
    assert "an admin must renew them" in shown
    assert KEY not in shown
    assert "takes these credentials" in customer.enter_keys("openai", {"api_key": OTHER_KEY})
    customer.wait(lambda: "refuses" not in customer.card(card), "the end of the trouble", 60)

    openai.forget(job)
    shown = customer.until_card(card, "Failed", 120)
    assert "OpenAI has no such training any more: somebody must have deleted it there" in shown
    problem = customer.told(card, "here, free")
    customer.click(problem, "run_rehome_local")
    form = customer.view("start_form")
    assert "unlucky-local" in said(form) + str(form)
    customer.person.close(form)
    assert len(openai.calls(CREATE)) == 1


def test_processes_are_killed(customer: Customer, openai: StandIn):
    openai.key = KEY
    openai.clear()
    customer.enter_keys("openai", {"api_key": KEY})
    pids = customer.installation.supervisor.pids

    killed = threading.Event()
    openai.fault(CREATE, until=killed)
    card = started(customer, "killed")
    customer.wait(lambda: openai.calls(CREATE), "the create call")
    os.kill(pids()["worker-cloud"], signal.SIGKILL)
    killed.set()
    customer.until_card(card, "checking the files", 90)
    job = next(reversed(openai.account.jobs))

    os.kill(pids()["dispatcher"], signal.SIGKILL)
    openai.advance(job, "running")
    openai.advance(job)
    customer.until_card(card, "step 5 of 10")
    os.kill(pids()["worker-cloud"], signal.SIGKILL)
    openai.advance(job)
    customer.until_ready(card)
    assert "Worth it" in customer.card(card)
    assert len(openai.calls(CREATE)) == 1
    assert sum(has(one, "endpoint_key") for one in customer.thread(card)) == 1
    assert sum("Was it worth it?" in said(one) for one in customer.thread(card)) == 1
