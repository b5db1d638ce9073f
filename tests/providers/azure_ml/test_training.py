import sys
import threading
import time
from pathlib import Path

import pytest

from providers import azure_ml
from providers.azure_ml import bodies
from providers.azure_ml import training as room
from providers.base import Method, ProviderJobStatus
from providers.errors import (
    InvalidRequest,
    NotAllowed,
    NotConfigured,
    NotFound,
    ProviderError,
    RateLimited,
    SubmitUnknown,
    Unavailable,
    Withdrawn,
)

PENDING, RUNNING = ProviderJobStatus.PENDING, ProviderJobStatus.RUNNING


def test_the_answer_of_the_create_call_is_lost_and_the_job_is_found_by_its_name(azure, training, request_of):
    azure.fault("PUT", "/jobs/", late=True, cut=True)
    job = training.submit(request_of())
    assert list(azure.workspace.jobs) == [job.id]
    assert training.submit(request_of()).id == job.id
    assert len(azure.requests("PUT", "/jobs/")) == 1
    assert training.find(request_of().key).id == job.id


@pytest.mark.parametrize("how", [{"cut": True}, {"status": 503}, {"status": 500}])
def test_whether_it_was_created_is_not_known(azure, training, request_of, how):
    azure.fault("PUT", "/jobs/", **how)
    with pytest.raises(SubmitUnknown):
        training.submit(request_of())
    assert len(azure.requests("PUT", "/jobs/")) == 1
    assert training.find(request_of().key) is None
    assert training.submit(request_of()).status is PENDING
    assert len(azure.workspace.jobs) == 1


@pytest.mark.parametrize("body", [b'{"id": "half', [1], {"properties": None}])
def test_an_answer_that_cannot_be_read_creates_nothing_twice(azure, training, request_of, body):
    azure.fault("PUT", "/jobs/", status=200, body=body)
    with pytest.raises(SubmitUnknown):
        training.submit(request_of())
    assert len(azure.requests("PUT", "/jobs/")) == 1


def test_what_is_withdrawn_before_its_create_call_leaves_nothing_there(azure, training, request_of):
    there = []

    def withdrawn():
        there.extend(azure.blobs())
        raise Withdrawn("Cancelled.")

    with pytest.raises(Withdrawn):
        training.submit(request_of(), withdrawn)
    assert there
    assert azure.blobs() == []
    assert azure.requests("PUT", "/jobs/") == []


def test_a_model_without_a_name_has_succeeded_all_the_same(azure, training, request_of):
    job = training.submit(request_of())
    azure.fault("GET", "/jobs/", status=200, body={"properties": {"status": "Completed", "outputs": {}}})
    seen = training.poll(job.id)
    assert (seen.status, seen.tuned_model, seen.error) == (ProviderJobStatus.SUCCEEDED, None, None)
    assert seen.stage == "waiting for the model's name"


def test_a_refused_creation_is_no_unknown_one(azure, training, request_of):
    azure.fault("PUT", "/jobs/", status=400, body={"error": {"code": "UserError", "message": "No such\x00 model."}})
    with pytest.raises(InvalidRequest, match="No such model"):
        training.submit(request_of())
    assert azure.blobs() == []


def test_a_job_of_another_installation_is_not_taken_for_ours(training, request_of, tmp_path):
    training.submit(request_of())
    other = tmp_path / "other.jsonl"
    other.write_bytes(request_of().train_path.read_bytes() * 2)
    with pytest.raises(InvalidRequest, match="another installation"):
        training.submit(request_of(train_path=other))


