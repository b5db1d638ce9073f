"""Hosting at Azure: a deployment of the resource, which costs by the hour (or lives a day), and answers by its name."""

import re
from collections.abc import Sequence
from threading import Lock

import httpx2
import openai
from openai import OpenAI
from openai.types.chat import ChatCompletionUserMessageParam

from providers._openai_api import answers
from providers._openai_api.errors import Vendor, translate
from providers._openai_api.models import is_tuned
from providers.azure_openai.access import naming_the_role
from providers.azure_openai.resource import Resource, Seen
from providers.base import Deployment, DeploymentRequest, DeploymentStatus, HostingTier
from providers.errors import InvalidRequest, NotFound, RateLimited, Unavailable

TIERS = (
    HostingTier(
        "DeveloperTier",
        "Developer",
        "billed by the token alone; without guarantees, and Azure ends it after 24 hours",
        lives_hours=24.0,
    ),
    HostingTier("GlobalStandard", "Global Standard", "answered wherever Azure has room", for_base_models=True),
    HostingTier("Standard", "Standard", "answered in the resource's own region", for_base_models=True),
)
"""By Azure's own names, the cheapest first. A base model is billed by the token alone, in either of the last two."""
STATES = {
    "accepted": DeploymentStatus.CREATING,
    "creating": DeploymentStatus.CREATING,
    "moving": DeploymentStatus.CREATING,
    "failed": DeploymentStatus.FAILED,
    "canceled": DeploymentStatus.FAILED,
    "disabled": DeploymentStatus.FAILED,
    "deleting": DeploymentStatus.DELETING,
}
"""Azure's words but for "Succeeded", which does not yet mean that it answers. One that is not here may still come."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{1,63}")
_DATED = re.compile(r"(?P<name>.+?)-(?P<version>\d{4}-\d{2}-\d{2}|\d{4})")
_ASK = httpx2.Timeout(15.0, connect=5.0)
_NO_DEVELOPER_TIER = ("gpt-35", "gpt-3.5")
_SILENT = "does not answer yet"
_TAKEN_OTHERWISE = frozenset({"unsupported_parameter", "unsupported_value"})


class AzureOpenAIHosting:
    """Hosts at one resource. Safe in threads."""

    def __init__(self, client: OpenAI, vendor: Vendor, resource: Resource) -> None:
        """`client` asks what is deployed; `resource` deploys it."""
        self._client, self._vendor, self._resource = client, vendor, resource
        self._answered: set[str] = set()
        self._lock = Lock()

    def tiers(self, base_model: str) -> Sequence[HostingTier]:
        """The ways to host a model tuned from this one, the cheapest first."""
        if base_model.startswith(_NO_DEVELOPER_TIER):
            return TIERS[1:]
        return TIERS

    def deploy(self, request: DeploymentRequest) -> Deployment:
        """Ask for the deployment; one that is on its way or there is not asked for again."""
        self._check(request)
        tuned = _is_tuned(request)
        dated = None if tuned else _DATED.fullmatch(request.model)
        model, version = (dated["name"], dated["version"]) if dated else (request.model, "1" if tuned else None)
        try:
            there = self._resource.get(request.name)
        except NotFound:
            there = None
        if there is not None and there.model.lower() not in {model.lower(), ""}:
            raise InvalidRequest(
                f"{self._vendor.name} has another model under the name {request.name}; it is left as it is."
            )
        if there is None or STATES.get(there.state.lower()) is DeploymentStatus.FAILED:
            self._forget(request.name)
            self._resource.put(request.name, model, version, request.tier, request.capacity)
        elif STATES.get(there.state.lower()) is DeploymentStatus.DELETING:
            raise Unavailable(f"{request.name} is still being deleted. Try again in a minute.", retry_after=30.0)
        return Deployment(request.name, DeploymentStatus.CREATING, vendor_status=there.state if there else "asked for")

    def deployment(self, name: str) -> Deployment:
        """The deployment now; READY once it has really answered a question."""
        self._check_name(name)
        try:
            seen = self._resource.get(name)
        except NotFound:
            self._forget(name)
            return Deployment(name, DeploymentStatus.GONE)
        if seen.state.lower() != "succeeded":
            self._forget(name)
            return self._told(seen)
        if name not in self._answered:
            silent = self._ask(name)
            if silent:
                return Deployment(name, DeploymentStatus.CREATING, vendor_status=f"{seen.state}, {silent}")
            with self._lock:
                self._answered.add(name)
        return Deployment(name, DeploymentStatus.READY, target=name, vendor_status=seen.state)

    def undeploy(self, name: str) -> Deployment:
        """Ask for its end; the model itself stays, and can be deployed again."""
        self._check_name(name)
        self._forget(name)
        try:
            self._resource.delete(name)
            seen = self._resource.get(name)
        except NotFound:
            return Deployment(name, DeploymentStatus.GONE)
        return Deployment(name, DeploymentStatus.DELETING, vendor_status=seen.state)

    def ours(self, prefix: str) -> Sequence[str]:
        """The deployments whose names begin so, but for those that are being deleted already."""
        deleting = DeploymentStatus.DELETING
        found = [one for one in self._resource.deployments() if one.name.startswith(prefix)]
        return [one.name for one in found if STATES.get(one.state.lower()) is not deleting]

    def _told(self, seen: Seen) -> Deployment:
        status, error = STATES.get(seen.state.lower(), DeploymentStatus.CREATING), None
        if status is DeploymentStatus.FAILED:
            error = seen.error or (
                f"Azure says {seen.state}, and not why. Its words are in the portal: the Activity log of the resource "
                f"{self._resource.name}."
            )
        return Deployment(seen.name, status, vendor_status=seen.state, error=error)

    def _ask(self, name: str) -> str:
        """Ask one tiny question; "" if it was answered, else why not yet."""
        chat = self._client.with_options(max_retries=0).chat.completions.with_raw_response
        question: ChatCompletionUserMessageParam = {"role": "user", "content": "Hi"}
        try:
            raw = chat.create(model=name, messages=[question], max_tokens=1, timeout=_ASK)
            answered = bool(answers.items(answers.read(raw, self._vendor), "choices"))
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            if getattr(error, "code", None) in _TAKEN_OTHERWISE:
                return ""  # the model itself says so
            problem = translate(error, self._vendor)
            if isinstance(problem, NotFound | RateLimited | Unavailable):
                return _SILENT
            with naming_the_role():
                raise problem from None
        except Unavailable:
            return _SILENT
        return "" if answered else _SILENT

    def _check(self, request: DeploymentRequest) -> None:
        self._check_name(request.name)
        known = {one.id for one in self.tiers(request.base_model)}
        if request.tier not in known:
            raise InvalidRequest(
                f"{self._vendor.name} hosts in one of {', '.join(sorted(known))}; not {request.tier!r}."
            )
        if not request.model or request.capacity < 1:
            raise InvalidRequest("A deployment needs a model, and a capacity of 1 at least.")
        if not _is_tuned(request) and not next(one for one in TIERS if one.id == request.tier).for_base_models:
            raise InvalidRequest(f"A base model cannot be hosted in the tier {request.tier}.")

    def _check_name(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise InvalidRequest("A deployment's name has 2 to 64 letters, digits, dots, hyphens and underscores.")

    def _forget(self, name: str) -> None:
        with self._lock:
            self._answered.discard(name)


def _is_tuned(request: DeploymentRequest) -> bool:
    return is_tuned(request.model) or request.base_model not in {"", request.model}
