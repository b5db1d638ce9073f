"""Provider jobs of OpenAI's fine-tuning API: created at most once, found again, cancelled, paused, resumed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
import openai
from openai import OpenAI

from providers._openai_api import answers
from providers._openai_api.answers import Json, Raw
from providers._openai_api.errors import Vendor, nothing_was_sent, refused_creation, translate, translated
from providers._openai_api.watching import ENDED, STATUSES, job_of
from providers.base import ProviderJob, ProviderJobStatus
from providers.errors import NotFound, ProviderError, SubmitUnknown

KEY = "finetune_bot_key"
"""The metadata by which a provider job is known as ours."""
MOST_PAGES = 10
"""So many pages of a hundred jobs are searched, the newest first."""

_ASK = httpx2.Timeout(10.0, connect=5.0)
_CREATE = httpx2.Timeout(60.0, connect=5.0)


@dataclass(frozen=True)
class Finding:
    """How the provider job of a key is recognised in the vendor's list."""

    matches: Callable[[Json], bool]
    query: Mapping[str, Any] = field(default_factory=dict)  # what the list call may be narrowed down with


Finder = Callable[[str], Finding]
"""Key -> how to find its provider job."""


def by_metadata(key: str) -> Finding:
    """For a vendor that keeps metadata; checked here too, should it not filter by them."""
    return Finding(lambda job: answers.inside(job, "metadata").get(KEY) == key, {f"metadata[{KEY}]": key})


class Jobs:
    """A vendor's provider jobs. Safe in threads."""

    def __init__(self, client: OpenAI, vendor: Vendor, finder: Finder = by_metadata) -> None:
        """`finder` says how the job of a key is recognised."""
        self._jobs = client.with_options(max_retries=0).fine_tuning.jobs
        self._vendor, self._finder = vendor, finder

    def create(self, body: Mapping[str, Any]) -> ProviderJob:
        """Send the create call, once.

        Raises SubmitUnknown where the vendor may have accepted it without our knowing: its answer was lost, cannot be
        read or has no usable id; or it is that of a server, or of a gateway before it, which was in trouble (5xx),
        lost patience (408) or found the job there already (409). Any other error says that there is no job: the vendor
        refused it, or nothing was sent.
        """
        unknown = SubmitUnknown(f"{self._vendor.name} did not say whether it accepted the training.")
        try:
            raw = self._jobs.with_raw_response.create(**body, timeout=_CREATE)
        except openai.APIConnectionError as error:
            if nothing_was_sent(error):
                raise translate(error, self._vendor, "training") from None
            raise unknown from None
        except openai.APIStatusError as error:
            if error.status_code >= 500 or error.status_code in {408, 409}:
                raise unknown from None
            raise refused_creation(error, self._vendor) from None
        except (openai.OpenAIError, httpx2.HTTPError):  # the answer began and broke off
            raise unknown from None
        try:
            return job_of(answers.read(raw, self._vendor), self._vendor)
        except ProviderError:
            raise unknown from None

    def find(self, key: str) -> ProviderJob | None:
        """The newest provider job of this key, if the vendor has one."""
        finding = self._finder(key)

        def ask(query: Json) -> Raw:
            return self._jobs.with_raw_response.list(extra_query=dict(query), timeout=_ASK)

        with translated(self._vendor, "training"):
            for one in answers.pages(ask, self._vendor, limit=100, most=MOST_PAGES, query=finding.query):
                if finding.matches(one):
                    return job_of(one, self._vendor)
        return None

    def cancel(self, job_id: str) -> None:
        """Ask for the end; of one that has ended already, do nothing."""
        self._change(job_id, self._jobs.with_raw_response.cancel, ProviderJobStatus.CANCELLED)

    def pause(self, job_id: str) -> None:
        """Ask for a checkpoint and a stop; of one that is paused or has ended already, do nothing."""
        self._change(job_id, self._jobs.with_raw_response.pause, ProviderJobStatus.PAUSED)

    def resume(self, job_id: str) -> None:
        """Let a paused job go on; one that runs or has ended already is left as it is."""
        self._change(job_id, self._jobs.with_raw_response.resume, ProviderJobStatus.RUNNING)

    def _change(self, job_id: str, change: Callable[..., Raw], wanted: ProviderJobStatus) -> None:
        if not job_id:
            raise NotFound(f"{self._vendor.name} has no training without an id.")
        try:
            change(job_id, timeout=_ASK)
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            problem = translate(error, self._vendor, "training")
            if getattr(error, "status_code", 0) not in {400, 409, 422}:
                raise problem from None
        else:
            return
        with translated(self._vendor, "training"):  # it was refused: is there anything left to do?
            job = answers.read(self._jobs.with_raw_response.retrieve(job_id, timeout=_ASK), self._vendor)
        status = STATUSES.get(answers.text(job, "status"))
        if status is not wanted and status not in ENDED:
            raise problem
