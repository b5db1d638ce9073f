"""Credentials -> requests to an Azure Machine Learning workspace, and to the services of its region.

Nothing is repeated and nothing waits here: those who ask do so again later.
"""

import json
import re
import time
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from providers._azure import identity
from providers._openai_api import answers
from providers._openai_api.answers import Json
from providers._openai_api.errors import Vendor
from providers.credentials import FIELDS, Credentials
from providers.errors import NotConfigured, NotFound, Unavailable
from providers.settings import ProviderSettings

if TYPE_CHECKING:
    from azure.core import PipelineClient
    from azure.core.credentials import TokenCredential
    from azure.core.rest import HttpRequest, HttpResponse

NAME = "Azure Machine Learning"
CONSOLE = "https://ml.azure.com"
KEYS_HELP = "An admin can renew them: /finetune keys"
ROLE = "Azure AI Developer"
"""What our app must be allowed on the workspace, for everything that we do."""
API_VERSION = "2024-10-01-preview"
"""The one that azure-ai-ml 1.35 asks for fine-tuning jobs with; the other resources are in it too."""
UNREADABLE = f"{NAME} answered with something that cannot be read. Try again."
MOST_PAGES = 3

_REGION_HOST = re.compile(r"[a-z0-9-]{1,63}\.(api\.azureml\.ms|api\.ml\.azure\.us|api\.ml\.azure\.cn)")
"""Hosts of a region's services: beside the resource manager, only these get our token."""
_REGISTRY_HOST = re.compile(rf"{_REGION_HOST.pattern}|[a-z0-9-]{{1,63}}\.experiments\.azureml\.net")
_NEEDED = tuple(one for one in FIELDS["azure_ml"] if one.needed)


@dataclass(frozen=True)
class Facts:
    """What a workspace says of itself."""

    location: str
    workspace_id: str
    region_url: str = ""  # the services of its region: run history, metrics, registries; "" where it names none
    metrics_path: str = ""  # of MLflow's API there


class Clock:
    """What is left of a call's time."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds, not below 0."""
        return max(self._until - time.monotonic(), 0.0)

    def options(self) -> dict[str, float]:
        """For the next request. Raises Unavailable if there is no time for one."""
        left = self.left()
        if left < 0.3:
            raise Unavailable(f"{NAME} took too long to answer. Try again.")
        return {"connection_timeout": left * 0.3, "read_timeout": left * 0.7}


