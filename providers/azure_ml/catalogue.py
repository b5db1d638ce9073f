"""A base model's name -> its address in one of Azure's registries: "azureml://registries/R/models/M/versions/V"."""

import re
from collections.abc import Mapping

from providers._openai_api import answers
from providers.azure_ml.workspace import NAME, Clock, Workspace
from providers.errors import InvalidRequest, NotFound, Unavailable

REGISTRIES: Mapping[str, str] = {
    "Ministral-3B": "azureml-mistral",
    "Llama-3.3-70B-Instruct": "azureml-meta",
    "gpt-oss-20b": "azureml-openai-oss",
    "Phi-4-mini-instruct": "azureml",
    "Phi-4": "azureml",
}
"""Where the models are that are called by their bare names; others are named as REGISTRY/MODEL."""
SERVERLESS = frozenset({"azureml-mistral", "azureml-meta", "azureml-openai-oss", "azureml"})
"""Registries whose models, and what is tuned of them, serverless endpoints host."""
OPENAI = "azure-openai"

_REGISTRY_API = "2021-10-01-dataplanepreview"
_SECONDS = 20.0
_ADDRESS = re.compile(r"azureml://registries/([\w.-]{1,64})/models/([\w.-]{1,255})(?:/versions/([\w.-]{1,64}))?")
_SHORT = re.compile(r"([\w.-]{1,64})/([\w.-]{1,255})(?:/([\w.-]{1,64}))?")
_PLAIN = re.compile(r"[\w.-]{1,255}")


def parts(base_model: str, *, openai: bool = False) -> tuple[str, str, str]:
    """Its registry, its name there and its version ("" for the newest). Raises InvalidRequest for what is no name."""
    found = _ADDRESS.fullmatch(base_model) or _SHORT.fullmatch(base_model)
    if found:
        return found[1], found[2], found[3] or ""
    registry = OPENAI if openai else REGISTRIES.get(base_model, "")
    if not registry or not _PLAIN.fullmatch(base_model):
        raise InvalidRequest(
            f"It is not known here in which of Azure's registries {base_model[:100]} is. Name it as REGISTRY/MODEL, "
            f"such as azureml-meta/Llama-3.3-70B-Instruct."
        )
    return registry, base_model, ""


def address(workspace: Workspace, base_model: str, *, openai: bool = False) -> str:
    """Its full address; the newest version is looked up where none is named. Raises ProviderErrors."""
    registry, name, version = parts(base_model, openai=openai)
    return f"{without_version(registry, name)}/versions/{version or _newest(workspace, registry, name)}"


def without_version(registry: str, name: str) -> str:
    """The address that serverless endpoints want."""
    return f"azureml://registries/{registry}/models/{name}"


def _newest(workspace: Workspace, registry: str, name: str) -> str:
    """As azure-ai-ml finds it: where the registry is, then what it says is the model's latest version."""
    clock = Clock(_SECONDS)
    try:
        where = workspace.at_region(f"/registrymanagement/v1.0/registries/{registry}/discovery", clock)
        base = answers.text(where, "primaryRegionResourceProviderUri").rstrip("/")
        path = (
            f"/mferp/managementfrontend/subscriptions/{answers.text(where, 'subscriptionId')}"
            f"/resourceGroups/{answers.text(where, 'resourceGroup')}"
            f"/providers/Microsoft.MachineLearningServices/registries/{registry}/models/{name}"
        )
        found = workspace.at_region(path, clock, base=base, **{"api-version": _REGISTRY_API})
    except NotFound as error:
        raise NotFound(f"Azure's registry {registry} has no model {name}.", detail=error.detail) from None
    version = answers.text(answers.inside(found, "properties"), "latestVersion")
    if not _PLAIN.fullmatch(version):
        raise Unavailable(f"{NAME} does not say which version of {name} is the newest. Try again.")
    return version
