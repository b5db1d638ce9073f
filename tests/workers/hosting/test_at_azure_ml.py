"""The same story through the real room of Azure Machine Learning, where machines of one's own take several steps."""

import dataclasses

import pytest

from providers.registry import build
from providers.settings import ProviderSettings
from tests.contracts.azure_ml import AzureMLStandIn
from tests.workers.hosting.conftest import TUNER
from workers import radar
from workers.hosting import serving
from workers.jobs import runner
from workers.runs import lifecycle
from workers.settings import Settings
from workers.tables import Credential, LeaseStatus, Run, Task

pytestmark = pytest.mark.parametrize("db", ["sqlite"], indirect=True)
MODEL = "support-01234567"


@pytest.fixture
def azure():
    with AzureMLStandIn() as running:
        running.workspace.models[MODEL] = {"1": "job"}
        yield running


@pytest.fixture
def at_azure(scene, azure, tmp_path):
    """The scene with the real room in it, and a base model that only machines of one's own host."""
    providers = build(ProviderSettings(home=tmp_path / "home", **azure.settings()))
    scene.context = dataclasses.replace(scene.context, providers=providers)
    with scene.db.write() as session:
        row = session.get_one(Credential, 1)
        row.provider, row.sealed = "azure_ml", scene.context.vault.seal(azure.credentials())
        run = session.get_one(Run, scene.run_id)
        run.provider, run.base_model, run.tuned_model = "azure_ml", "our-registry/bert", f"{MODEL}:1"
        run.plan = {**run.plan, "test_on": "nothing"}
        session.add_all([row, run])
    return scene


def attempt(scene):
    """One attempt of the task that deploys."""
    task = scene.rows(Task, kind="host_model")[-1]
    runner.carry(scene.context, task.id, task.attempt)


def test_each_step_is_asked_for_once(at_azure, azure):
    at_azure.begin()
    at_azure.work("host_model", rounds=20)
    assert (at_azure.row().status, at_azure.row().tier) == (LeaseStatus.READY, "Standard_NC24ads_A100_v4")
    assert [one.path.rpartition("/")[2] for one in azure.requests("PUT", "/onlineEndpoints/")] == [
        at_azure.row().name, "main", at_azure.row().name,
    ]  # fmt: skip


def test_what_is_to_end_gets_no_machine(at_azure, azure):
    azure.workspace.creating = 0
    at_azure.begin()
    attempt(at_azure)
    (endpoint,) = azure.workspace.endpoints.values()
    with at_azure.db.write() as session:
        lifecycle.cancel(session, TUNER, at_azure.run_id)
    at_azure.tend()
    azure.fault("DELETE", "/onlineEndpoints/", status=503, times=2)  # the second look comes before the deletion
    at_azure.work(soon=10**6, rounds=20)
    assert len(azure.requests("GET", "/deployments/main")) > 0
    assert endpoint.deployment is None
    assert len(azure.requests("PUT", "/onlineEndpoints/")) == 1
    assert azure.workspace.endpoints == {}


def test_a_look_at_what_was_half_removed_asks_for_no_machine(at_azure, azure):
    at_azure.begin()
    at_azure.work("host_model", rounds=20)
    row = at_azure.row()
    azure.workspace.endpoints[row.name].deployment = None  # somebody deleted the machine, not the endpoint
    asked = len(azure.requests("PUT", "/"))
    with at_azure.db.write() as session:
        serving.ask_for_look(session, row, every=60.0)
    at_azure.work("check_hosted_model")
    assert len(azure.requests("PUT", "/")) == asked
    assert at_azure.row().status is LeaseStatus.ENDING


def test_what_came_back_is_found_and_ended(at_azure, azure):
    at_azure.begin()
    at_azure.work("host_model", rounds=20)
    row = at_azure.row()
    kept = azure.workspace.endpoints[row.name]
    with at_azure.db.write() as session:
        session.delete(session.get_one(type(row), row.id))  # an older copy of the database was brought back
    azure.workspace.endpoints["theirs"] = dataclasses.replace(kept)
    with at_azure.db.write() as session:
        radar.tend(session, Settings(today="2026-11-25"))
    task = at_azure.rows(Task, kind="radar")[-1]
    runner.carry(at_azure.context, task.id, task.attempt)
    assert kept.deleting is not None
    assert azure.workspace.endpoints["theirs"].deleting is None
