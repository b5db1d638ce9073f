"""Azure's own library: what we send is what it sends, it reads what the stand-in answers, and it is kept quiet."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from providers._azure import identity
from providers._azure.errors import translate
from providers.azure_ml import bodies, workspace
from providers.base import DeploymentRequest
from providers.errors import InvalidRequest, ProviderError
from tests.contracts.azure_ml import SECRET

ROOT = Path(__file__).parents[3]
QUIET = """
import json, os, sys
from pathlib import Path

reached, before = set(), dict(os.environ)


def note(event, arguments):
    if event == "socket.getaddrinfo":
        reached.add(str(arguments[0]))
    if event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        reached.add(str(arguments[1][0]))


sys.addaudithook(note)
given = json.loads(sys.stdin.read())
from providers import azure_ml
from providers.base import DeploymentRequest, Method, TrainingRequest
from providers.settings import ProviderSettings

began_with = "azure.ai.ml" in sys.modules
settings = ProviderSettings(**given["settings"])
request = TrainingRequest(
    "quiet-1", "Ministral-3B", Method.SFT, Path(given["train"]), "s", Path(given["train"]).parent
)
job = azure_ml.build_training(settings, given["credentials"]).submit(request)
hosting = azure_ml.build_hosting(settings, given["credentials"])
hosting.deploy(DeploymentRequest("ftb-quiet", "Ministral-3B", "serverless"))
changed = sorted(name for name in set(os.environ) | set(before) if os.environ.get(name) != before.get(name))
Path(given["found"]).write_text(json.dumps([job.id, sorted(reached), began_with, changed]))
"""


def test_nothing_is_printed_sent_elsewhere_or_written_to_the_environment(azure, request_of, tmp_path):
    given = {
        "settings": {**azure.settings(), "home": str(tmp_path / "home")},
        "credentials": azure.credentials(),
        "train": str(request_of().train_path),
        "found": str(tmp_path / "found.json"),
    }
    ran = subprocess.run(
        [sys.executable, "-c", QUIET],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert ran.stderr == ""
    assert ran.returncode == 0
    job, reached, imported_early, changed = json.loads((tmp_path / "found.json").read_text())
    assert job in azure.workspace.jobs
    assert reached == ["127.0.0.1"]
    assert not imported_early
    assert changed == []
    assert azure.refused == []
    assert "xperimental" not in ran.stdout
    assert SECRET not in ran.stdout
    kept = [one for one in tmp_path.rglob("*") if one.is_file()]
    assert kept
    assert not any(SECRET.encode() in one.read_bytes() or b"canary-key" in one.read_bytes() for one in kept)


def test_the_stand_in_takes_nothing_that_the_library_does_not_know(azure, training, request_of, models):
    job = training.submit(request_of())
    body = azure.requests("PUT", "/jobs/")[0].json()
    details = body["properties"]["fineTuningDetails"]
    unknown = {"properties": {**body["properties"], "fineTuningDetails": {**details, "lora": True}}}
    missing = {"properties": {**body["properties"], "fineTuningDetails": {**details, "taskType": None}}}
    del missing["properties"]["fineTuningDetails"]["taskType"]
    for wrong, why in ((unknown, "lora is unknown"), (missing, "taskType is missing")):
        with pytest.raises(InvalidRequest, match=why):
            models._workspace.put(f"/jobs/{job.id}-2", wrong)


class _Token:
    """Our sign-in, whatever the library wants its tokens for."""

    def __init__(self, credential, scope):
        self._credential, self._scope = credential, scope

    def get_token(self, *_, **__):
        return self._credential.get_token(self._scope)


@pytest.fixture
def client(azure, settings, monkeypatch):
    """Azure's own client, pointed at the stand-in by the environment, as it wants it."""
    monkeypatch.setenv("AZUREML_DEV_URL_MFE", azure.url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(azure.ca_bundle))
    monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "AzureCloud")
    credential = identity.sign_in(settings, azure.credentials())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from azure.ai.ml import MLClient

        place = azure.workspace
        yield MLClient(
            _Token(credential, f"{azure.url}/.default"),
            place.subscription,
            place.group,
            place.name,
            enable_telemetry=False,
            show_progress=False,
        )


def test_the_librarys_own_client_sends_the_same_job(azure, training, request_of, client):
    job = training.submit(request_of())
    ours = azure.requests("PUT", "/jobs/")[0]
    details = ours.json()["properties"]["fineTuningDetails"]
    from azure.ai.ml.finetuning import FineTuningTaskType, create_finetuning_job

    same = create_finetuning_job(
        task=FineTuningTaskType.CHAT_COMPLETION,
        model=details["model"]["uri"],
        training_data=details["trainingData"]["uri"],
        validation_data=details["validationData"]["uri"],
        hyperparameters=details["hyperParameters"],
        output_model_name_prefix=ours.json()["properties"]["outputs"]["registered_model"]["assetName"],
        name=f"{job.id}-theirs",
        display_name=request_of().suffix,
        experiment_name="finetune-bot",
        tags=ours.json()["properties"]["tags"],
    )
    client.jobs.create_or_update(same)
    theirs = azure.requests("PUT", "/jobs/")[1]
    assert theirs.path == f"{ours.path}-theirs"
    assert theirs.query == ours.query
    assert {**theirs.json(), "name": None} == {**ours.json(), "name": None}


def test_the_librarys_own_client_reads_what_the_stand_in_answers(azure, training, hosting, request_of, client):
    job = training.submit(request_of())
    azure.workspace.advance(job.id, "Completed")
    done = training.poll(job.id)
    theirs = client.jobs.get(job.id)
    assert (theirs.status, theirs.hyperparameters["num_train_epochs"]) == ("Completed", "3")
    assert client.workspaces.get(azure.workspace.name).location == "eastus"
    azure.workspace.creating = 0
    for endpoint, tier in (("ftb-one", "serverless"), ("ftb-two", "Standard_NC24ads_A100_v4")):
        for _ in range(2):  # the endpoint, then the machine in it
            hosting.deploy(DeploymentRequest(endpoint, done.tuned_model, tier))
    assert client.serverless_endpoints.get("ftb-one").scoring_uri == "https://ftb-one.eastus.models.ai.azure.com"
    assert client.serverless_endpoints.get_keys("ftb-one").primary_key == "canary-key-ftb-one"
    assert client.online_endpoints.get("ftb-two").traffic == {"main": 0}
    assert client.online_endpoints.get_keys("ftb-two").primary_key == "canary-key-ftb-two"


def _subclasses(kind):
    return {kind}.union(*map(_subclasses, kind.__subclasses__()))


def test_no_error_of_the_libraries_is_forgotten():
    bodies.prepare()
    from azure.core.exceptions import AzureError, DeserializationError, SerializationError

    vendor = workspace.Vendor(workspace.NAME)
    kinds = _subclasses(AzureError) | {SerializationError, DeserializationError}
    assert len(kinds) > 40
    for kind in kinds:
        error = kind.__new__(kind)
        Exception.__init__(error, "x")
        error.response = error.status_code = error.error = error._error_format = None
        assert isinstance(translate(error, vendor), ProviderError), kind


def test_what_the_library_refuses_is_no_error_of_its_own():
    from azure.ai.ml.exceptions import MlException

    for kind in _subclasses(MlException):
        error = kind.__new__(kind)
        Exception.__init__(error, "x")

        def refuse(error=error):
            raise error

        with pytest.raises(InvalidRequest):
            bodies._written(refuse)
    with pytest.raises(InvalidRequest, match="at least 3"):
        bodies.online_endpoint(name="a", location="eastus", tags={}, serving=False)