@pytest.mark.parametrize(
    ("how", "kind", "wait"),
    [
        ({"status": 400}, InvalidRequest, None),
        ({"status": 401}, NotAllowed, None),
        ({"status": 403}, NotAllowed, None),
        ({"status": 404}, NotFound, None),
        ({"status": 409}, Unavailable, None),
        ({"status": 429, "headers": {"retry-after": "5"}}, RateLimited, 5),
        ({"status": 429, "headers": {"retry-after": "300"}}, RateLimited, 300),
        ({"status": 500}, Unavailable, None),
        ({"status": 503, "headers": {"retry-after": "7"}}, Unavailable, 7),
        ({"status": 200, "body": b'{"id": "half'}, Unavailable, None),
        ({"status": 200, "body": b"[" * 100_000}, Unavailable, None),
        ({"status": 200, "body": [1]}, Unavailable, None),
        ({"status": 200, "body": {"properties": None}}, Unavailable, None),
        ({"status": 302, "headers": {"location": "https://example.com"}}, ProviderError, None),
        ({"cut": True}, Unavailable, None),
        ({"half": True, "late": True, "status": 200, "body": {"properties": {"status": "Running"}}}, Unavailable, None),
    ],
)
def test_what_goes_wrong_is_an_error_of_ours_at_once(azure, training, request_of, how, kind, wait):
    job = training.submit(request_of())
    looked = len(azure.requests("GET", "/jobs/"))
    azure.fault("GET", "/jobs/", **how)
    begun = time.monotonic()
    with pytest.raises(kind) as caught:
        training.poll(job.id)
    assert time.monotonic() - begun < 4
    assert caught.value.retry_after == wait
    assert len(azure.requests("GET", "/jobs/")) == looked + 1
    assert training.poll(job.id).status is PENDING
    if how.get("status") == 403:
        assert "Azure AI Developer" in caught.value.user_message


def test_silence_ends_within_five_seconds(azure, training, request_of):
    job = training.submit(request_of())
    azure.fault("GET", "/jobs/", hang=20)
    begun = time.monotonic()
    with pytest.raises(Unavailable):
        training.poll(job.id)
    assert time.monotonic() - begun < 5


def test_silent_metrics_do_not_hide_the_state(azure, training, request_of):
    job = training.submit(request_of())
    azure.workspace.advance(job.id, "Running")
    azure.fault("GET", "/mlflow/", hang=20)
    begun = time.monotonic()
    seen = training.poll(job.id)
    assert time.monotonic() - begun < 5.5
    assert (seen.status, list(seen.metrics)) == (RUNNING, [])


@pytest.mark.parametrize(("said", "meant"), [*room.STATUSES.items(), ("Hibernating", (ProviderJobStatus.UNKNOWN, ""))])
def test_every_state(azure, training, request_of, said, meant):
    job = training.submit(request_of())
    azure.workspace.advance(job.id, said)
    seen = training.poll(job.id)
    assert (seen.status, seen.stage, seen.vendor_status) == (*meant, said)
    assert bool(seen.tuned_model) is (said == "Completed")


def test_azure_knows_no_other_states():
    from azure.ai.ml._restclient.arm_ml_service.models import JobStatus

    assert {one.value for one in JobStatus} == set(room.STATUSES)


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"status": None, "tags": None, "fineTuningDetails": None, "outputs": None}, ProviderJobStatus.UNKNOWN),
        ({"status": "x" * 5000}, ProviderJobStatus.UNKNOWN),
        ({"status": "Completed", "outputs": {"registered_model": {"assetName": "../x"}}}, ProviderJobStatus.SUCCEEDED),
        ({"status": "Completed", "outputs": None}, ProviderJobStatus.SUCCEEDED),
        ({"status": ["Running"]}, ProviderJobStatus.UNKNOWN),
    ],
)
def test_fields_that_are_missing_or_nonsense(azure, training, request_of, changed, status):
    job = training.submit(request_of())
    azure.workspace.jobs[job.id].changed = changed
    seen = training.poll(job.id)
    assert seen.status is status
    assert len(seen.vendor_status) <= 40
    assert seen.tuned_model is None


def test_figures_that_are_none_are_left_out(azure, training, request_of):
    job = training.submit(request_of())
    azure.workspace.advance(job.id, "Running")
    azure.workspace.metrics[job.id] = [
        {"key": "train_loss", "value": "NaN", "step": 1},
        {"key": "train_loss", "value": None, "step": 2},
        {"key": "train_loss", "value": 1.0, "step": -3},
        {"key": "train_loss", "value": 1.5, "step": 4},
    ]
    seen = training.poll(job.id)
    assert [(one.step, one.loss) for one in seen.metrics] == [(4, 1.5)]
    assert (seen.step, seen.cursor) == (4, "4")


