"""What a resource offers, and what the harmless call finds out."""

from datetime import UTC, date, datetime

import pytest

from providers import azure_openai
from providers.base import DeploymentRequest, ModelKeeper
from providers.errors import (
    InvalidRequest,
    NotAllowed,
    NotConfigured,
    NotFound,
    ProviderError,
    RateLimited,
    Unavailable,
)
from tests.contracts.azure_openai import KEY, SECRET
from tests.contracts.azure_openai_account import SHUTDOWN
from tests.providers.azure_openai.conftest import BASE, NAME


@pytest.fixture
def models(azure, settings):
    found = azure_openai.build_models(settings, azure.credentials())
    assert isinstance(found, ModelKeeper)
    return found


def test_everything_works(azure, models):
    assert models.check() == (
        f"Azure OpenAI at {azure.endpoint.removeprefix('http://')} lets us fine-tune. It can host what is tuned "
        "(acme-openai, eastus2)."
    )
    assert {one["route"] for one in azure.plane.calls()} == {"GET /fine_tuning/jobs"}
    assert {one.method for one in azure.control.asked if one.path.startswith("/subscriptions")} == {"GET"}


def test_what_is_missing_is_said(azure, settings):
    said = azure_openai.build_models(settings, azure.credentials(hosting=False)).check()
    assert said.endswith("Missing: Subscription id, Resource group, Azure OpenAI resource name.")


def test_a_key_that_works_and_a_manager_that_refuses(azure, settings):
    azure.arm.roles.clear()
    both = {**azure.credentials(), "api_key": KEY}
    with pytest.raises(NotAllowed, match=r"lets us fine-tune\. But hosting does not work.*OpenAI Contributor"):
        azure_openai.build_models(settings, both).check()
    azure.arm.roles.add("Cognitive Services OpenAI Contributor")
    with pytest.raises(NotFound, match="But hosting does not work"):
        azure_openai.build_models(settings, {**both, "account": "nobodys"}).check()
    with pytest.raises(NotConfigured, match="But hosting does not work"):
        azure_openai.build_models(settings, {**both, "resource_group": "nobodys"}).check()


def test_an_endpoint_of_another_resource_is_warned_of(azure, models):
    azure.arm.data_plane = "https://somebody-else.openai.azure.com"
    assert "But the endpoint is not one of this resource's (somebody-else): look at both again." in models.check()


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"location": None, "properties": None},
        {"location": 7, "properties": {"endpoint": 7, "endpoints": {"x": None, "y": "https://[bad"}}},
    ],
)
def test_a_resource_of_no_known_shape(azure, models, body):
    azure.fault("GET arm:/accounts/acme-openai$", status=200, body=body)
    try:
        assert "lets us fine-tune" in models.check()
    except Unavailable:
        assert body == []


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 401, "message": f"not {SECRET}"}, NotAllowed),
        ({"status": 404}, NotFound),
        ({"status": 429, "headers": {"retry-after": "9"}}, RateLimited),
        ({"status": 503}, Unavailable),
        ({"cut": "before"}, Unavailable),
        ({"malformed": True}, Unavailable),
        ({"answer": []}, Unavailable),
    ],
)
def test_trouble_at_the_resource(azure, models, fault, kind):
    azure.fault("GET /fine_tuning/jobs", **fault)
    with pytest.raises(ProviderError) as caught:
        models.check()
    assert type(caught.value) is kind
    assert SECRET not in str(caught.value)
    assert len(azure.plane.calls()) == 1


def test_what_is_offered(models, tuned):
    found = {one.name: one for one in models.offered()}
    assert found[BASE].shutdown == datetime.fromtimestamp(SHUTDOWN, UTC).date()
    assert not found[BASE].tuned
    assert found[tuned].tuned


@pytest.mark.parametrize("when", [None, "soon", -1, 10**30, {}, 0])
def test_a_day_of_no_known_shape(azure, models, when):
    one = {"id": BASE, "deprecation": {"inference": when}}
    azure.fault("GET /models", answer={"data": [one, {"id": None}, 7, {"id": "b", "deprecation": None}]})
    assert {(one.name, one.shutdown) for one in models.offered()} == {(BASE, None), ("b", None)}


def test_checkpoints(azure, models, tuned):
    found = models.checkpoints("ftjob-made")
    assert [one.step for one in found] == [5, 10]
    assert found[-1].model == tuned
    assert models.offered()
    with pytest.raises(NotFound):
        models.checkpoints("ftjob-nobodys")


def test_deleting_a_model(azure, models, settings, tuned):
    hosting = azure_openai.build_hosting(settings, azure.credentials())
    hosting.deploy(DeploymentRequest(NAME, tuned, "DeveloperTier", 1, BASE))
    with pytest.raises(Unavailable):
        models.delete_model(tuned)
    azure.arm.deployments.clear()
    models.delete_model(tuned)
    models.delete_model(tuned)
    assert tuned not in {one.name for one in models.offered()}
    with pytest.raises(InvalidRequest):
        models.delete_model(BASE)


def test_shutdown_is_a_day(models):
    assert all(isinstance(one.shutdown, date) for one in models.offered())
