"""Hosting in a workspace: serverless endpoints on the vendor's machines, managed online ones on those of its quota.

A managed one takes three steps: the endpoint, a deployment in it, the endpoint's traffic to that. Nothing waits for a
step: `deploy` takes the next one each time that it is asked and finds the last one done, and `deployment` only looks.
"""

import re
from collections.abc import Sequence
from contextlib import closing

from providers._openai_api import answers
from providers._openai_api.answers import Json
from providers.azure_ml import bodies, catalogue
from providers.azure_ml.chat import ONLINE, SERVERLESS, AzureMLChat
from providers.azure_ml.workspace import CONSOLE, NAME, Workspace, part
from providers.base import ChatMessage, ChatRequest, Deployment, DeploymentRequest, DeploymentStatus, HostingTier
from providers.errors import InvalidRequest, ProviderError, Unavailable

SERVERLESS_TIER = "serverless"
TIERS = (
    HostingTier(
        SERVERLESS_TIER, "Serverless endpoint", "on Azure's machines, billed by the token and the hour", None, True
    ),
    HostingTier("Standard_NC24ads_A100_v4", "One A100", "of the workspace's quota, billed by the hour", None, True),
    HostingTier("Standard_NC40ads_H100_v5", "One H100", "of the workspace's quota, billed by the hour", None, True),
)
"""Serverless first: it is the cheapest. The others are Azure's names of machines."""
OURS = {"made-by": "finetune-bot"}
PROBE_SECONDS = 15.0

_TUNED = re.compile(r"([A-Za-z0-9][\w.-]{0,254}):([\w.-]{1,64})")
_LOST = frozenset({"Failed", "Canceled", "CreationFailed", "Suspended", "Suspending", "DeletionFailed"})


