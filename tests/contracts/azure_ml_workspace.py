"""A workspace of Azure Machine Learning: its state, and what the resource manager and the region's services answer.

What is sent to it is held against azure-ai-ml's own models of the REST API: no unknown field and no missing one. Times
are counted in looks, so that no test waits.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.contracts.azure_ml_bodies import Refused, checked
from tests.contracts.azure_openai_http import Answer, Asked

TENANT = "11111111-1111-4111-8111-111111111111"
SUBSCRIPTION = "33333333-3333-4333-8333-333333333333"
GROUP, NAME, WORKSPACE_ID = "rg-ml", "ws-one", "44444444-4444-4444-8444-444444444444"
STORE_ACCOUNT, CONTAINER = "devstoreaccount1", "azureml-blobstore"
VERSION = "2024-10-01-preview"
REGISTRY_VERSION = "2021-10-01-dataplanepreview"
CATALOGUE = {"azureml-mistral": {"Ministral-3B": "3"}, "azure-openai": {"gpt-4o-mini": "2024-07-18"}}
PACE = ("NotStarted", "Queued", "Running", "Running", "Finalizing", "Completed")
ENDED = ("Completed", "Failed", "Canceled")


@dataclass
class Job:
    """A fine-tuning job."""

    body: dict[str, Any]
    looks: int = 0
    status: str = "NotStarted"
    changed: dict[str, Any] = field(default_factory=dict)
    examples: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Endpoint:
    """An endpoint of either kind."""

    kind: str
    body: dict[str, Any]
    key: str
    looks: int = 0
    asked: int = 0
    deployment: dict[str, Any] | None = None
    deployment_looks: int = 0
    deleting: int | None = None


@dataclass
class MLWorkspace:
    """The state, for tests to look at and to change."""

    pace: str = "hand"
    name: str = NAME
    subscription: str = SUBSCRIPTION
    group: str = GROUP
    creating: int = 1  # looks until something that was asked for is there
    warming: int = 1  # questions until an endpoint answers
    deleting: int = 1
    streams: bool = True
    counts: bool = True  # endpoints take stream_options
    speaks: str = "openai"  # or "score": what managed endpoints understand
    secret_kind: str = "Sas"
    jobs: dict[str, Job] = field(default_factory=dict)
    models: dict[str, dict[str, str]] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    metrics: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    sas: Callable[[], str] = str
    blob: Callable[[str], bytes | None] = field(default=lambda _: None)

    @property
    def arm_id(self) -> str:
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.name}"
        )

    def advance(self, name: str, status: str) -> None:
        job = self.jobs[name]
        job.status = status
        if status == "Completed":
            result = job.body["properties"]["outputs"]["registered_model"]["assetName"]
            self.models.setdefault(result, {})["1"] = name

    def arm(self, asked: Asked) -> Answer:
        if not asked.path.startswith(self.arm_id):
            return Answer(404, {"error": {"code": "ResourceGroupNotFound", "message": "There is no such group."}})
        parts = asked.path.removeprefix(self.arm_id).strip("/").split("/")
        found = getattr(self, f"_{asked.method.lower()}_{parts[0] or 'workspace'}", None)
        try:
            if asked.query.get("api-version", "") < "2022-02-01":
                raise Refused(400, "InvalidApiVersionParameter", "The api-version is missing or too old.")
            if found is None:
                raise Refused(404, "NotFound", "There is no such kind of thing.")
            return found(parts[1:], asked)
        except Refused as error:
            return error.answer

    def _get_workspace(self, _: list[str], __: Asked) -> Answer:
        tracking = f"azureml://eastus.api.azureml.ms/mlflow/v1.0{self.arm_id}"
        inside = {"workspaceId": WORKSPACE_ID, "mlFlowTrackingUri": tracking, "provisioningState": "Succeeded"}
        return Answer(body={"id": self.arm_id, "name": self.name, "location": "eastus", "properties": inside})

    def _get_datastores(self, parts: list[str], _: Asked) -> Answer:
        inside = {
            "datastoreType": "AzureBlob",
            "accountName": STORE_ACCOUNT,
            "containerName": CONTAINER,
            "endpoint": "core.windows.net",
            "protocol": "https",
            "credentials": {"credentialsType": self.secret_kind},
        }
        return Answer(body={"id": f"{self.arm_id}/datastores/{parts[0]}", "name": parts[0], "properties": inside})

    def _post_datastores(self, parts: list[str], asked: Asked) -> Answer:
        assert parts[1] == "listSecrets"
        assert asked.json() == {"expirableSecret": True}
        if self.secret_kind == "None":
            raise Refused(400, "UserError", "The datastore has no secrets.")
        return Answer(body={"secretsType": "Sas", "sasToken": self.sas()})

    def _put_jobs(self, parts: list[str], asked: Asked) -> Answer:
        body = checked("JobBase", asked.json())
        name, inside = parts[0], body["properties"]
        details = inside["fineTuningDetails"]
        if name in self.jobs:
            if self.jobs[name].body != body:
                raise Refused(400, "UserError", "A job that was submitted cannot be modified.")
            return Answer(body=self._shown(name))
        registry, _, model = details["model"]["uri"].removeprefix("azureml://registries/").partition("/models/")
        base, _, version = model.partition("/versions/")
        if CATALOGUE.get(registry, {}).get(base) != version:
            raise Refused(404, "UserError", f"There is no model {details['model']['uri']}.")
        examples: list[dict[str, Any]] = []
        for one in (details["validationData"], details["trainingData"]):
            content = self.blob(one["uri"].partition("/datastores/workspaceblobstore/paths/")[2])
            if content is None:
                raise Refused(400, "UserError", f"There is no file {one['uri']}.")
            examples = [json.loads(line) for line in content.splitlines()]
            assert all(example["messages"] for example in examples)
        if details["modelProvider"] == "Custom" and not all(
            isinstance(one, str) for one in details.get("hyperParameters", {}).values()
        ):
            raise Refused(400, "UserError", "Hyperparameters are text.")
        self.jobs[name] = Job(body, examples=examples)
        return Answer(201, self._shown(name))

    def _get_jobs(self, parts: list[str], _: Asked) -> Answer:
        job = self._job(parts[0])
        job.looks += 1
        if self.pace == "poll" and job.status not in ENDED:
            self.advance(parts[0], PACE[min(job.looks, len(PACE) - 1)])
        return Answer(body=self._shown(parts[0]))

    def _post_jobs(self, parts: list[str], _: Asked) -> Answer:
        assert parts[1] == "cancel"
        job = self._job(parts[0])
        if job.status in ENDED:
            raise Refused(400, "UserError", f"The job is {job.status}.")
        job.status = "CancelRequested"
        return Answer(202)

    def _job(self, name: str) -> Job:
        if name not in self.jobs:
            raise Refused(404, "UserError", f"There is no job {name}.")
        return self.jobs[name]

    def _shown(self, name: str) -> dict[str, Any]:
        job = self.jobs[name]
        inside = {**job.body["properties"], "status": job.status}
        if job.status == "Completed":
            output = inside["outputs"]["registered_model"]
            uri = f"azureml://locations/eastus/workspaces/{WORKSPACE_ID}/models/{output['assetName']}/versions/1"
            inside["outputs"] = {"registered_model": {**output, "uri": uri}}
        return {"id": f"{self.arm_id}/jobs/{name}", "name": name, "properties": {**inside, **job.changed}}

    def _get_models(self, parts: list[str], _: Asked) -> Answer:
        assert not parts
        value = [
            {"id": f"{self.arm_id}/models/{name}", "name": name, "properties": {"latestVersion": max(versions)}}
            for name, versions in self.models.items()
        ]
        return Answer(body={"value": value, "nextLink": None})

    def _delete_models(self, parts: list[str], _: Asked) -> Answer:
        if self.models.get(parts[0], {}).pop(parts[2], None) is None:
            return Answer(204)
        if not self.models[parts[0]]:
            del self.models[parts[0]]
        return Answer(200)

    def _put_serverlessEndpoints(self, parts: list[str], asked: Asked) -> Answer:  # noqa: N802 -- Azure's name
        body = checked("ServerlessEndpoint", asked.json(), optional={"authMode"})
        address = body["properties"]["modelSettings"]["modelId"]
        if "/versions/" in address:
            self._own(
                re.fullmatch(rf"azureml://locations/eastus/workspaces/{WORKSPACE_ID}/models/(.+)", address), address
            )
        elif not any(address.endswith(f"{one}/models/{name}") for one, all_ in CATALOGUE.items() for name in all_):
            raise Refused(400, "UserError", f"There is no model {address}.")
        return self._made(parts[0], "serverlessEndpoints", body)

    def _put_onlineEndpoints(self, parts: list[str], asked: Asked) -> Answer:  # noqa: N802 -- Azure's name
        if len(parts) == 1:
            return self._made(parts[0], "onlineEndpoints", checked("OnlineEndpoint", asked.json()))
        endpoint = self._endpoint(parts[0], "onlineEndpoints")
        body = checked("OnlineDeployment", asked.json())
        address = body["properties"]["model"]
        if not address.startswith("azureml://registries/"):
            self._own(re.fullmatch(rf"{re.escape(self.arm_id)}/models/(.+)", address), address)
        endpoint.deployment = endpoint.deployment or body
        return Answer(201, self._deployment(endpoint))

    def _own(self, found: re.Match[str] | None, address: str) -> None:
        name, _, version = found[1].partition("/versions/") if found else ("", "", "")
        if version not in self.models.get(name, {}):
            raise Refused(404, "UserError", f"There is no model {address}.")

    def _made(self, name: str, kind: str, body: dict[str, Any]) -> Answer:
        known = self.endpoints.get(name)
        if known is None:
            self.endpoints[name] = Endpoint(kind, body, f"canary-key-{name}")
        else:
            known.body, known.looks = body, 0
        return Answer(
            201 if known is None else 200, self._seen(name), {"Azure-AsyncOperation": "https://127.0.0.1:1/x"}
        )

    def _get_serverlessEndpoints(self, parts: list[str], _: Asked) -> Answer:  # noqa: N802 -- Azure's name
        return self._looked(parts, "serverlessEndpoints")

    def _get_onlineEndpoints(self, parts: list[str], _: Asked) -> Answer:  # noqa: N802 -- Azure's name
        if len(parts) == 2:
            deployment = self._endpoint(parts[0], "onlineEndpoints").deployment
            return Answer(body={"value": [self._deployment(self.endpoints[parts[0]])] if deployment else []})
        if len(parts) < 2:
            return self._looked(parts, "onlineEndpoints")
        endpoint = self._endpoint(parts[0], "onlineEndpoints")
        if endpoint.deployment is None:
            raise Refused(404, "UserError", "There is no such deployment.")
        endpoint.deployment_looks += 1
        return Answer(body=self._deployment(endpoint))

    def _looked(self, parts: list[str], kind: str) -> Answer:
        if not parts:
            value = [self._seen(name) for name, one in self.endpoints.items() if one.kind == kind]
            return Answer(body={"value": value})
        endpoint = self._endpoint(parts[0], kind)
        endpoint.looks += 1
        if endpoint.deleting is not None:
            endpoint.deleting -= 1
            if endpoint.deleting < 0:
                del self.endpoints[parts[0]]
                raise Refused(404, "ResourceNotFound", "There is no such endpoint.")
        return Answer(body=self._seen(parts[0]))

    def _endpoint(self, name: str, kind: str) -> Endpoint:
        if name not in self.endpoints or self.endpoints[name].kind != kind:
            raise Refused(404, "ResourceNotFound", f"There is no endpoint {name}.")
        return self.endpoints[name]

    def _seen(self, name: str) -> dict[str, Any]:
        endpoint = self.endpoints[name]
        state = "Deleting" if endpoint.deleting is not None else "Creating"
        if endpoint.looks > self.creating and endpoint.deleting is None:
            state = "Succeeded"
        inside = {**endpoint.body["properties"], "provisioningState": state}
        if endpoint.kind == "serverlessEndpoints":
            inside["endpointState"] = "Online" if state == "Succeeded" else state
            inside["authMode"] = "Key"
            if state == "Succeeded":
                inside["inferenceEndpoint"] = {"uri": f"https://{name}.eastus.models.ai.azure.com", "headers": {}}
        elif state == "Succeeded":
            inside["scoringUri"] = f"https://{name}.eastus.inference.ml.azure.com/score"
        return {**endpoint.body, "id": f"{self.arm_id}/{endpoint.kind}/{name}", "name": name, "properties": inside}

    def _deployment(self, endpoint: Endpoint) -> dict[str, Any]:
        assert endpoint.deployment is not None
        state = "Succeeded" if endpoint.deployment_looks > self.creating else "Creating"
        settings = {"scaleSettings": {"scaleType": "Default"}, "requestSettings": {"requestTimeout": "PT5S"}}
        inside = {**settings, **endpoint.deployment["properties"], "provisioningState": state}
        path = f"{self.arm_id}/onlineEndpoints/x/deployments/main"
        return {**endpoint.deployment, "id": path, "name": "main", "properties": inside}

    def _post_serverlessEndpoints(self, parts: list[str], _: Asked) -> Answer:  # noqa: N802 -- Azure's name
        return self._keys(parts, "serverlessEndpoints")

    def _post_onlineEndpoints(self, parts: list[str], _: Asked) -> Answer:  # noqa: N802 -- Azure's name
        return self._keys(parts, "onlineEndpoints")

    def _keys(self, parts: list[str], kind: str) -> Answer:
        assert parts[1] == "listKeys"
        return Answer(body={"primaryKey": self._endpoint(parts[0], kind).key, "secondaryKey": "other"})

    def _delete_serverlessEndpoints(self, parts: list[str], _: Asked) -> Answer:  # noqa: N802 -- Azure's name
        return self._ended(parts[0], "serverlessEndpoints")

    def _delete_onlineEndpoints(self, parts: list[str], _: Asked) -> Answer:  # noqa: N802 -- Azure's name
        return self._ended(parts[0], "onlineEndpoints")

    def _ended(self, name: str, kind: str) -> Answer:
        endpoint = self.endpoints.get(name)
        if endpoint is None or endpoint.kind != kind:
            return Answer(204)
        if endpoint.deleting is None:
            endpoint.deleting = self.deleting
        else:
            endpoint.deleting -= 1
            if endpoint.deleting < 0:
                del self.endpoints[name]
                return Answer(204)
        return Answer(202, None, {"Location": "https://127.0.0.1:1/x"})

    def region(self, asked: Asked) -> Answer:
        """The services of the region: registries, run history, metrics."""
        parts = asked.path.strip("/").split("/")
        if parts[0] == "registrymanagement":
            if parts[3] not in CATALOGUE:
                return Answer(404, {"error": {"code": "UserError", "message": "There is no such registry."}})
            primary = "https://cert-eastus.experiments.azureml.net/"
            place = {"subscriptionId": SUBSCRIPTION, "resourceGroup": "registries"}
            return Answer(body={**place, "registryName": parts[3], "primaryRegionResourceProviderUri": primary})
        if parts[0] == "mferp":
            assert asked.query == {"api-version": REGISTRY_VERSION}
            version = CATALOGUE[parts[-3]].get(parts[-1])
            if version is None:
                return Answer(404, {"error": {"code": "UserError", "message": "There is no such model."}})
            return Answer(body={"name": parts[-1], "properties": {"latestVersion": version, "nextVersion": "99"}})
        job = asked.query.get("run_id") or parts[-2]
        if job not in self.jobs:
            return Answer(404, {"error": {"code": "UserError", "message": "There is no such run."}})
        if parts[0] == "history":
            assert asked.path == f"/history/v1.0{self.arm_id}/runs/{job}/details"
            return Answer(
                body={"runId": job, "error": {"error": {"code": "UserError", "message": self.reasons.get(job)}}}
            )
        assert asked.path.startswith(f"/mlflow/v1.0{self.arm_id}/api/2.0/mlflow/")
        rows = self.metrics.get(job, [])
        if asked.path.endswith("/runs/get"):
            latest = {one["key"]: one for one in rows}
            return Answer(body={"run": {"info": {"run_id": job}, "data": {"metrics": list(latest.values())}}})
        return Answer(body={"metrics": [one for one in rows if one["key"] == asked.query["metric_key"]]})

    def scored(self, host: str, asked: Asked) -> Answer:
        """What an endpoint answers."""
        endpoint = self.endpoints.get(host.partition(".")[0])
        if endpoint is None or endpoint.deleting is not None:
            return Answer(404, {"error": {"message": "There is nobody here."}})
        if asked.bearer != endpoint.key:
            return Answer(401, {"error": {"message": f"The key {asked.bearer} is wrong."}})
        if endpoint.kind == "onlineEndpoints" and endpoint.body["properties"]["traffic"] != {"main": 100}:
            return Answer(404, {"error": {"message": "There is no traffic."}})
        wanted = "/score" if self.speaks == "score" and endpoint.kind == "onlineEndpoints" else "/v1/chat/completions"
        if asked.path != wanted:
            return Answer(404, {"error": {"message": f"Only {wanted} is here."}})
        endpoint.asked += 1
        if endpoint.asked <= self.warming:
            return Answer(503, {"error": {"message": "Still loading."}})
        body = asked.json()
        if wanted == "/score":
            question = body["input_data"]["input_string"][-1]["content"]
            return Answer(body={"output": f"You said: {question}"})
        if not self.counts and "stream_options" in body:
            return Answer(422, {"error": {"message": "Extra inputs are not permitted: stream_options"}})
        return completion(self._said(endpoint, body["messages"][-1]["content"]), streams=self.streams)

    def _said(self, endpoint: Endpoint, question: str) -> str:
        """A base model repeats; a tuned one answers as its training's most similar example does."""
        asked = endpoint.body["properties"].get("modelSettings") or (endpoint.deployment or {})["properties"]
        found = re.search(r"/models/([^/]+)/versions/([^/]+)$", str(asked.get("modelId") or asked.get("model")))
        job = self.jobs.get(self.models.get(found[1], {}).get(found[2], "")) if found else None
        pairs = [[message["content"] for message in one["messages"][-2:]] for one in job.examples] if job else []
        words = set(question.lower().split())
        near = max(pairs, key=lambda pair: len(words & set(pair[0].lower().split())), default=["", ""])
        return near[1] or f"You said: {question}"


def completion(text: str, *, streams: bool) -> Answer:
    head = {"id": "c1", "created": 1, "model": "m"}
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    if not streams:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return Answer(body={**head, "object": "chat.completion", "choices": [choice], "usage": usage})
    deltas = [{"index": 0, "delta": {"content": one}, "finish_reason": None} for one in re.findall(r"\s*\S+", text)]
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    events = [{**head, "object": "chat.completion.chunk", "choices": [one]} for one in [*deltas, end]]
    events.append({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage})
    lines = [f"data: {json.dumps(one)}\n\n".encode() for one in events]
    return Answer(headers={"content-type": "text/event-stream"}, pieces=(*lines, b"data: [DONE]\n\n"))