def test_the_training_file_stands_in_for_validation_and_that_is_said_once(azure, training, request_of):
    job = training.submit(request_of())
    details = azure.workspace.jobs[job.id].body["properties"]["fineTuningDetails"]
    assert details["validationData"] == details["trainingData"]
    azure.workspace.advance(job.id, "Running")
    azure.workspace.metrics[job.id] = [
        {"key": "loss", "value": 1.5, "step": 4},
        {"key": "eval_loss", "value": 1.4, "step": 4},
    ]
    seen = training.poll(job.id)
    assert ["stands in" in one.message for one in seen.events] == [True]
    assert [one.validation_loss for one in seen.metrics] == [None]
    assert training.poll(job.id, seen.cursor).events == ()


def test_why_it_failed(azure, training, request_of):
    job = training.submit(request_of())
    azure.workspace.advance(job.id, "Failed")
    azure.workspace.reasons[job.id] = "Line 3 is\x07 too long."
    assert training.poll(job.id).error == "Line 3 is too long. Its logs: https://ml.azure.com"
    azure.fault("GET", "/history/", status=500)
    assert "no more than that" in training.poll(job.id).error
    assert azure.blobs() == []


def test_a_job_deleted_behind_our_back(azure, training, request_of):
    job = training.submit(request_of())
    azure.workspace.jobs.clear()
    with pytest.raises(NotFound):
        training.poll(job.id)
    with pytest.raises(NotFound):
        training.cancel(job.id)
    for nonsense in ("", "../models", "a/b"):
        with pytest.raises(NotFound):
            training.poll(nonsense)


def test_cancelling(azure, training, request_of):
    job = training.submit(request_of())
    training.cancel(job.id)
    assert training.poll(job.id).stage == "about to end"
    azure.workspace.advance(job.id, "Canceled")
    training.cancel(job.id)
    assert training.poll(job.id).status is ProviderJobStatus.CANCELLED
    azure.workspace.advance(job.id, "Running")
    azure.fault("POST", "/cancel", status=409)
    with pytest.raises(Unavailable):
        training.cancel(job.id)
    for impossible in (training.pause, training.resume):
        with pytest.raises(InvalidRequest):
            impossible(job.id)


def test_a_secret_that_has_expired(azure, training, request_of, settings):
    job = training.submit(request_of())
    azure.entra.tokens.clear()
    with pytest.raises(NotAllowed, match="/finetune keys"):
        training.poll(job.id)
    wrong = azure_ml.build_models(settings, azure.credentials(client_secret="canary-wrong"))
    with pytest.raises(NotAllowed, match="client secret") as caught:
        wrong.check()
    assert "canary" not in str(caught.value)


def test_a_workspace_that_is_not_there(azure, settings):
    with pytest.raises(NotConfigured, match="resource group"):
        azure_ml.build_models(settings, azure.credentials(resource_group="none")).check()


def test_everything_that_is_wrong_is_said_at_once(azure, training, request_of):
    given = {
        "method": Method.DPO,
        "base_model": "gpt-17",
        "hyperparameters": {"epochs": 0, "batch_size": 1.5, "lora_r": 8, "learning_rate": "fast"},
        "options": {"grader": {}, "job_tier": "Cheap", "instance_types": "one", "model_provider": "Other"},
    }
    with pytest.raises(InvalidRequest) as caught:
        training.submit(request_of(**given))
    for word in ("dpo", "gpt-17", "epochs", "batch_size", "lora_r", "learning_rate", "grader", "job_tier"):
        assert word in caught.value.user_message
    assert "instance_types" in caught.value.user_message
    assert "model_provider" in caught.value.user_message
    assert azure.server.asked == []


def test_an_openai_model(azure, training, request_of):
    job = training.submit(request_of(base_model="gpt-4o-mini", options={"model_provider": "AzureOpenAI"}))
    details = azure.workspace.jobs[job.id].body["properties"]["fineTuningDetails"]
    assert details["modelProvider"] == "AzureOpenAI"
    assert details["hyperParameters"] == {"nEpochs": 3, "batchSize": 1}
    assert details["model"]["uri"].endswith("azure-openai/models/gpt-4o-mini/versions/2024-07-18")
    assert training.poll(job.id).total_epochs == 3
    with pytest.raises(InvalidRequest, match="learning rate"):
        given = {"model_provider": "AzureOpenAI"}
        training.submit(request_of(key="k", options=given, hyperparameters={"learning_rate": 1e-4}))