class AzureMLHosting:
    """Hosts models in a workspace. Safe in threads."""

    def __init__(self, workspace: Workspace) -> None:
        """`workspace` is where."""
        self._workspace = workspace
        self._chat = AzureMLChat(workspace, silence=PROBE_SECONDS)

    def tiers(self, base_model: str) -> Sequence[HostingTier]:
        """Serverless where the base model's registry offers it, and machines of its own; none for OpenAI's models."""
        try:
            registry, _, _ = catalogue.parts(base_model)
        except InvalidRequest:  # a bare name that is known nowhere: one of OpenAI's, else it could not be trained
            registry = catalogue.OPENAI
        if registry == catalogue.OPENAI:
            return ()  # Azure OpenAI hosts those
        return TIERS if registry in catalogue.SERVERLESS else TIERS[1:]

    def deploy(self, request: DeploymentRequest) -> Deployment:
        """Ask for the endpoint, unless there is one of this name; for a managed one that waits, take the next step."""
        seen, endpoint = self._looked(request.name)
        if seen.status is DeploymentStatus.GONE:
            return self._begun(request)
        if not seen.waiting:
            return seen
        if answers.inside(endpoint, "tags").get("made-by") != OURS["made-by"]:
            raise InvalidRequest(f"The endpoint {request.name} is not of our making: nothing is deployed to it.")
        return self._continued(request)

    def deployment(self, name: str) -> Deployment:
        """The endpoint now; it is asked something before it is called READY."""
        return self._looked(name)[0]

    def undeploy(self, name: str) -> Deployment:
        """Ask for the end of whatever is called so, with all that is in it."""
        self._chat.forget(name)
        gone = [self._workspace.delete(_path(kind, name), thing="endpoint") for kind in (SERVERLESS, ONLINE)]
        return Deployment(name, DeploymentStatus.GONE if all(gone) else DeploymentStatus.DELETING)

    def ours(self, prefix: str) -> Sequence[str]:
        """The endpoints of either kind whose names begin so, but for those that are being deleted already."""
        found: list[str] = []
        for kind in (SERVERLESS, ONLINE):
            for one in self._workspace.listed(f"/{kind}"):
                name = answers.text(one, "name")
                state = answers.text(answers.inside(one, "properties"), "provisioningState")
                if name.startswith(prefix) and state != "Deleting":
                    found.append(name)
        return found

    def _begun(self, request: DeploymentRequest) -> Deployment:
        place = self._workspace.facts()
        if request.tier == SERVERLESS_TIER:
            model = self._serverless_model(request.model)
            body = bodies.serverless_endpoint(name=request.name, model=model, location=place.location, tags=OURS)
            made = self._workspace.put(_path(SERVERLESS, request.name), body, thing="model")
        else:
            self._online_model(request)  # an endpoint whose model is not there is not made
            body = bodies.online_endpoint(name=request.name, location=place.location, tags=OURS, serving=False)
            made = self._workspace.put(_path(ONLINE, request.name), body, thing="endpoint")
        state = self._said(answers.inside(made, "properties"), "provisioningState")
        return Deployment(request.name, DeploymentStatus.CREATING, vendor_status=state)

    def _continued(self, request: DeploymentRequest) -> Deployment:
        """The next step of a managed endpoint that is there: its deployment, or its traffic to that."""
        location = self._workspace.facts().location
        path = _deployment_path(request.name)
        if self._workspace.look(path, thing="deployment") is None:
            body = bodies.online_deployment(
                endpoint=request.name,
                model=self._online_model(request),
                instance_type=request.tier,
                instances=max(request.capacity, 1),
                location=location,
            )
            self._workspace.put(path, body, thing="model")
            return Deployment(request.name, DeploymentStatus.CREATING, vendor_status="deployment asked for")
        body = bodies.online_endpoint(name=request.name, location=location, tags=OURS, serving=True)
        self._workspace.put(_path(ONLINE, request.name), body, thing="endpoint")
        return Deployment(request.name, DeploymentStatus.CREATING, vendor_status="traffic asked for")

    def _looked(self, name: str) -> tuple[Deployment, Json]:
        """How it is, and a managed endpoint as the workspace describes it; {} for one of another kind."""
        seen = self._workspace.look(_path(SERVERLESS, name), thing="endpoint")
        if seen is not None:
            inside = answers.inside(seen, "properties")
            states = [self._said(inside, field) for field in ("provisioningState", "endpointState")]
            status = _worst(states, frozenset({"Succeeded", "Online"}))
            return (self._probed(name) if status is None else self._not_ready(name, status, states)), {}
        seen = self._workspace.look(_path(ONLINE, name), thing="endpoint")
        if seen is None:
            self._chat.forget(name)
            return Deployment(name, DeploymentStatus.GONE), {}
        state = self._said(answers.inside(seen, "properties"), "provisioningState")
        status = _worst([state], frozenset({"Succeeded"}))
        return (self._managed(name, seen) if status is None else self._not_ready(name, status, [state])), seen

    def _managed(self, name: str, endpoint: Json) -> Deployment:
        """A managed endpoint that is there: it waits for its deployment, then for its traffic, then it is asked."""
        seen = self._workspace.look(_deployment_path(name), thing="deployment")
        if seen is None:
            said = "there, without a deployment"
            return Deployment(name, DeploymentStatus.CREATING, vendor_status=said, waiting=True)
        state = self._said(answers.inside(seen, "properties"), "provisioningState")
        status = _worst([state], frozenset({"Succeeded"}))
        if status is not None:
            return self._not_ready(name, status, [state])
        traffic = answers.inside(answers.inside(endpoint, "properties"), "traffic")
        if answers.number(traffic, bodies.DEPLOYMENT) != 100:
            return Deployment(name, DeploymentStatus.CREATING, vendor_status="there, without traffic", waiting=True)
        return self._probed(name)

    def _probed(self, name: str) -> Deployment:
        """READY if it answers a question."""
        question = ChatRequest(name, [ChatMessage("user", "Say yes.")], max_tokens=4)
        try:
            with closing(self._chat.stream(question)) as pieces:
                next(pieces)
        except ProviderError as error:
            said = f"there, but it does not answer yet: {error.user_message}"
            return Deployment(name, DeploymentStatus.CREATING, vendor_status=said[:200])
        return Deployment(name, DeploymentStatus.READY, target=name, vendor_status="Succeeded")

    def _not_ready(self, name: str, status: DeploymentStatus, states: Sequence[str]) -> Deployment:
        said = ", ".join(dict.fromkeys(one for one in states if one))
        error = None
        if status is DeploymentStatus.FAILED:
            error = f"{NAME} says of the endpoint {name}: {said}. Why is to be seen at {CONSOLE}, under Endpoints."
        return Deployment(name, status, vendor_status=said, error=error)

    def _said(self, inside: Json, name: str) -> str:
        return self._workspace.vendor.clean(inside.get(name), 40)

    def _serverless_model(self, model: str) -> str:
        tuned = _TUNED.fullmatch(model)
        if not tuned:
            registry, name, _ = catalogue.parts(model)
            return catalogue.without_version(registry, name)
        place = self._workspace.facts()
        if not place.location or not place.workspace_id:
            raise Unavailable(f"{NAME} does not say where the workspace is. Try again.")
        return (
            f"azureml://locations/{place.location}/workspaces/{place.workspace_id}"
            f"/models/{tuned[1]}/versions/{tuned[2]}"
        )

    def _online_model(self, request: DeploymentRequest) -> str:
        """The address of what machines of the workspace's own are to host."""
        if request.tier not in {one.id for one in TIERS[1:]}:
            raise InvalidRequest(f"{NAME} has no way of hosting that is called {request.tier[:100]}.")
        tuned = _TUNED.fullmatch(request.model)
        if tuned:
            return f"{self._workspace.arm_id}/models/{tuned[1]}/versions/{tuned[2]}"
        return catalogue.address(self._workspace, request.model)


def _path(kind: str, name: str) -> str:
    return f"/{kind}/{part(name)}"


def _deployment_path(name: str) -> str:
    return f"{_path(ONLINE, name)}/deployments/{bodies.DEPLOYMENT}"


def _worst(states: Sequence[str], good: frozenset[str]) -> DeploymentStatus | None:
    """What the states say together; None where all that are there are good. An unknown one is on its way."""
    known = [one for one in states if one]
    if "Deleting" in known:
        return DeploymentStatus.DELETING
    if any(one in _LOST for one in known):
        return DeploymentStatus.FAILED
    return None if known and all(one in good for one in known) else DeploymentStatus.CREATING
