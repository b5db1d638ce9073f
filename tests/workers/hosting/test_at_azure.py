"""The same story through the real room of Azure OpenAI, at a stand-in of Azure on this machine."""

import dataclasses
import json
import time

import pytest

from providers.registry import build
from providers.settings import ProviderSettings
from tests.contracts.azure_openai import AzureStandIn
from tests.contracts.azure_openai_account import AzureJob
from tests.workers.hosting.conftest import TUNER
from workers import chat, hosting
from workers.jobs import runner
from workers.run_status import RunStatus
from workers.tables import Credential, LeaseStatus, Run, Task

BASE = "gpt-4.1-mini-2025-04-14"
pytestmark = pytest.mark.parametrize("db", ["sqlite"], indirect=True)


@pytest.fixture
def azure():
    with AzureStandIn(pace="hand") as running:
        yield running


@pytest.fixture
def at_azure(scene, azure, tmp_path):
    """The scene with the real room in it; the run's model was tuned at the stand-in."""
    line = json.dumps({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]})
    file = azure.account.keep("x.jsonl", f"{line}\n".encode() * 12, "fine-tune")
    file.status = "processed"
    asked = {"model": BASE, "training_file": file.id, "trainingType": "standard", "suffix": "s"}
    job = AzureJob("ftjob-made", asked, [json.loads(line)] * 12, 100)
    azure.account.jobs[job.id] = job
    azure.account.advance(job.id, "succeeded")
    providers = build(ProviderSettings(home=tmp_path / "home", **azure.settings()))
    scene.context = dataclasses.replace(scene.context, providers=providers)
    with scene.db.write() as session:
        row = session.get_one(Credential, 1)
        row.sealed = scene.context.vault.seal(azure.credentials())
        session.add(row)
        run = session.get_one(Run, scene.run_id)
        run.tuned_model, run.base_model = job.tuned, BASE
        session.add(run)
    return scene


def test_hosted_asked_deleted_and_deployed_again(at_azure, azure):
    row = at_azure.hosted()
    assert (row.status, row.tier, row.price_per_hour) == (LeaseStatus.READY, "DeveloperTier", 0.0)
    assert row.lives_until == pytest.approx(row.created_at + 24 * 3600)
    assert azure.arm.deployments[row.name].sku == {"name": "DeveloperTier", "capacity": 10}
    assert list(azure.arm.deployments) == [row.name]
    with at_azure.db.write() as session:
        turn = chat.receive(session, TUNER, thread_ts="1.1", message_ts="2.1", text="q")
    assert "".join(one.text for one in chat.answer(at_azure.context, turn.id)) == "a"
    with at_azure.db.write() as session:
        hosting.end(session, TUNER, row.id)
        hosting.wake(session, TUNER, at_azure.endpoint.id)
    at_azure.work(soon=300)
    assert list(azure.arm.deployments) == [at_azure.row().name] != [row.name]
    assert not at_azure.asleep()
    with at_azure.db.write() as session:
        hosting.end(session, TUNER, at_azure.row().id)
    at_azure.work(soon=10**6)
    assert azure.arm.deployments == {}


def test_hosted_longer_than_azure_lets_the_first_tier_live(at_azure, azure):
    row = at_azure.hosted()
    with at_azure.db.write() as session:
        assert hosting.keep(session, TUNER, row.id).ends_at == row.lives_until
        hosting.host_longer(session, TUNER, row.id)
    at_azure.work(soon=300)
    longer = at_azure.row()
    assert (longer.status, longer.tier, longer.price_per_hour) == (LeaseStatus.READY, "GlobalStandard", 1.7)
    assert longer.lives_until is None
    assert [(name, one.sku["name"]) for name, one in azure.arm.deployments.items()] == [(longer.name, "GlobalStandard")]
    assert not at_azure.asleep()
    with at_azure.db.write() as session:
        turn = chat.receive(session, TUNER, thread_ts="1.1", message_ts="2.1", text="q")
    assert "".join(one.text for one in chat.answer(at_azure.context, turn.id)) == "a"


