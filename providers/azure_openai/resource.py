"""An Azure OpenAI resource in Azure's resource manager: what is deployed there is asked for, seen and deleted."""

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from providers._azure import identity
from providers._openai_api import answers
from providers._openai_api.errors import Vendor
from providers.credentials import Credentials
from providers.errors import NotConfigured
from providers.settings import ProviderSettings

if TYPE_CHECKING:
    from azure.identity import ClientSecretCredential
    from azure.mgmt.cognitiveservices import CognitiveServicesManagementClient

MOST_DEPLOYMENTS = 1000


@dataclass(frozen=True)
class Seen:
    """A deployment as the resource manager describes it; fields that it leaves out are empty."""

    name: str
    state: str
    model: str
    error: str = ""


class Resource:
    """One resource. Nothing here waits for Azure to finish. Safe in threads; raises ProviderErrors."""

    def __init__(
        self,
        settings: ProviderSettings,
        credentials: Credentials,
        vendor: Vendor,
        credential: "ClientSecretCredential",
        role: str,
    ) -> None:
        """`credential` is whom to ask for tokens, `role` what our app must be allowed."""
        self._settings, self._vendor, self._credential, self._role = settings, vendor, credential, role
        self._subscription = credentials["subscription_id"]
        self._where = (credentials["resource_group"], credentials["account"])

    @property
    def name(self) -> str:
        """Its name in Azure."""
        return self._where[1]

    def about(self) -> Mapping[str, Any]:
        """The resource itself, its fields as Azure has them."""
        from providers._azure.errors import translated

        with translated(self._vendor, role=self._role):
            return _raw(self._client.accounts.get(*self._where, cls=_keep))

    def deployments(self) -> list[Seen]:
        """Everything that is deployed there."""
        from providers._azure.errors import translated

        found: list[Seen] = []
        with translated(self._vendor, role=self._role):
            for one in self._client.deployments.list(*self._where):
                if len(found) >= MOST_DEPLOYMENTS:
                    break
                inside = one.properties
                state, model = getattr(inside, "provisioning_state", ""), getattr(inside, "model", None)
                if isinstance(one.name, str):
                    found.append(Seen(one.name, self._vendor.clean(state, 40), str(getattr(model, "name", ""))))
        return found

    def get(self, name: str) -> Seen:
        """Raises NotFound."""
        from providers._azure.errors import translated

        with translated(self._vendor, role=self._role, thing="deployment"):
            data = _raw(self._client.deployments.get(*self._where, name, cls=_keep))
        return self._seen(name, data)

    def put(self, name: str, model: str, version: str | None, sku: str, capacity: int) -> None:
        """Ask for a deployment of this name, or change the one that there is."""
        from azure.mgmt.cognitiveservices.models import Deployment, DeploymentModel, DeploymentProperties, Sku

        from providers._azure.errors import translated

        wanted = Deployment(
            sku=Sku(name=sku, capacity=capacity),
            properties=DeploymentProperties(model=DeploymentModel(format="OpenAI", name=model, version=version)),
        )
        smaller = "a smaller capacity or another tier"
        with translated(self._vendor, role=self._role, thing="model", smaller=smaller):
            self._client.deployments.begin_create_or_update(*self._where, name, wanted, polling=False)

    def delete(self, name: str) -> None:
        """Ask for the end of a deployment; one that is not there is no mistake."""
        from providers._azure.errors import translated

        with translated(self._vendor, role=self._role, thing="deployment"):
            self._client.deployments.begin_delete(*self._where, name, polling=False)

    @cached_property
    def _client(self) -> "CognitiveServicesManagementClient":
        try:
            from azure.mgmt.cognitiveservices import CognitiveServicesManagementClient
        except ImportError:
            raise NotConfigured(identity.NOT_INSTALLED) from None
        address = self._settings.azure_management_url.rstrip("/")
        connections = identity.network(self._settings)
        found = CognitiveServicesManagementClient(
            self._credential,
            self._subscription,
            base_url=address,
            credential_scopes=[f"{address}/.default"],
            transport=connections,
            **identity.NO_REPEATING,
        )
        weakref.finalize(found, connections.close)
        return found

    def _seen(self, name: str, data: Mapping[str, Any]) -> Seen:
        inside = answers.inside(data, "properties")
        error = answers.inside(inside, "error") or answers.inside(data, "error")
        return Seen(
            name,
            self._vendor.clean(inside.get("provisioningState"), 40),
            answers.text(answers.inside(inside, "model"), "name"),
            self._vendor.clean(error.get("message"), 500) or self._vendor.clean(error.get("code"), 100),
        )


def _keep(response: Any, _model: object, _headers: object) -> Any:
    """For the library's `cls`: the answer as it came, instead of what the library makes of it."""
    return response.http_response.json()


def _raw(data: Any) -> Mapping[str, Any]:
    return data if isinstance(data, dict) else {}
