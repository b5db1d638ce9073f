"""The models of an Azure OpenAI resource, and whether its credentials do what we need."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2

from providers._openai_api import answers, models
from providers._openai_api.errors import translated
from providers.azure_openai import access
from providers.azure_openai.access import NAME, naming_the_role
from providers.base import Checkpoint, OfferedModel
from providers.credentials import Credentials
from providers.errors import NotAllowed, NotConfigured, NotFound
from providers.settings import ProviderSettings

_ASK = httpx2.Timeout(20.0, connect=5.0)


class AzureOpenAIModels:
    """Knows a resource's models. Safe in threads."""

    def __init__(self, settings: ProviderSettings, credentials: Credentials) -> None:
        """Raises NotConfigured."""
        self._client, self._vendor = access.client(settings, credentials), access.vendor(credentials)
        self._endpoint = credentials["endpoint"]
        self._missing = access.missing(credentials)
        self._resource = None if self._missing else access.resource(settings, credentials)

    def check(self) -> str:
        """List a fine-tuning job and look at the resource, which costs nothing: what works, and what is missing."""
        jobs = self._client.with_options(max_retries=0).fine_tuning.jobs
        with naming_the_role(), translated(self._vendor, "address"):
            answers.read(jobs.with_raw_response.list(limit=1, timeout=_ASK), self._vendor)
        works = f"{NAME} at {urlsplit(self._endpoint).netloc} lets us fine-tune."
        if self._resource is None:
            return (
                f"{works} Hosting what is tuned is not possible yet, so it cannot be compared or asked. Missing: "
                f"{', '.join(self._missing)}."
            )
        try:
            about = self._resource.about()
        except (NotAllowed, NotConfigured, NotFound) as error:
            raise type(error)(f"{works} But hosting does not work: {error.user_message}", detail=error.detail) from None
        where = self._vendor.clean(about.get("location"), 40) or "a region that it does not name"
        return f"{works} It can host what is tuned ({self._resource.name}, {where}).{self._strange(about)}"

    def offered(self) -> Sequence[OfferedModel]:
        """The models that the resource may use, with the day that each shuts down where Azure says so."""
        found = {}
        with naming_the_role():
            listed = models.listed(self._client, self._vendor)
        for one in listed:
            name = answers.text(one, "id")
            found[name] = OfferedModel(name, shutdown=_shutdown(one), tuned=models.is_tuned(name))
        return [found[name] for name in sorted(found)]

    def checkpoints(self, job_id: str) -> Sequence[Checkpoint]:
        """The checkpoints of a provider job, oldest first; they answer once they are deployed."""
        with naming_the_role():
            return models.checkpoints(self._client, self._vendor, job_id)

    def delete_model(self, model: str) -> None:
        """Delete a tuned model for ever. Azure refuses while it is deployed."""
        with naming_the_role():
            models.delete_model(self._client, self._vendor, model)

    def _strange(self, about: Mapping[str, Any]) -> str:
        """A warning if the endpoint is not the resource's: what is deployed at one would be looked for at the other."""
        inside = answers.inside(about, "properties")
        known = [answers.text(inside, "endpoint"), *answers.inside(inside, "endpoints").values()]
        names = {_first_label(one) for one in known if isinstance(one, str) and one}
        if not names or _first_label(self._endpoint) in names:
            return ""
        return f" But the endpoint is not one of this resource's ({', '.join(sorted(names))}): look at both again."


def _first_label(address: str) -> str:
    """NAME of https://NAME.openai.azure.com, which a resource's addresses have in common."""
    try:
        return (urlsplit(address).hostname or "").partition(".")[0]
    except ValueError:
        return ""


def _shutdown(model: Mapping[str, Any]) -> date | None:
    ends = answers.whole(answers.inside(model, "deprecation"), "inference")
    try:
        return datetime.fromtimestamp(ends, UTC).date() if ends else None
    except (OverflowError, ValueError, OSError):
        return None
