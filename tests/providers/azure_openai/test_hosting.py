"""Deployments: asked for once, ready when they have answered, and gone when Azure has them no more."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from providers import azure_openai
from providers.base import ChatMessage, ChatRequest, DeploymentRequest, DeploymentStatus, HostingProvider
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
from tests.providers.azure_openai.conftest import BASE, NAME

PUT = ("PUT", "/deployments/")


@pytest.fixture
def hosting(azure, settings):
    found = azure_openai.build_hosting(settings, azure.credentials())
    assert isinstance(found, HostingProvider)
    return found


def until_ready(hosting, name=NAME, most=10):
    seen = []
    for _ in range(most):
        seen.append(hosting.deployment(name))
        if seen[-1].status is DeploymentStatus.READY:
            return seen
    raise AssertionError(seen)


def test_from_asking_to_gone(azure, hosting, settings, wanted):
    assert hosting.deployment(NAME).status is DeploymentStatus.GONE
    asked = hosting.deploy(wanted)
    assert (asked.status, asked.target) == (DeploymentStatus.CREATING, "")
    seen = until_ready(hosting)
    assert [one.vendor_status for one in seen] == ["Creating", "Succeeded, does not answer yet", "Succeeded"]
    assert seen[-1].target == NAME
    chat = azure_openai.build_chat(settings, azure.credentials())
    said = list(chat.stream(ChatRequest(seen[-1].target, [ChatMessage("user", "q")])))
    assert said[0].text == "a"
    assert chat.models() == [NAME]
    assert hosting.undeploy(NAME).status is DeploymentStatus.DELETING
    assert hosting.deployment(NAME).status is DeploymentStatus.GONE
    assert hosting.undeploy(NAME).status is DeploymentStatus.GONE
    with pytest.raises(NotFound):
        list(chat.stream(ChatRequest(NAME, [ChatMessage("user", "q")])))


def test_what_is_sent(azure, hosting, wanted):
    hosting.deploy(replace(wanted, tier="GlobalStandard", capacity=50))
    (put,) = azure.control.requests(*PUT)
    assert put.path.endswith(
        f"/resourceGroups/tuning/providers/Microsoft.CognitiveServices/accounts/acme-openai/deployments/{NAME}"
    )
    assert put.json() == {
        "sku": {"name": "GlobalStandard", "capacity": 50},
        "properties": {"model": {"format": "OpenAI", "name": wanted.model, "version": "1"}},
    }


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        (BASE, {"format": "OpenAI", "name": "gpt-4.1-mini", "version": "2025-04-14"}),
        ("gpt-35-turbo-0125", {"format": "OpenAI", "name": "gpt-35-turbo", "version": "0125"}),
        ("gpt-4o", {"format": "OpenAI", "name": "gpt-4o"}),
    ],
)
def test_a_base_model_is_deployed_by_its_name_and_version(azure, hosting, model, sent):
    tier = next(one for one in hosting.tiers(model) if one.for_base_models)
    hosting.deploy(DeploymentRequest("ftb-r1-b-0", model, tier.id, 1, model))
    assert azure.control.requests(*PUT)[0].json()["properties"]["model"] == sent
    until_ready(hosting, "ftb-r1-b-0")


def test_asking_again_makes_no_second_one(azure, hosting, wanted):
    for _ in range(3):
        hosting.deploy(wanted)
        hosting.deployment(NAME)
    until_ready(hosting)
    hosting.deploy(wanted)
    assert len(azure.control.requests(*PUT)) == 1
    assert azure.arm.most_at_once == 1


def test_tiers_the_cheapest_first(hosting):
    tiers = hosting.tiers(BASE)
    assert [one.id for one in tiers] == ["DeveloperTier", "GlobalStandard", "Standard"]
    assert [one.lives_hours for one in tiers] == [24.0, None, None]
    assert [one.id for one in tiers if one.for_base_models] == ["GlobalStandard", "Standard"]
    assert "DeveloperTier" not in {one.id for one in hosting.tiers("gpt-35-turbo-0125")}


def test_one_that_is_stuck_stays_on_its_way(azure, hosting, wanted):
    azure.arm.outcome = ""
    hosting.deploy(wanted)
    for _ in range(5):
        assert hosting.deployment(NAME).status is DeploymentStatus.CREATING


@pytest.mark.parametrize("state", ["Failed", "Canceled", "Disabled"])
def test_one_that_fails_says_so_and_may_be_asked_for_again(azure, hosting, wanted, state):
    azure.arm.outcome = state
    hosting.deploy(wanted)
    hosting.deployment(NAME)
    seen = hosting.deployment(NAME)
    assert (seen.status, seen.vendor_status) == (DeploymentStatus.FAILED, state)
    assert "Activity log" in (seen.error or "")
    azure.arm.outcome, azure.arm.deployments[NAME].state = "Succeeded", "Failed"
    hosting.deploy(wanted)
    until_ready(hosting)


def test_azures_own_words_for_a_failure(azure, hosting, wanted):
    hosting.deploy(wanted)
    error = {"code": "InternalError", "message": f"No capacity\x1b[31m in this region. {SECRET}"}
    body = {"name": NAME, "properties": {"provisioningState": "Failed", "error": error}}
    azure.fault("GET arm:/deployments/", status=200, body=body)
    assert hosting.deployment(NAME).error == "No capacity [31m in this region. [secret]"


def test_one_that_was_deleted_behind_our_back(azure, hosting, wanted):
    hosting.deploy(wanted)
    until_ready(hosting)
    del azure.arm.deployments[NAME]
    assert hosting.deployment(NAME).status is DeploymentStatus.GONE
    hosting.deploy(wanted)
    assert until_ready(hosting)[1].status is DeploymentStatus.CREATING, "it has to answer anew"


def test_one_that_takes_its_time_to_answer(azure, hosting, wanted):
    azure.arm.warming = 4
    hosting.deploy(wanted)
    assert len(until_ready(hosting)) == 6
    questions = len(azure.plane.calls("POST /chat/completions"))
    hosting.deployment(NAME)
    assert len(azure.plane.calls("POST /chat/completions")) == questions, "it is not asked for ever"


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 429, "headers": {"retry-after": "300"}},
        {"status": 500},
        {"status": 503},
        {"status": 404, "code": "DeploymentNotFound"},
        {"cut": "before"},
        {"cut": "middle"},
        {"malformed": True},
    ],
)
def test_trouble_with_the_first_question_is_waited_for(azure, hosting, wanted, fault):
    azure.arm.warming = 0
    azure.fault("POST /chat/completions", **fault)
    hosting.deploy(wanted)
    hosting.deployment(NAME)
    assert hosting.deployment(NAME).status is DeploymentStatus.CREATING
    assert hosting.deployment(NAME).status is DeploymentStatus.READY


def test_a_first_question_that_is_refused(azure, hosting, wanted):
    azure.arm.warming = 0
    hosting.deploy(wanted)
    hosting.deployment(NAME)
    azure.fault("POST /chat/completions", status=401)
    with pytest.raises(NotAllowed):
        hosting.deployment(NAME)
    azure.fault("POST /chat/completions", status=400, code="OperationNotSupported")
    with pytest.raises(InvalidRequest):
        hosting.deployment(NAME)
    azure.fault("POST /chat/completions", status=400, code="unsupported_parameter")
    assert hosting.deployment(NAME).status is DeploymentStatus.READY, "the model itself has said so"


def test_the_role_that_is_missing_is_named(azure, hosting, wanted):
    azure.arm.roles.clear()
    for ask in (lambda: hosting.deploy(wanted), lambda: hosting.deployment(NAME), lambda: hosting.undeploy(NAME)):
        with pytest.raises(NotAllowed, match="Cognitive Services OpenAI Contributor"):
            ask()


def test_azure_does_one_thing_at_a_time(azure, hosting, wanted):
    hosting.deploy(wanted)
    base = DeploymentRequest("ftb-r1-b-0", BASE, "Standard", 1, BASE)
    with pytest.raises(Unavailable, match="still at something else") as caught:
        hosting.deploy(base)
    assert caught.value.retry_after is None  # Azure names no time: whoever asks looks again soon, and then less often
    until_ready(hosting)
    hosting.deploy(base)
    until_ready(hosting, base.name)


def test_a_quota_that_is_used_up(azure, hosting, wanted):
    azure.arm.quota = 1
    with pytest.raises(NotAllowed, match=r"quota.*smaller capacity"):
        hosting.deploy(replace(wanted, capacity=2))


def test_a_model_that_is_not_there(hosting, wanted):
    with pytest.raises(InvalidRequest, match="not supported"):
        hosting.deploy(replace(wanted, model=f"{BASE}.ft-nobody"))


def test_somebody_elses_deployment_is_left_alone(azure, hosting, wanted):
    hosting.deploy(wanted)
    azure.arm.deployments[NAME].model = {"format": "OpenAI", "name": "gpt-4o", "version": "2024-08-06"}
    with pytest.raises(InvalidRequest, match="another model"):
        hosting.deploy(wanted)
    assert len(azure.control.requests(*PUT)) == 1


def test_one_that_is_still_being_deleted(azure, hosting, wanted):
    azure.arm.deleting = 3
    hosting.deploy(wanted)
    until_ready(hosting)
    hosting.undeploy(NAME)
    assert hosting.deployment(NAME).status is DeploymentStatus.DELETING
    with pytest.raises(Unavailable, match="still being deleted"):
        hosting.deploy(wanted)


@pytest.mark.parametrize("change", [{"tier": "Gold"}, {"tier": ""}, {"model": ""}, {"capacity": 0}, {"name": "a/../b"},
                                    {"name": "x" * 65}, {"name": ""}, {"model": BASE}])  # fmt: skip
def test_what_cannot_be_asked_for_is_not_sent(azure, hosting, wanted, change):
    with pytest.raises(InvalidRequest):
        hosting.deploy(replace(wanted, **change))
    assert not azure.control.asked


@pytest.mark.parametrize("name", ["", "a/b", "..", "a?b", "x" * 65])
def test_names_that_are_none(azure, hosting, name):
    for ask in (hosting.deployment, hosting.undeploy):
        with pytest.raises(InvalidRequest):
            ask(name)
    assert not azure.control.asked


@pytest.mark.parametrize("field", ["subscription_id", "resource_group", "account"])
def test_a_resource_that_is_not_there_is_not_a_deployment_that_is_gone(azure, settings, field):
    other = "44444444-4444-4444-8444-444444444444" if field == "subscription_id" else "other"
    hosting = azure_openai.build_hosting(settings, {**azure.credentials(), field: other})
    with pytest.raises(NotConfigured, match="finetune keys"):
        hosting.deployment(NAME)


FAULTS = [
    ({"status": 401, "body": {"error": {"code": "ExpiredAuthenticationToken", "message": "x"}}}, NotAllowed),
    ({"status": 403, "body": {"error": {"code": "AuthorizationFailed", "message": "x"}}}, NotAllowed),
    ({"status": 409, "body": {"error": {"code": "RequestConflict", "message": "x"}}}, Unavailable),
    ({"status": 429, "body": {}, "headers": {"retry-after": "3"}}, RateLimited),
    ({"status": 429, "body": {}, "headers": {"retry-after": "300"}}, RateLimited),
    ({"status": 500, "body": b"<html>"}, Unavailable),
    ({"status": 503, "body": {}, "headers": {"retry-after": "5"}}, Unavailable),
    ({"status": 200, "body": b"{half"}, Unavailable),
    ({"cut": True}, Unavailable),
    ({"half": True}, Unavailable),
]


@pytest.mark.parametrize(("fault", "kind"), FAULTS)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_trouble_at_the_resource_manager(azure, hosting, wanted, fault, kind, method):
    if method != "PUT":
        hosting.deploy(wanted)
    ask = {"GET": lambda: hosting.deployment(NAME), "PUT": lambda: hosting.deploy(wanted),
           "DELETE": lambda: hosting.undeploy(NAME)}[method]  # fmt: skip
    azure.fault(f"{method} arm:/deployments/", **fault)
    asked = len(azure.control.requests(method, "/deployments/"))
    started, error = time.monotonic(), None
    try:
        ask()
    except ProviderError as problem:
        error = problem
    nothing_to_read = fault.get("status") == 200 or ("half" in fault and method == "DELETE")
    if method == "GET" or not nothing_to_read:
        assert type(error) is kind, "what a change answers need not be read, but what it refuses must"
    if error is not None and "headers" in fault:
        assert error.retry_after == float(fault["headers"]["retry-after"])
    assert time.monotonic() - started < 3, "nothing is waited for"
    assert len(azure.control.requests(method, "/deployments/")) == asked + 1, "nothing is asked twice"
    until_ready(hosting) if method != "DELETE" and hosting.deploy(wanted) else hosting.undeploy(NAME)


@pytest.mark.parametrize(
    "body",
    [[], None, "x", {}, {"properties": None}, {"properties": {"provisioningState": None}}, {"name": 7},
     {"properties": {"provisioningState": 7, "model": None}}, {"properties": {"provisioningState": "Teleporting"}},
     {"properties": {"provisioningState": "x" * 10_000}}, {"properties": []}],
)  # fmt: skip
def test_a_description_of_no_known_shape_is_not_taken_for_an_end(azure, hosting, wanted, body):
    hosting.deploy(wanted)
    azure.fault("GET arm:/deployments/", status=200, body=body)
    try:
        seen = hosting.deployment(NAME)
    except Unavailable:
        return
    assert seen.status is DeploymentStatus.CREATING
    assert len(seen.vendor_status) <= 40


def test_an_answer_to_the_wish_that_is_lost(azure, hosting, wanted):
    azure.fault("PUT arm:/deployments/", cut=True, late=True)
    with pytest.raises(Unavailable):
        hosting.deploy(wanted)
    hosting.deploy(wanted)
    until_ready(hosting)
    assert len(azure.control.requests(*PUT)) == 1
    azure.fault("DELETE arm:/deployments/", cut=True, late=True)
    with pytest.raises(Unavailable):
        hosting.undeploy(NAME)
    assert hosting.deployment(NAME).status in {DeploymentStatus.DELETING, DeploymentStatus.GONE}


def test_a_manager_that_says_nothing_is_not_waited_for_for_ever(azure, hosting, monkeypatch, settings):
    from providers._azure import identity

    usual = identity.network

    def short(of):
        found = usual(of)
        found.connection_config.read_timeout = 0.5
        return found

    monkeypatch.setattr(identity, "network", short)
    impatient = azure_openai.build_hosting(settings, azure.credentials())
    azure.fault("GET arm:/deployments/", hang=20.0)
    started = time.monotonic()
    with pytest.raises(Unavailable):
        impatient.deployment(NAME)
    assert time.monotonic() - started < 5


def test_no_secret_is_in_what_is_raised(azure, settings, wanted):
    hosting = azure_openai.build_hosting(settings, {**azure.credentials(), "api_key": KEY})
    body = {"error": {"code": "X", "message": f"you sent {KEY} and {SECRET} and Bearer eyJabc.def"}}
    azure.fault("PUT arm:/deployments/", status=400, body=body)
    with pytest.raises(InvalidRequest) as caught:
        hosting.deploy(wanted)
    for secret in (KEY, SECRET, "eyJabc"):
        assert secret not in str(caught.value)


def test_several_at_once(azure, hosting, wanted):
    hosting.deploy(wanted)
    until_ready(hosting)
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda _: hosting.deployment(NAME).status, range(40)))
    assert set(seen) == {DeploymentStatus.READY}


def test_a_name_of_azures_making_that_we_do_not_know(azure, hosting, wanted):
    with pytest.raises(InvalidRequest):
        hosting.deploy(replace(wanted, model="acme-2026-01-01"))
    sent = azure.control.requests(*PUT)[0].json()["properties"]["model"]
    assert sent == {"format": "OpenAI", "name": "acme-2026-01-01", "version": "1"}, "it is no base model's date"


def test_no_secret_is_in_the_log(azure, settings, wanted, caplog):
    caplog.set_level(logging.DEBUG)
    hosting = azure_openai.build_hosting(settings, {**azure.credentials(), "api_key": KEY})
    hosting.deploy(wanted)
    until_ready(hosting)
    azure_openai.build_models(settings, azure.credentials()).check()
    assert caplog.records
    for secret in (KEY, SECRET, *azure.entra.tokens):
        assert secret not in caplog.text


def test_ours_are_listed_by_how_their_names_begin(azure, hosting, wanted):
    assert hosting.ours("ftb-") == []
    hosting.deploy(wanted)
    until_ready(hosting)
    other = replace(wanted, name="ftb-r2-t-0", tier="Standard")
    hosting.deploy(other)
    assert hosting.ours("ftb-r1-") == [NAME]
    assert sorted(hosting.ours("ftb-")) == [NAME, "ftb-r2-t-0"]  # what is being made counts
    hosting.undeploy(NAME)
    assert hosting.ours("ftb-") == ["ftb-r2-t-0"]
    azure.fault("GET arm:/deployments", status=403, body={"error": {"code": "AuthorizationFailed", "message": "no"}})
    with pytest.raises(NotAllowed):
        hosting.ours("ftb-")
