from contextlib import closing

import pytest

from providers.base import ChatMessage, ChatRequest, DeploymentRequest, DeploymentStatus
from providers.errors import InvalidRequest, NotAllowed, NotFound, ProviderError, RateLimited, Unavailable

NAME, MODEL = "ftb-r1-t-0123456789", "support-01234567:1"
CREATING, READY, GONE = DeploymentStatus.CREATING, DeploymentStatus.READY, DeploymentStatus.GONE
QUESTION = ChatRequest(NAME, [ChatMessage("system", "s"), ChatMessage("user", "hello there")], max_tokens=7)


@pytest.fixture(autouse=True)
def _tuned(azure):
    azure.workspace.models["support-01234567"] = {"1": "job"}


@pytest.fixture
def wanted():
    return DeploymentRequest(NAME, MODEL, "serverless", 1, "Ministral-3B")


@pytest.fixture
def hosted(azure, hosting, wanted):
    """The serverless endpoint, answering."""
    azure.workspace.creating = azure.workspace.warming = 0
    hosting.deploy(wanted)
    assert hosting.deployment(NAME).status is READY
    azure.server.asked.clear()
    return azure.workspace.endpoints[NAME]


def said(chunks):
    return "".join(one.text for one in chunks)


def test_machines_of_its_own_take_three_steps_and_nothing_waits(azure, hosting, chat, wanted):
    tier = hosting.tiers("Ministral-3B")[1].id
    request = DeploymentRequest(NAME, MODEL, tier, 2, "Ministral-3B")
    seen = [hosting.deploy(request)]
    while seen[-1].status is CREATING and len(seen) < 15:
        seen.append(hosting.deploy(request) if seen[-1].waiting else hosting.deployment(NAME))
    assert seen[-1].status is READY
    words = [one.vendor_status for one in seen]
    assert words.index("there, without a deployment") + 1 == words.index("deployment asked for")
    assert words.index("there, without traffic") + 1 == words.index("traffic asked for")
    assert [one.waiting for one in seen].count(True) == 2
    assert "does not answer yet" in words[-2]
    assert endpoint_tags(azure) == {"made-by": "finetune-bot"}
    endpoint = azure.workspace.endpoints[NAME]
    assert endpoint.deployment["properties"]["model"] == f"{azure.workspace.arm_id}/models/support-01234567/versions/1"
    assert endpoint.deployment["properties"]["instanceType"] == tier
    assert endpoint.deployment["sku"]["capacity"] == 2
    assert len(azure.requests("PUT", "/deployments/")) == 1
    assert said(chat.stream(QUESTION)) == "You said: hello there"
    assert hosting.undeploy(NAME).status is DeploymentStatus.DELETING
    while hosting.undeploy(NAME).status is not GONE:
        pass
    assert azure.workspace.endpoints == {}


def endpoint_tags(azure):
    return azure.workspace.endpoints[NAME].body["tags"]


def test_looking_changes_nothing(azure, hosting, wanted):
    managed = DeploymentRequest(NAME, MODEL, "Standard_NC24ads_A100_v4", 1, "Ministral-3B")
    hosting.deploy(managed)
    for steps in (1, 2):  # the endpoint is there, then its deployment
        seen = [hosting.deployment(NAME) for _ in range(6)]
        assert [one.waiting for one in seen[-3:]] == [True] * 3
        assert len(azure.requests("PUT", "/onlineEndpoints/")) == steps
        hosting.deploy(managed)
    assert {one.path.rpartition("/")[2] for one in azure.requests("PUT", "/onlineEndpoints/")} == {NAME, "main"}


def test_asking_again_takes_each_step_once(azure, hosting):
    managed = DeploymentRequest(NAME, MODEL, "Standard_NC24ads_A100_v4", 1, "Ministral-3B")
    seen = [hosting.deploy(managed) for _ in range(12)]
    assert seen[-1].status is READY
    assert len(azure.requests("PUT", "/onlineEndpoints/")) == 3


def test_ours_are_listed_by_how_their_names_begin(azure, hosting, wanted):
    hosting.deploy(wanted)
    hosting.deploy(DeploymentRequest("ftb-r1-b-1", "Ministral-3B", "Standard_NC24ads_A100_v4", 1, "Ministral-3B"))
    hosting.deploy(DeploymentRequest("theirs", MODEL, "serverless", 1, "Ministral-3B"))
    assert hosting.ours("ftb-r1-") == [NAME, "ftb-r1-b-1"]
    assert hosting.ours("ftb-r1-t") == [NAME]
    hosting.undeploy(NAME)
    assert hosting.ours("ftb-") == ["ftb-r1-b-1"]
    azure.fault("GET", "/onlineEndpoints", status=200, body={"value": [None, {}, {"name": 7}, {"name": "ftb-"}]})
    assert hosting.ours("ftb-") == ["ftb-"]


