"""Training at Azure OpenAI. It keeps no metadata: a provider job is known by the end of its suffix, and by its file."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import httpx2
from openai import OpenAI

from providers import prices
from providers._openai_api import answers, method, submitting
from providers._openai_api.answers import Json
from providers._openai_api.errors import Vendor, translated
from providers._openai_api.files import PREFIX, PURPOSE, Files
from providers._openai_api.jobs import Finding, Jobs
from providers._openai_api.watching import Watcher
from providers.azure_openai.access import naming_the_role
from providers.base import Capabilities, ProviderJob, TrainingRequest, nobody_objects
from providers.capabilities import CAPABILITIES
from providers.errors import InvalidRequest

TIERS: Mapping[str, str] = {one.lower(): one for one in ("standard", "globalStandard", "developerTier")}
"""Azure wants exactly these spellings, and says nothing useful about others."""
KEY_LENGTH = 10

_ASK = httpx2.Timeout(10.0, connect=5.0)


class AzureOpenAITraining:
    """Trains at one resource. Safe in threads."""

    def __init__(self, client: OpenAI, vendor: Vendor, files: Files | None = None) -> None:
        """`files` is where training files go, if not with the usual limits."""
        self._client, self._vendor = client, vendor
        self._files = files or Files(client, vendor)
        self._jobs = Jobs(client, vendor, self._finding)
        self._watcher = Watcher(client, vendor, self._files)

    def capabilities(self) -> Capabilities:
        """Supervised and preference fine-tuning; what is tuned must be hosted."""
        return CAPABILITIES["azure_openai"]

    def submit(self, request: TrainingRequest, about_to_create: Callable[[], None] = nobody_objects) -> ProviderJob:
        """Upload the files, wait until Azure has processed them, and create the job, unless this key has one.

        Raises Unavailable while Azure still reads the files: a later call goes on where this one was.
        """
        body = self._body(replace(request, suffix=suffix(request.suffix, request.key)))
        with naming_the_role():
            return submitting.submit(request, body, self._files, self._jobs, about_to_create)

    def find(self, key: str) -> ProviderJob | None:
        """The provider job of this key, if there is one."""
        with naming_the_role():
            return self._jobs.find(key)

    def poll(self, job_id: str, cursor: str = "") -> ProviderJob:
        """The job now, with the events and metrics after `cursor`. Its files are deleted once it has ended."""
        with naming_the_role():
            return self._watcher.poll(job_id, cursor)

    def cancel(self, job_id: str) -> None:
        """Ask for the end; one that has ended already is left as it is."""
        with naming_the_role():
            self._jobs.cancel(job_id)

    def pause(self, job_id: str) -> None:
        """Ask for a checkpoint and a stop."""
        with naming_the_role():
            self._jobs.pause(job_id)

    def resume(self, job_id: str) -> None:
        """Let a paused job go on."""
        with naming_the_role():
            self._jobs.resume(job_id)

    def _body(self, request: TrainingRequest) -> dict[str, Any]:
        """The create call's, but for the files. Raises InvalidRequest with everything that is wrong."""
        name, can = self._vendor.name, self.capabilities()
        tier = request.options.get("training_tier") or prices.vendor("azure_openai").tier
        known = TIERS.get(tier.lower()) if isinstance(tier, str) else None
        if known is None:
            found = [*method.problems(request, can, name), f"training_tier must be one of {', '.join(TIERS.values())}"]
            raise InvalidRequest(f"{name} cannot train this: {'; '.join(found)}.")
        body = method.body(request, can, name, keep_auto=False)
        del body["metadata"]
        return {**body, "extra_body": {"trainingType": known}}

    def _finding(self, key: str) -> Finding:
        mark, files = _mark(key), self._files_of(key)

        def is_it(job: Json) -> bool:
            told = (answers.text(job, name) for name in ("suffix", "user_provided_suffix", "fine_tuned_model"))
            return (
                any(mark in re.split(r"[^0-9a-f]", one) for one in told) or answers.text(job, "training_file") in files
            )

        return Finding(is_it)

    def _files_of(self, key: str) -> set[str]:
        """The ids of the training files that were uploaded for this key: Azure may not repeat a job's suffix."""

        def ask(query: Json) -> answers.Raw:
            return self._client.files.with_raw_response.list(extra_query=dict(query), timeout=_ASK)

        begin = f"{PREFIX}{submitting.file_name(key, submitting.TRAINING_FILE)}-"
        with translated(self._vendor, "file"):
            found = answers.pages(ask, self._vendor, limit=1000, most=3, query={"purpose": PURPOSE})
            return {answers.text(one, "id") for one in found if answers.text(one, "filename").startswith(begin)}


def suffix(wanted: str, key: str) -> str:
    """A tuned model's suffix as Azure takes it, ending with a mark of the key."""
    room = CAPABILITIES["azure_openai"].longest_suffix - KEY_LENGTH - 1
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", wanted)[:room].strip("-") or "model"
    return f"{name}-{_mark(key)}"


def _mark(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:KEY_LENGTH]