def test_machines_are_chosen(azure, training, request_of):
    job = training.submit(request_of(options={"instance_types": ["Standard_NC24ads_A100_v4"], "job_tier": "Premium"}))
    inside = azure.workspace.jobs[job.id].body["properties"]
    assert inside["resources"] == {"instanceTypes": ["Standard_NC24ads_A100_v4"]}
    assert inside["queueSettings"] == {"jobTier": "Premium"}


@pytest.mark.parametrize("base_model", ["azureml-mistral/Ministral-99B", "nowhere/Ministral-3B"])
def test_a_base_model_that_no_registry_has(azure, training, request_of, base_model):
    with pytest.raises(NotFound, match="registry"):
        training.submit(request_of(base_model=base_model))
    assert azure.workspace.jobs == {}


def test_a_full_address_is_not_looked_up(azure, training, request_of):
    address = "azureml://registries/azureml-mistral/models/Ministral-3B/versions/3"
    training.submit(request_of(base_model=address))
    assert azure.requests("GET", "/registrymanagement/") == []


def test_an_upload_is_found_again(azure, training, request_of):
    azure.fault("PUT", "/jobs/", status=500)
    with pytest.raises(SubmitUnknown):
        training.submit(request_of())
    name = azure.blobs()[0]
    with azure._container() as container:
        before = container.get_blob_client(name).get_blob_properties().etag
        training.submit(request_of())
        assert container.get_blob_client(name).get_blob_properties().etag == before


def test_a_store_without_keys_needs_a_role(azure, training, request_of):
    azure.workspace.secret_kind = "None"
    with pytest.raises(ProviderError, match=r"Storage Blob Data Contributor|sign-in"):
        training.submit(request_of())
    assert azure.workspace.jobs == {}


def test_the_key_of_the_store_is_in_no_error(azure, training, request_of, monkeypatch):
    monkeypatch.setattr("tests.contracts.azure_ml_workspace.STORE_ACCOUNT", "elsewhere")
    with pytest.raises(Unavailable) as caught:
        training.submit(request_of())
    assert azure.refused == ["elsewhere.blob.core.windows.net"] * len(azure.refused)
    assert azure.refused
    signature = azure.sas().partition("sig=")[2].partition("&")[0]
    assert signature
    assert "sig=" not in str(caught.value).replace("sig=[secret]", "")


def test_a_store_elsewhere_gets_no_files(azure, training, request_of):
    inside = {"datastoreType": "AzureBlob", "accountName": "abc", "containerName": "abc", "endpoint": "evil.example"}
    azure.fault("GET", "/datastores/", status=200, body={"properties": inside})
    with pytest.raises(Unavailable, match="store"):
        training.submit(request_of())
    azure.fault("GET", "/datastores/", status=200, body={"properties": {**inside, "datastoreType": "AzureFile"}})
    with pytest.raises(InvalidRequest, match="no blob store"):
        training.submit(request_of())
    assert azure.refused == []


def test_files_that_are_gone(training, request_of, tmp_path):
    with pytest.raises(InvalidRequest, match="not there any more"):
        training.submit(request_of(train_path=tmp_path / "none"))
    with pytest.raises(InvalidRequest, match="not there any more"):
        training.submit(request_of(validation_path=tmp_path / "none"))


@pytest.mark.parametrize("missing", ["azure.ai.ml", "azure.identity"])
def test_without_the_extra_there_is_a_way_to_get_it(azure, settings, request_of, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setattr(bodies, "_ready", threading.Event())
    with pytest.raises(NotConfigured, match="make azure"):
        azure_ml.build_training(settings, azure.credentials()).submit(request_of())
    assert azure.blobs() == []


def test_credentials_that_are_not_complete(azure, settings):
    with pytest.raises(NotConfigured, match="Workspace name"):
        azure_ml.build_training(settings, {**azure.credentials(), "workspace": ""})


def test_a_proxy_that_is_not_trusted(azure, settings, tmp_path: Path):
    with pytest.raises(ProviderError, match="FINETUNE_BOT_CA_BUNDLE"):
        azure_ml.build_models(settings.model_copy(update={"ca_bundle": ""}), azure.credentials()).check()
