"""Questions go to deployments, by their names."""

from contextlib import closing

import pytest

from providers import azure_openai
from providers.base import ChatChunk, ChatMessage, ChatProvider, ChatRequest
from providers.errors import NotAllowed, NotFound, ProviderError, RateLimited, Unavailable
from tests.contracts.azure_openai import SECRET
from tests.contracts.azure_openai_arm import Hosted

QUESTION = ChatRequest("support", [ChatMessage("system", "s"), ChatMessage("user", "q")], max_tokens=9)


@pytest.fixture(params=["key", "app"])
def chat(request, azure, settings, tuned):
    azure.arm.deployments["support"] = Hosted({"name": "Standard"}, {"name": tuned}, state="Succeeded")
    with closing(azure_openai.build_chat(settings, azure.credentials(key=request.param == "key"))) as found:
        assert isinstance(found, ChatProvider)
        yield found


def test_an_answer_in_pieces(azure, chat):
    said = list(chat.stream(QUESTION))
    assert said == [ChatChunk("a"), ChatChunk("", "stop", prompt_tokens=2, completion_tokens=1)]
    (call,) = azure.plane.calls("POST /chat/completions")
    assert call["path"] == "/openai/v1/chat/completions"
    assert call["body"]["model"] == "support"


def test_a_deployment_that_is_not_there(azure, chat):
    del azure.arm.deployments["support"]
    with pytest.raises(NotFound):
        list(chat.stream(QUESTION))


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 429, "headers": {"retry-after": "40"}}, RateLimited),
        ({"status": 401}, NotAllowed),
        ({"status": 503}, Unavailable),
        ({"cut": "middle"}, Unavailable),
    ],
)
def test_trouble(azure, chat, fault, kind):
    azure.fault("POST /chat/completions", **fault)
    with pytest.raises(ProviderError) as caught:
        list(chat.stream(QUESTION))
    assert type(caught.value) is kind
    assert len(azure.plane.calls("POST /chat/completions")) == 1


def test_the_role_that_is_missing_is_named(azure, settings):
    azure.arm.roles.clear()
    with closing(azure_openai.build_chat(settings, azure.credentials())) as chat:
        with pytest.raises(NotAllowed, match="Cognitive Services OpenAI Contributor"):
            list(chat.stream(QUESTION))


def test_a_secret_that_was_renewed_there(azure, settings):
    azure.entra.secret = "renewed"
    with closing(azure_openai.build_chat(settings, azure.credentials())) as chat:
        with pytest.raises(NotAllowed, match="client secret") as caught:
            list(chat.stream(QUESTION))
    assert SECRET not in str(caught.value)


def test_the_names_that_answer(azure, settings):
    by_key = azure_openai.build_chat(settings, azure.credentials(key=True))
    assert by_key.models() == []
    as_an_app = azure_openai.build_chat(settings, azure.credentials())
    azure.arm.deployments["new"] = Hosted({"name": "Standard"}, {"name": "gpt-4o"})
    azure.arm.deployments["old"] = Hosted({"name": "Standard"}, {"name": "gpt-4o"}, state="Succeeded")
    assert as_an_app.models() == ["old"]
    odd = {
        "value": [
            {"name": None},
            {"name": "x", "properties": None},
            {"name": "y", "properties": {"model": None, "provisioningState": "Succeeded"}},
        ]
    }
    azure.fault("GET arm:/deployments$", status=200, body=odd)
    assert as_an_app.models() == ["y"]
