"""Training at OpenAI."""

from collections.abc import Callable
from functools import partial

from openai import OpenAI

from providers._openai_api import graders, method, submitting
from providers._openai_api.errors import Vendor
from providers._openai_api.files import Files
from providers._openai_api.jobs import Jobs
from providers._openai_api.watching import Watcher
from providers.base import Capabilities, Method, ProviderJob, TrainingRequest, nobody_objects
from providers.capabilities import CAPABILITIES


class OpenAITraining:
    """Trains at OpenAI. Safe in threads."""

    def __init__(self, client: OpenAI, vendor: Vendor, files: Files | None = None) -> None:
        """`files` is where training files go, if not with the usual limits."""
        self._client, self._vendor = client, vendor
        self._files = files or Files(client, vendor)
        self._jobs = Jobs(client, vendor)
        self._watcher = Watcher(client, vendor, self._files)

    def capabilities(self) -> Capabilities:
        """Supervised, preference and reinforcement fine-tuning."""
        return CAPABILITIES["openai"]

    def submit(self, request: TrainingRequest, about_to_create: Callable[[], None] = nobody_objects) -> ProviderJob:
        """Upload the files and create the job, unless this key has one already.

        Raises Unavailable while the vendor still reads the files: a later call goes on where this one was.
        """
        body = method.body(request, self.capabilities(), self._vendor.name)
        check = None
        if request.method is Method.RFT:
            check = partial(graders.validate, self._client, self._vendor, request.options["grader"])
        return submitting.submit(request, body, self._files, self._jobs, about_to_create, check=check)

    def find(self, key: str) -> ProviderJob | None:
        """The provider job of this key, if there is one."""
        return self._jobs.find(key)

    def poll(self, job_id: str, cursor: str = "") -> ProviderJob:
        """The job now, with the events and metrics after `cursor`. Its files are deleted once it has ended."""
        return self._watcher.poll(job_id, cursor)

    def cancel(self, job_id: str) -> None:
        """Ask for the end; one that has ended already is left as it is."""
        self._jobs.cancel(job_id)

    def pause(self, job_id: str) -> None:
        """Ask for a checkpoint and a stop."""
        self._jobs.pause(job_id)

    def resume(self, job_id: str) -> None:
        """Let a paused job go on."""
        self._jobs.resume(job_id)
