"""The models that a workspace has registered."""

from collections.abc import Sequence

from providers._openai_api import answers
from providers.azure_ml.workspace import NAME, Workspace, part
from providers.base import Checkpoint, OfferedModel
from providers.errors import InvalidRequest


class AzureMLModels:
    """Knows a workspace's models. Safe in threads."""

    def __init__(self, workspace: Workspace) -> None:
        """`workspace` is where they are."""
        self._workspace = workspace

    def check(self) -> str:
        """Look at the workspace, which costs nothing."""
        where = self._workspace.vendor.clean(self._workspace.facts().location, 40) or "a region that it does not name"
        return f"{NAME} lets us into the workspace {self._workspace.name} ({where})."

    def offered(self) -> Sequence[OfferedModel]:
        """The registered models, each in its newest version; Azure's catalogue is not among them."""
        found = []
        for one in self._workspace.listed("/models"):
            name = answers.text(one, "name")
            version = answers.text(answers.inside(one, "properties"), "latestVersion")
            if name and version:
                found.append(OfferedModel(f"{name}:{version}", tuned=True))
        return found

    def checkpoints(self, job_id: str) -> Sequence[Checkpoint]:  # noqa: ARG002 -- there are none of any job
        """There are none that could be asked."""
        return ()

    def delete_model(self, model: str) -> None:
        """Delete a version of a registered model; what is deployed of it goes on."""
        name, _, version = model.partition(":")
        if not name or not version:
            raise InvalidRequest(f"{NAME}'s models are called NAME:VERSION, and {model[:100]} is no such name.")
        self._workspace.delete(f"/models/{part(name)}/versions/{part(version)}", thing="model")