def test_a_base_model_is_hosted_by_its_address(azure, hosting):
    hosting.deploy(DeploymentRequest("ftb-r1-b-1", "Ministral-3B", "serverless", 1, "Ministral-3B"))
    managed = DeploymentRequest("ftb-r1-b-2", "Ministral-3B", "Standard_NC24ads_A100_v4", 1, "Ministral-3B")
    while azure.workspace.endpoints.get("ftb-r1-b-2", azure.workspace.endpoints["ftb-r1-b-1"]).deployment is None:
        hosting.deploy(managed)
    serverless = azure.workspace.endpoints["ftb-r1-b-1"].body
    online = azure.workspace.endpoints["ftb-r1-b-2"].deployment
    assert (
        serverless["properties"]["modelSettings"]["modelId"]
        == "azureml://registries/azureml-mistral/models/Ministral-3B"
    )
    assert online["properties"]["model"].endswith("/models/Ministral-3B/versions/3")


def test_asking_again_makes_no_second_one(azure, hosting, wanted):
    hosting.deploy(wanted)
    hosting.deploy(wanted)
    assert len(azure.requests("PUT", "/serverlessEndpoints/")) == 1


def test_the_answer_to_deploying_is_lost(azure, hosting, wanted):
    azure.fault("PUT", "/serverlessEndpoints/", late=True, cut=True)
    with pytest.raises(Unavailable):
        hosting.deploy(wanted)
    assert hosting.deploy(wanted).status is CREATING
    assert len(azure.requests("PUT", "/serverlessEndpoints/")) == 1


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("Failed", DeploymentStatus.FAILED),
        ("Canceled", DeploymentStatus.FAILED),
        ("Deleting", DeploymentStatus.DELETING),
        ("Updating", CREATING),
        ("Levitating", CREATING),
        (None, CREATING),
    ],
)
def test_states(azure, hosting, hosted, state, status):
    azure.fault("GET", "/serverlessEndpoints/", status=200, body={"properties": {"provisioningState": state}})
    seen = hosting.deployment(NAME)
    assert (seen.status, seen.vendor_status) == (status, state or "")
    assert ("ml.azure.com" in (seen.error or "")) is (status is DeploymentStatus.FAILED)


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ({"status": 401}, NotAllowed),
        ({"status": 403}, NotAllowed),
        ({"status": 429, "headers": {"retry-after": "300"}}, RateLimited),
        ({"status": 500}, Unavailable),
        ({"cut": True}, Unavailable),
        ({"status": 200, "body": b"<html>"}, Unavailable),
    ],
)
def test_what_goes_wrong_is_an_error_of_ours(azure, hosting, hosted, how, kind):
    for ask, method in ((hosting.deployment, "GET"), (hosting.undeploy, "DELETE")):
        azure.fault(method, "/serverlessEndpoints/", **how)
        if method == "DELETE" and how.get("status") == 200:
            assert ask(NAME).status is GONE
            continue
        with pytest.raises(kind):
            ask(NAME)


def test_what_is_not_there(azure, hosting, chat, wanted):
    assert hosting.deployment(NAME).status is GONE
    assert hosting.undeploy(NAME).status is GONE
    with pytest.raises(NotFound):
        list(chat.stream(QUESTION))
    with pytest.raises(NotFound):
        hosting.deploy(DeploymentRequest(NAME, "gone:1", "serverless"))
    with pytest.raises(InvalidRequest):
        hosting.deploy(DeploymentRequest(NAME, MODEL, "golden"))
    with pytest.raises(InvalidRequest, match="registries"):
        hosting.deploy(DeploymentRequest(NAME, "gpt-17", "serverless"))


def test_an_endpoint_of_somebody_else_gets_no_deployment(azure, hosting):
    from tests.contracts.azure_ml_workspace import Endpoint

    azure.workspace.endpoints["theirs"] = Endpoint("onlineEndpoints", {"properties": {"traffic": {}}}, "k", looks=9)
    with pytest.raises(InvalidRequest, match="not of our making"):
        hosting.deploy(DeploymentRequest("theirs", MODEL, "Standard_NC24ads_A100_v4", 1, "Ministral-3B"))
    assert azure.requests("PUT", "/") == []


def test_who_hosts_what(hosting):
    assert hosting.tiers("Ministral-3B")[0].id == "serverless"
    assert "serverless" not in [one.id for one in hosting.tiers("company-registry/bert")]
    assert hosting.tiers("azure-openai/gpt-4o-mini") == hosting.tiers("gpt-4o-mini") == ()


def test_an_answer_in_one_piece(azure, chat, hosted):
    azure.workspace.streams = False
    answer = list(chat.stream(QUESTION))
    assert (said(answer), answer[-1].finish_reason, answer[-1].completion_tokens) == (
        "You said: hello there",
        "stop",
        4,
    )