class Workspace:
    """One workspace, asked as our app. Safe in threads."""

    def __init__(self, settings: ProviderSettings, credentials: Credentials) -> None:
        """Nothing is asked yet. Raises NotConfigured."""
        missing = [one.text for one in _NEEDED if not credentials.get(one.name)]
        if missing:
            raise NotConfigured(f"{NAME} needs more: {', '.join(missing)}. An admin can add it: /finetune keys")
        self.settings, self.credential = settings, identity.sign_in(settings, credentials)
        self.vendor = Vendor(NAME, CONSOLE, KEYS_HELP, (credentials["client_secret"],))
        self.name = credentials["workspace"]
        self.subscription, self.group = credentials["subscription_id"], credentials["resource_group"]
        self.arm_id = (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.name}"
        )
        self._url = settings.azure_management_url.rstrip("/")
        self._client = _client(settings, self.credential, f"{self._url}/.default")
        weakref.finalize(self, self._client.close)
        self._facts: Facts | None = None

    def get(self, path: str, *, thing: str = "resource", clock: Clock | None = None) -> Json:
        """What is there, within the clock's time. Raises ProviderErrors; NotFound if it is not there."""
        return _read(self.ask("GET", path, thing=thing, clock=clock))

    def look(self, path: str, *, thing: str = "resource", clock: Clock | None = None) -> Json | None:
        """What is there, or None."""
        try:
            return self.get(path, thing=thing, clock=clock)
        except NotFound:
            return None

    def put(self, path: str, body: Json, *, thing: str = "resource") -> Json:
        """Create it, or make it so; the vendor may be at it for long after that."""
        return _read(self.ask("PUT", path, thing=thing, body=body))

    def post(self, path: str, body: Json | None = None, *, thing: str = "resource", clock: Clock | None = None) -> Json:
        """Carry out an action; {} where it answers nothing."""
        answer = self.ask("POST", path, thing=thing, body=body, clock=clock)
        return _read(answer) if answer.content.strip() else {}

    def delete(self, path: str, *, thing: str = "resource") -> bool:
        """Ask for its end. Whether it is gone already, or never was."""
        try:
            return self.ask("DELETE", path, thing=thing).status_code in {200, 204}
        except NotFound:
            return True

    def listed(self, path: str) -> Iterator[Json]:
        """The objects of a list, at most `MOST_PAGES` pages of it."""
        page = self.get(path)
        yield from answers.items(page, "value")
        for _ in range(MOST_PAGES - 1):
            following = answers.text(page, "nextLink")
            if not following.startswith(f"{self._url}/"):
                return
            page = _read(self._send("GET", following, "list"))
            yield from answers.items(page, "value")

    def ask(
        self,
        method: str,
        path: str,
        *,
        thing: str,
        body: Json | None = None,
        clock: Clock | None = None,
    ) -> "HttpResponse":
        """Send one request; `path` is below the workspace. Raises ProviderErrors."""
        url = f"{self._url}{quote(self.arm_id)}{path}"
        return self._send(method, url, thing, body, {"api-version": API_VERSION}, clock)

    def at_region(self, path: str, clock: Clock, *, base: str = "", **query: str) -> Json:
        """What a service of the workspace's region says. Raises ProviderErrors."""
        url = f"{base or self.facts(clock).region_url}{path}"
        parts = urlsplit(url)
        if parts.scheme != "https" or not _REGISTRY_HOST.fullmatch(parts.netloc):
            raise Unavailable(f"{NAME} does not say where the services of its region are.")
        return _read(self._send("GET", url, "training", None, query, clock))

    def facts(self, clock: Clock | None = None) -> Facts:
        """What the workspace says of itself; asked once."""
        if self._facts is None:
            data = self.get("", thing="workspace", clock=clock)
            inside = answers.inside(data, "properties")
            tracking = urlsplit(answers.text(inside, "mlFlowTrackingUri").replace("azureml://", "https://", 1))
            known = bool(_REGION_HOST.fullmatch(tracking.netloc))
            self._facts = Facts(
                location=answers.text(data, "location"),
                workspace_id=answers.text(inside, "workspaceId"),
                region_url=f"https://{tracking.netloc}" if known else "",
                metrics_path=tracking.path.rstrip("/") if known else "",
            )
        return self._facts

    def _send(
        self,
        method: str,
        url: str,
        thing: str,
        body: Json | None = None,
        query: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> "HttpResponse":
        from azure.core.rest import HttpRequest

        from providers._azure.errors import translated

        options: dict[str, Any] = clock.options() if clock else {}
        with translated(self.vendor, role=ROLE, thing=thing):
            request = HttpRequest(method, url, params=query, headers={"Accept": "application/json"}, json=body)
            response = self._client.send_request(request, **options)
            response.raise_for_status()
            return response


def part(name: str) -> str:
    """A name as a part of a path."""
    return quote(name, safe="")


def _read(response: "HttpResponse") -> Json:
    try:
        data = json.loads(response.content)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise Unavailable(UNREADABLE)
    return data


def _client(
    settings: ProviderSettings, credential: "TokenCredential", scope: str
) -> "PipelineClient[HttpRequest, HttpResponse]":
    """A pipeline that signs in, and no more: no repeating, no redirects, no logs, no telemetry."""
    from azure.core import PipelineClient
    from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RequestIdPolicy, UserAgentPolicy

    policies = [
        RequestIdPolicy(),
        UserAgentPolicy(base_user_agent="finetune-bot"),
        BearerTokenCredentialPolicy(credential, scope),
    ]
    return PipelineClient(settings.azure_management_url, policies=policies, transport=identity.network(settings))
