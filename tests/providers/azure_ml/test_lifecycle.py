"""The tutorial's steps from end to end, against azurite and the stand-in."""

from providers.base import ChatMessage, ChatRequest, DeploymentRequest, DeploymentStatus, ProviderJobStatus
from tests.contracts.azure_ml_workspace import WORKSPACE_ID


def test_from_files_to_an_answer_and_nothing_left(azure, training, hosting, chat, models, request_of, tmp_path):
    validation = tmp_path / "validation.jsonl"
    validation.write_bytes((tmp_path / "train.jsonl").read_bytes()[:-1])
    request = request_of(validation_path=validation, options={"job_tier": "Standard"})
    assert models.check() == "Azure Machine Learning lets us into the workspace ws-one (eastus)."

    job = training.submit(request)
    assert (job.status, job.vendor_status) == (ProviderJobStatus.PENDING, "NotStarted")
    assert azure.blob(f"finetune-bot/{job.id}/train.jsonl") == request.train_path.read_bytes()
    sent = azure.requests("PUT", "/jobs/")[0].json()["properties"]
    assert sent["fineTuningDetails"]["hyperParameters"] == {
        "num_train_epochs": "3",
        "per_device_train_batch_size": "1",
        "learning_rate": "0.00002",
    }
    assert (
        sent["fineTuningDetails"]["model"]["uri"]
        == "azureml://registries/azureml-mistral/models/Ministral-3B/versions/3"
    )
    assert sent["queueSettings"] == {"jobTier": "Standard"}

    azure.workspace.advance(job.id, "Running")
    azure.workspace.metrics[job.id] = [
        {"key": "loss", "value": 2.5, "step": 10, "timestamp": 1},
        {"key": "loss", "value": 1.5, "step": 20, "timestamp": 2},
        {"key": "eval_loss", "value": 1.7, "step": 20, "timestamp": 2},
        {"key": "epoch", "value": 0.5, "step": 20, "timestamp": 2},
        {"key": "gpu", "value": 99, "step": 20, "timestamp": 2},
    ]
    seen = training.poll(job.id)
    assert [(one.step, one.loss, one.validation_loss, one.epoch) for one in seen.metrics] == [
        (10, 2.5, None, None),
        (20, 1.5, 1.7, 0.5),
    ]
    assert (seen.status, seen.stage, seen.total_epochs) == (ProviderJobStatus.RUNNING, "training", 3)
    assert training.poll(job.id, seen.cursor).metrics == ()

    azure.workspace.advance(job.id, "Completed")
    done = training.poll(job.id, seen.cursor)
    assert done.status is ProviderJobStatus.SUCCEEDED
    assert done.tuned_model.startswith("support-")
    assert done.tuned_model.endswith(":1")
    assert azure.blobs() == []
    assert [one.name for one in models.offered()] == [done.tuned_model]

    wanted = DeploymentRequest("ftb-r1-t-0123456789", done.tuned_model, "serverless", 1, request.base_model)
    assert hosting.deploy(wanted).status is DeploymentStatus.CREATING
    states = [hosting.deployment(wanted.name).status for _ in range(3)]
    assert states == [DeploymentStatus.CREATING, DeploymentStatus.CREATING, DeploymentStatus.READY]
    body = azure.requests("PUT", "/serverlessEndpoints/")[0].json()
    name = done.tuned_model.partition(":")[0]
    address = f"azureml://locations/eastus/workspaces/{WORKSPACE_ID}/models/{name}/versions/1"
    assert body["properties"]["modelSettings"]["modelId"] == address

    answer = list(chat.stream(ChatRequest(wanted.name, [ChatMessage("user", "hello there")])))
    assert "".join(one.text for one in answer) == "answer 0"  # as the most similar example that it learnt from
    assert (answer[-1].finish_reason, answer[-1].prompt_tokens, answer[-1].completion_tokens) == ("stop", 3, 4)
    assert chat.models() == [wanted.name]

    assert hosting.undeploy(wanted.name).status is DeploymentStatus.DELETING
    assert [hosting.deployment(wanted.name).status for _ in range(2)] == [
        DeploymentStatus.DELETING,
        DeploymentStatus.GONE,
    ]
    assert hosting.undeploy(wanted.name).status is DeploymentStatus.GONE
    models.delete_model(done.tuned_model)
    models.delete_model(done.tuned_model)
    assert azure.workspace.models == {}
    assert azure.refused == []