def test_an_endpoint_that_does_not_take_everything(azure, chat, hosted):
    azure.workspace.counts = False
    assert said(chat.stream(QUESTION)) == "You said: hello there"
    assert said(chat.stream(QUESTION)) == "You said: hello there"
    asked = azure.requests("POST", "/v1/chat/completions")
    assert ["stream_options" in one.json() for one in asked] == [True, False, False]


def test_a_refused_question_does_not_cost_the_counts(azure, chat, hosted):
    azure.fault("POST", "/v1/chat", times=2, status=400, body={"error": {"message": "Too long."}})
    with pytest.raises(InvalidRequest, match="Too long"):
        list(chat.stream(QUESTION))
    assert list(chat.stream(QUESTION))[-1].completion_tokens == 4
    assert "stream_options" in azure.requests("POST", "/v1/chat")[-1].json()


def test_a_server_of_azures_own_protocol(azure, hosting, chat):
    azure.workspace.creating = azure.workspace.warming = 0
    azure.workspace.speaks = "score"
    managed = DeploymentRequest(NAME, MODEL, "Standard_NC24ads_A100_v4")
    assert [hosting.deploy(managed).status for _ in range(4)][-1] is READY
    assert said(chat.stream(QUESTION)) == "You said: hello there"
    asked = azure.requests("POST", "/score")[-1].json()["input_data"]
    assert asked["input_string"][0] == {"role": "system", "content": "s"}
    assert asked["parameters"]["max_new_tokens"] == 7


def test_a_key_that_was_renewed_is_fetched_once(azure, chat, hosted):
    assert said(chat.stream(QUESTION)) == "You said: hello there"
    hosted.key = "canary-renewed"
    assert said(chat.stream(QUESTION)) == "You said: hello there"
    assert len(azure.requests("POST", "/listKeys")) == 2
    azure.fault("POST", "/v1/chat", status=401, times=9, body={"error": {"message": "The key canary-renewed is bad."}})
    with pytest.raises(NotAllowed) as caught:
        list(chat.stream(QUESTION))
    assert "canary" not in str(caught.value)
    assert len(azure.requests("POST", "/listKeys")) == 3


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ({"status": 400}, InvalidRequest),
        ({"status": 429, "headers": {"retry-after": "9"}}, RateLimited),
        ({"status": 500}, Unavailable),
        ({"cut": True}, Unavailable),
        ({"status": 200, "body": b'{"choices": nul'}, Unavailable),
        ({"status": 200, "body": {"choices": None}}, Unavailable),
        ({"status": 200, "body": {"choices": [{"message": None, "finish_reason": None}]}}, Unavailable),
        ({"status": 200, "body": b"data: {", "headers": {"content-type": "text/event-stream"}}, ProviderError),
        ({"status": 200, "body": b"", "headers": {"content-type": "text/event-stream"}}, Unavailable),
    ],
)
def test_an_endpoint_that_breaks(azure, chat, hosted, how, kind):
    azure.fault("POST", "/v1/chat", times=2, **how)
    with pytest.raises(kind):
        list(chat.stream(QUESTION))


def test_closing_the_iterator_is_an_end(chat, hosted):
    with closing(chat.stream(QUESTION)) as pieces:
        assert next(pieces).text == "You"


def test_a_role_that_is_none(chat):
    with pytest.raises(InvalidRequest, match="tool"):
        list(chat.stream(ChatRequest(NAME, [ChatMessage("tool", "x")])))


def test_an_address_without_tls_gets_no_key(azure, chat, hosted):
    body = {"properties": {"inferenceEndpoint": {"uri": "http://127.0.0.1:1"}}}
    azure.fault("GET", "/serverlessEndpoints/", status=200, body=body)
    with pytest.raises(Unavailable, match="address"):
        list(chat.stream(QUESTION))


def test_the_models_of_a_workspace(azure, models):
    assert [(one.name, one.tuned) for one in models.offered()] == [(MODEL, True)]
    assert models.checkpoints("any") == ()
    models.delete_model(MODEL)
    models.delete_model(MODEL)
    assert models.offered() == []
    with pytest.raises(InvalidRequest):
        models.delete_model("nameless")
    elsewhere = {"value": [{"name": "a", "properties": {"latestVersion": "1"}}], "nextLink": "https://example.com/x"}
    azure.fault("GET", "/models", status=200, body=elsewhere)
    assert [one.name for one in models.offered()] == ["a:1"]
    azure.fault(
        "GET",
        "/models",
        status=200,
        times=9,
        body={**elsewhere, "nextLink": f"{azure.url}{azure.workspace.arm_id}/models?page=2"},
    )
    looked = len(azure.requests("GET", "/models"))
    assert len(models.offered()) == 3
    assert len(azure.requests("GET", "/models")) == looked + 3