def test_a_tuned_model_that_costs_by_the_hour_from_the_first(at_azure, azure):
    with at_azure.db.write() as session:
        run = session.get_one(Run, at_azure.run_id)
        run.base_model = "gpt-35-turbo-0125"
        session.add(run)
    row = at_azure.hosted()
    assert (row.tier, row.price_per_hour, row.lives_until) == ("Standard", 1.87, None)
    assert azure.arm.deployments[row.name].sku == {"name": "Standard", "capacity": 10}


def test_lost_answers_and_conflicts_make_no_second_deployment(at_azure, azure):
    azure.fault("PUT arm:/deployments/", status=409, times=3)
    azure.fault("GET arm:/deployments/", status=503, times=2)
    azure.fault("DELETE arm:/deployments/", status=500, times=2)
    row = at_azure.hosted()
    assert azure.arm.most_at_once == 2
    with at_azure.db.write() as session:
        hosting.end(session, TUNER, row.id)
    at_azure.work(soon=10**6)
    assert azure.arm.deployments == {}


def test_what_waits_for_azure_to_be_done_with_another_is_asked_again_soon_and_then_less_often(at_azure, azure):
    azure.arm.creating = 30
    at_azure.begin()
    waited = []
    for _ in range(8):
        for task in at_azure.rows(Task, kind="host_model"):
            runner.carry(at_azure.context, task.id, task.attempt)
        base = at_azure.rows(Task, kind="host_model")[-1]
        assert "still at something else" in base.last_error
        waited.append(round(base.due_at - time.time()))
    assert waited[0] < 5
    assert waited == sorted(waited)
    assert 10 < waited[-1] <= 20


def test_a_role_that_is_missing_is_said_and_leaves_nothing(at_azure, azure):
    roles, azure.arm.roles = azure.arm.roles, set()
    at_azure.begin()
    at_azure.work("host_model")
    assert at_azure.run.status is RunStatus.EVALUATING
    assert "Cognitive Services" in at_azure.said("problem")[0].data["text"]
    at_azure.once("unhost_model")
    assert at_azure.row().status is LeaseStatus.ENDING  # nobody can say that it is gone
    azure.arm.roles = roles
    at_azure.work("unhost_model", soon=10**6)
    assert {one.status for one in at_azure.rows()} <= {LeaseStatus.ENDED, LeaseStatus.FAILED}
    assert azure.arm.deployments == {}


def choose(scene, capacity):
    with scene.db.write() as session:
        run = session.get_one(Run, scene.run_id)
        run.plan = {**run.plan, "options": {"hosting_capacity": capacity}}
        session.add(run)


def test_the_capacity_that_was_chosen_stays_however_often_it_is_deployed(at_azure, azure):
    choose(at_azure, 25)
    row = at_azure.hosted()
    assert {one.capacity for one in at_azure.rows()} == {25}  # the base model's too
    assert azure.arm.deployments[row.name].sku["capacity"] == 25
    with at_azure.db.write() as session:
        hosting.host_longer(session, TUNER, row.id)
    at_azure.work(soon=300)
    assert [one.sku for one in azure.arm.deployments.values()] == [{"name": "GlobalStandard", "capacity": 25}]
    for asked, given in ((None, 25), (5, 5), (None, 5)):
        with at_azure.db.write() as session:
            hosting.end(session, TUNER, at_azure.row().id)
            hosting.wake(session, TUNER, at_azure.endpoint.id, asked)
        at_azure.work(soon=300)
        assert [one.sku["capacity"] for one in azure.arm.deployments.values()] == [given]


def test_a_quota_that_is_too_small_is_said_with_what_to_do(at_azure, azure):
    azure.arm.quota = 9
    at_azure.begin()
    at_azure.work(soon=300)
    text = at_azure.said("problem")[0].data["text"]
    assert "not enough quota left" in text
    assert "Choose a smaller capacity" in text
    assert azure.arm.deployments == {}
