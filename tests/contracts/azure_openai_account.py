"""An Azure OpenAI resource's own address: OpenAI's account with Azure's states, refusals and names of models.

It differs from OpenAI's as Azure does: files are processed for a while, hyperparameters are numbers, there is no
metadata, a job is paused and resumed by way of other states, and questions go to deployments.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.contracts.azure_openai_arm import BASE_MODELS, ROLE, Arm
from tests.contracts.stand_in_account import Account, File, Job, Problem, Request, _examples, _model

SCOPE = "https://cognitiveservices.azure.com/.default"
TRAINING_TYPES = {"standard", "globalStandard", "developerTier"}
DATED = {f"{name}-{version}": name for name, version in BASE_MODELS.items()}
SHUTDOWN = 1_800_000_000
NEVER_SAID = {"integrations", "metadata", "organization_id", "estimated_finish"}


@dataclass
class AzureJob(Job):
    status: str = "created"
    says_suffix: bool = True

    @property
    def tuned(self) -> str:
        return f"{self.asked['model']}.ft-{self.id.removeprefix('ftjob-')}-{self.asked.get('suffix') or 'x'}"

    def json(self) -> dict[str, Any]:
        job = {name: value for name, value in super().json().items() if name not in NEVER_SAID}
        told = {"organisation_id": "org", "trainingType": self.asked["trainingType"]}
        if self.says_suffix:
            told["user_provided_suffix"] = self.asked.get("suffix")
        return {**job, **told, **self.changed}


class AzureAccount(Account):
    """`key` opens it, or a token of the app, which needs the role. A file is ready after `processing` looks."""

    def __init__(self, arm: Arm, *, key: str, pace: str = "poll", processing: int = 1) -> None:
        super().__init__(pace)
        self.arm, self.key, self.processing = arm, key, processing
        self.says_suffix = True
        self._looks: dict[str, int] = {}

    def find(self, request: Request) -> tuple[str, Callable[[Request], Any], dict[str, str]]:
        route, handler, names = super().find(request)

        def guarded(asked: Request) -> Any:
            self._let_in(asked)
            return handler(asked)

        return route, guarded, names

    def _let_in(self, request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ") or request.headers.get("api-key", "")
        if given == self.key:
            return
        if not self.arm.entra.accepts(given, SCOPE):
            raise Problem(401, f"Access denied due to invalid subscription key or wrong API endpoint. {given}", "401")
        if ROLE not in self.arm.roles:
            action = "Microsoft.CognitiveServices/accounts/OpenAI/fine-tunes/read"
            words = f"The principal `{self.arm.entra.client_id}` lacks the required data action `{action}`"
            raise Problem(403, words, "PermissionDenied")

    def keep(self, name: str, content: bytes, purpose: str) -> File:
        file = super().keep(name, content, purpose)
        if purpose == "fine-tune" and self.processing and file.status == "processed":
            file.status, self._looks[file.id] = "pending", self.processing
        return file

    def retrieve_file(self, request: Request) -> Any:
        file = self.file(request.names["id"])
        if file.id in self._looks:
            self._looks[file.id] -= 1
            if self._looks[file.id] <= 0:
                file.status = "processed"
                del self._looks[file.id]
        return file.json()

    def create_job(self, request: Request) -> Any:
        asked = request.json
        if asked.get("model") not in DATED:
            raise Problem(400, f"The specified base model does not support fine-tuning: {asked.get('model')}")
        if asked.get("trainingType") not in TRAINING_TYPES:
            raise Problem(400, "The fineTuningJob field is required.", "invalidPayload")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", asked.get("suffix", "x")):
            raise Problem(400, "The suffix is invalid.", "invalidPayload", "suffix")
        kind = asked["method"]["type"]
        numbers = asked["method"][kind].get("hyperparameters", {})
        if kind not in {"supervised", "dpo"} or any(not isinstance(one, int | float) for one in numbers.values()):
            raise Problem(400, "The hyperparameters are invalid.", "invalidPayload", "hyperparameters")
        for name in ("training_file", "validation_file"):
            if name in asked and self.file(asked[name]).status != "processed":
                raise Problem(400, f"The file '{asked[name]}' is not processed.", "invalidPayload", name)
        content = self.file(asked["training_file"]).content
        job = AzureJob(self.new_id("ftjob"), asked, _examples(content), len(content), says_suffix=self.says_suffix)
        self.jobs[job.id] = job
        job.say(f"Created fine-tuning job: {job.id}")
        return job.json()

    def list_jobs(self, request: Request) -> Any:
        return super().list_jobs(replace(request, query={**request.query, "metadata": ""}))

    def advance(self, job_id: str, status: str = "") -> str:
        job = self.jobs[job_id]
        on = {"created": "pending", "pending": "running", "pausing": "paused", "resuming": "running"}
        if not status and job.status in on:
            status = on[job.status]
            if job.status == "pending" and len(job.examples) < 10:
                status = "failed"
        return super().advance(job_id, status)

    def pause_job(self, request: Request) -> Any:
        return self._move(request, "pausing", ("running",))

    def resume_job(self, request: Request) -> Any:
        return self._move(request, "resuming", ("paused",))

    def cancel_job(self, request: Request) -> Any:
        return self._move(request, "cancelled", ("created", "pending", "running", "pausing", "paused", "resuming"))

    def models(self) -> dict[str, Job | None]:
        made = {name: job for name, job in super().models().items() if job is not None}
        return {**dict.fromkeys(DATED), **made}

    def list_models(self, _: Request) -> Any:
        found = []
        for name, job in self.models().items():
            one = _model(name, job)
            del one["shutdown_date"]
            found.append({**one, "status": "succeeded", "deprecation": {"inference": SHUTDOWN}})
        return {"object": "list", "data": found}

    def delete_model(self, request: Request) -> Any:
        if any(one.model["name"] == request.names["id"] for one in self.arm.deployments.values()):
            raise Problem(409, "The model is deployed.", "conflict")
        return super().delete_model(request)

    def chat(self, request: Request) -> Any:
        asked = request.json
        model = self.arm.asked_by_name(asked.get("model", ""))
        if model is None:
            words = "The API deployment for this resource does not exist. If it is new, wait some minutes."
            raise Problem(404, words, "DeploymentNotFound")
        named = next((dated for dated, name in DATED.items() if name == model), model)
        return super().chat(replace(request, body=json.dumps({**asked, "model": named}).encode()))
