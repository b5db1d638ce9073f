"""Hosting in a workspace: serverless endpoints on the vendor's machines, managed online ones on those of its quota.

A managed one takes three steps: the endpoint, a deployment in it, the endpoint's traffic to that. Nothing waits for a
step: `deployment` takes the next one when it looks and finds the last one done. What it needs for that is written in
the endpoint's tags.
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
MODEL_TAG, MACHINE_TAG, MACHINES_TAG = "finetune-bot-model", "finetune-bot-machine", "finetune-bot-machines"
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
        """Ask for the endpoint, unless there is one of this name."""
        seen = self.deployment(request.name)
        if seen.status is not DeploymentStatus.GONE:
            return seen
        place = self._workspace.facts()
        if request.tier == SERVERLESS_TIER:
            model = self._serverless_model(request.model)
            body = bodies.serverless_endpoint(name=request.name, model=model, location=place.location, tags=OURS)
            made = self._workspace.put(_path(SERVERLESS, request.name), body, thing="model")
        else:
            if request.tier not in {one.id for one in TIERS}:
                raise InvalidRequest(f"{NAME} has no way of hosting that is called {request.tier[:100]}.")
            tags = {
                **OURS,
                MODEL_TAG: self._online_model(request.model),
                MACHINE_TAG: request.tier,
                MACHINES_TAG: str(max(request.capacity, 1)),
            }
            body = bodies.online_endpoint(name=request.name, location=place.location, tags=tags, serving=False)
            made = self._workspace.put(_path(ONLINE, request.name), body, thing="endpoint")
        state = self._said(answers.inside(made, "properties"), "provisioningState")
        return Deployment(request.name, DeploymentStatus.CREATING, vendor_status=state)

    def deployment(self, name: str) -> Deployment:
        """The endpoint now; takes the next step where one is due, and asks it something before it calls it READY."""
        seen = self._workspace.look(_path(SERVERLESS, name), thing="endpoint")
        if seen is not None:
            inside = answers.inside(seen, "properties")
            states = [self._said(inside, field) for field in ("provisioningState", "endpointState")]
            status = _worst(states, frozenset({"Succeeded", "Online"}))
            return self._probed(name) if status is None else self._not_ready(name, status, states)
        seen = self._workspace.look(_path(ONLINE, name), thing="endpoint")
        if seen is None:
            self._chat.forget(name)
            return Deployment(name, DeploymentStatus.GONE)
        state = self._said(answers.inside(seen, "properties"), "provisioningState")
        status = _worst([state], frozenset({"Succeeded"}))
        return self._carried_on(name, seen) if status is None else self._not_ready(name, status, [state])

    def undeploy(self, name: str) -> Deployment:
        """Ask for the end of whatever is called so, with all that is in it."""
        self._chat.forget(name)
        gone = [self._workspace.delete(_path(kind, name), thing="endpoint") for kind in (SERVERLESS, ONLINE)]
        return Deployment(name, DeploymentStatus.GONE if all(gone) else DeploymentStatus.DELETING)

    def _carried_on(self, name: str, endpoint: Json) -> Deployment:
        """A managed endpoint that is there: its deployment, then its traffic, then a question."""
        path = f"{_path(ONLINE, name)}/deployments/{bodies.DEPLOYMENT}"
        location = self._workspace.facts().location
        tags = {key: value for key, value in answers.inside(endpoint, "tags").items() if isinstance(value, str)}
        seen = self._workspace.look(path, thing="deployment")
        if seen is None:
            if not tags.get(MODEL_TAG) or not tags.get(MACHINE_TAG):
                raise InvalidRequest(f"The endpoint {name} is not of our making: nothing is deployed to it.")
            machines = answers.whole(tags, MACHINES_TAG) or 1
            body = bodies.online_deployment(
                endpoint=name,
                model=tags[MODEL_TAG],
                instance_type=tags[MACHINE_TAG],
                instances=machines,
                location=location,
            )
            self._workspace.put(path, body, thing="model")
            return Deployment(name, DeploymentStatus.CREATING, vendor_status="deployment asked for")
        state = self._said(answers.inside(seen, "properties"), "provisioningState")
        status = _worst([state], frozenset({"Succeeded"}))
        if status is not None:
            return self._not_ready(name, status, [state])
        traffic = answers.inside(answers.inside(endpoint, "properties"), "traffic")
        if answers.number(traffic, bodies.DEPLOYMENT) != 100:
            body = bodies.online_endpoint(name=name, location=location, tags=tags, serving=True)
            self._workspace.put(_path(ONLINE, name), body, thing="endpoint")
            return Deployment(name, DeploymentStatus.CREATING, vendor_status="traffic asked for")
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

    def _online_model(self, model: str) -> str:
        tuned = _TUNED.fullmatch(model)
        if tuned:
            return f"{self._workspace.arm_id}/models/{tuned[1]}/versions/{tuned[2]}"
        return catalogue.address(self._workspace, model)


def _path(kind: str, name: str) -> str:
    return f"/{kind}/{part(name)}"


def _worst(states: Sequence[str], good: frozenset[str]) -> DeploymentStatus | None:
    """What the states say together; None where all that are there are good. An unknown one is on its way."""
    known = [one for one in states if one]
    if "Deleting" in known:
        return DeploymentStatus.DELETING
    if any(one in _LOST for one in known):
        return DeploymentStatus.FAILED
    return None if known and all(one in good for one in known) else DeploymentStatus.CREATING
