"""Azure's rooms against servers and clients that nobody here wrote.

The official description is OpenAI's. What we send to Azure fits it, but for `trainingType`, which it does not know and
lets pass. Azure's answers do not fit it: they have states of their own, and leave fields out. So its answers are
checked against the description only as far as these known differences, which the second test names.
"""

import json
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from azure.identity import ClientSecretCredential
from azure.mgmt.cognitiveservices import CognitiveServicesManagementClient
from azure.mgmt.cognitiveservices.models import Deployment, DeploymentModel, DeploymentProperties, Sku
from openai import OpenAI

from providers._openai_api.errors import Vendor
from providers.azure_openai.chat import AzureOpenAIChat
from providers.azure_openai.training import AzureOpenAITraining
from providers.base import ChatMessage, ChatRequest, ProviderJobStatus
from providers.errors import InvalidRequest
from tests.contracts.azure_openai import ACCOUNT, CLIENT, GROUP, KEY, SECRET, SUBSCRIPTION, TENANT, AzureStandIn
from tests.contracts.conftest import PRISM, free_port, node
from tests.providers.azure_openai.conftest import azure, request_of, settings, tuned  # noqa: F401 -- fixtures

VENDOR = Vendor("Azure OpenAI")
DIFFERENT = (
    "status must be equal to one of the allowed values",  # of files and of jobs
    "must have required property 'organization_id'",  # Azure spells it organisation_id
    'media type "application/octet-stream" does not match',  # a result file is no JSON, at OpenAI neither
)


class WithoutTrainingType(httpx2.HTTPTransport):
    """aimock refuses what OpenAI does not know; Azure wants it."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST" and request.url.path.endswith("/fine_tuning/jobs"):
            body = json.loads(request.read())
            assert body.pop("trainingType") == "standard"
            headers = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
            request = httpx2.Request("POST", request.url, headers=headers, json=body)
        return super().handle_request(request)


def test_a_training_behind_the_official_description(aimock, prism_aimock, request_of):  # noqa: F811
    """aimock answers as OpenAI does, and Prism refuses what does not fit in either direction."""
    with OpenAI(base_url=aimock, api_key="k") as client:  # its empty list of files does not fit the description itself
        client.files.create(file=("other.jsonl", b"{}\n"), purpose="fine-tune")
    asked = {"hyperparameters": {"epochs": 2, "batch_size": "auto"}, "options": {"training_tier": "standard"}}
    with OpenAI(base_url=aimock, api_key="k") as client, pytest.raises(InvalidRequest, match="'trainingType' is not"):
        AzureOpenAITraining(client, VENDOR).submit(request_of(**asked))
    http = httpx2.Client(transport=WithoutTrainingType())
    with OpenAI(base_url=prism_aimock, api_key="k", http_client=http) as client:
        training = AzureOpenAITraining(client, VENDOR)
        made = training.submit(request_of(**asked))
        cursor, job = "", made
        for _ in range(10):
            job = training.poll(made.id, cursor)
            cursor = job.cursor
            if job.status is ProviderJobStatus.SUCCEEDED:
                break
        assert job.tuned_model
        assert training.find("run-1").id == made.id


def test_what_is_sent_to_azure_fits_the_official_description(azure, request_of, tmp_path: Path):  # noqa: F811
    port, told = free_port(), []
    spec = Path(__file__).parent / "openai-ft.json"
    upstream = f"{azure.endpoint}/openai/v1"
    arguments = ("proxy", "--host", "127.0.0.1", "--port", str(port), str(spec), upstream)

    def note(response: httpx2.Response) -> None:
        told.append((response.request.method, response.request.url.path, response.headers.get("sl-violations", "[]")))

    with node(PRISM, *arguments, port=port):
        http = httpx2.Client(event_hooks={"response": [note]})
        with OpenAI(base_url=f"http://127.0.0.1:{port}", api_key=KEY, http_client=http) as client:
            training = AzureOpenAITraining(client, VENDOR)
            made = training.submit(request_of(hyperparameters={"epochs": 2, "batch_size": "auto"}))
            azure.plane.advance(made.id, "running")
            training.pause(made.id)
            azure.plane.advance(made.id)
            training.resume(made.id)
            azure.plane.advance(made.id, "succeeded")
            assert training.poll(made.id).status is ProviderJobStatus.SUCCEEDED
            assert training.find("run-2") is None
    assert {path for _, path, _ in told} >= {"/files", "/fine_tuning/jobs", f"/fine_tuning/jobs/{made.id}/pause"}
    violations = [one for _, _, text in told for one in json.loads(text)]
    requests = [one for one in violations if one["location"][0] == "request"]
    assert requests == [], "what we send is OpenAI's API"
    strange = [one for one in violations if not any(known in one["message"] for known in DIFFERENT)]
    assert strange == [], "an answer of the stand-in differs otherwise than Azure's do"
    assert violations, "Azure's states are not OpenAI's"


def test_chat_against_aimock(aimock):
    with OpenAI(base_url=aimock, api_key="k") as client:
        chat = AzureOpenAIChat(client, VENDOR, None)
        said = list(chat.stream(ChatRequest("my-deployment", [ChatMessage("user", "What is the capital of France?")])))
        assert "".join(one.text for one in said) == "Paris, of course."
        chat.close()


def test_azures_own_client_waits_for_the_stand_in_to_the_end(azure: AzureStandIn, tuned):  # noqa: F811
    """The resource manager as its own library understands it, with its own polling: the stand-in keeps to it."""
    options = {"connection_verify": azure.ca_bundle}
    with (
        ClientSecretCredential(
            TENANT, CLIENT, SECRET, authority=azure.authority, disable_instance_discovery=True, **options
        ) as credential,
        CognitiveServicesManagementClient(
            credential,
            SUBSCRIPTION,
            base_url=azure.management_url,
            credential_scopes=[f"{azure.management_url}/.default"],
            polling_interval=0.05,
            **options,
        ) as client,
    ):
        wanted = Deployment(
            sku=Sku(name="Standard", capacity=1),
            properties=DeploymentProperties(model=DeploymentModel(format="OpenAI", name=tuned, version="1")),
        )
        made = client.deployments.begin_create_or_update(GROUP, ACCOUNT, "mine", wanted).result(timeout=20)
        assert (made.name, made.properties.provisioning_state, made.sku.name) == ("mine", "Succeeded", "Standard")
        assert [one.name for one in client.deployments.list(GROUP, ACCOUNT)] == ["mine"]
        client.deployments.begin_delete(GROUP, ACCOUNT, "mine").result(timeout=20)
        assert list(client.deployments.list(GROUP, ACCOUNT)) == []


@pytest.mark.parametrize("name", ["settings", "credentials"])
def test_it_starts_on_its_own(name):
    command = [sys.executable, "-m", "tests.contracts.azure_openai"]
    root = Path(__file__).parent.parent.parent
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as server:
        try:
            assert json.loads(server.stdout.readline())[name]
        finally:
            server.terminate()
