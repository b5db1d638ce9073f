"""Entra ID: a workspace's app registration -> tokens, which azure-identity caches and renews."""

import weakref
from typing import TYPE_CHECKING, Any

from providers._azure import trust
from providers._openai_api.errors import Vendor
from providers.credentials import Credentials
from providers.errors import NotConfigured
from providers.settings import ProviderSettings

if TYPE_CHECKING:
    from azure.core.pipeline.transport import RequestsTransport
    from azure.identity import ClientSecretCredential

FIELDS = ("tenant_id", "client_id", "client_secret")
MODELS_SCOPE = "https://cognitiveservices.azure.com/.default"
"""What a token for asking models must be for."""
PUBLIC = "https://login.microsoftonline.com"
NOT_INSTALLED = "Azure needs more Python packages on this host. Whoever runs Finetune Bot types: make azure"


NO_REPEATING: dict[str, Any] = {"retry_total": 0}
"""For every client of Azure's libraries: who calls decides on asking again."""


def network(settings: ProviderSettings) -> "RequestsTransport":
    """The connections of a client of Azure's libraries: what it trusts and how long it waits. Raises NotConfigured."""
    try:
        from azure.core.pipeline.transport import RequestsTransport
    except ImportError:
        raise NotConfigured(NOT_INSTALLED) from None
    return RequestsTransport(connection_verify=trust.bundle(settings), connection_timeout=5, read_timeout=20)


def has_app(credentials: Credentials) -> bool:
    """Whether there is an app registration to sign in as."""
    return all(credentials.get(name) for name in FIELDS)


def sign_in(settings: ProviderSettings, credentials: Credentials) -> "ClientSecretCredential":
    """Whom to ask for tokens; nobody is asked yet. Raises NotConfigured."""
    try:
        from azure.identity import ClientSecretCredential
    except ImportError:
        raise NotConfigured(NOT_INSTALLED) from None
    missing = [name.replace("_", " ") for name in FIELDS if not credentials.get(name)]
    if missing:
        raise NotConfigured(f"Signing in to Azure needs the {' and the '.join(missing)}. Add them: /finetune keys")
    connections = network(settings)
    try:
        found = ClientSecretCredential(
            *(credentials[name] for name in FIELDS),
            authority=settings.azure_authority,
            # an authority that is not Microsoft's public one is not known there either
            disable_instance_discovery=settings.azure_authority.rstrip("/") != PUBLIC,
            transport=connections,
            **NO_REPEATING,
        )
    except ValueError as error:
        raise NotConfigured(f"Azure's sign-in address or the tenant id cannot be right: {error}"[:300]) from None
    weakref.finalize(found, connections.close)
    return found


class ModelsToken:
    """Called for the token of one request to a model. Raises ProviderErrors."""

    def __init__(self, credential: "ClientSecretCredential", vendor: Vendor) -> None:
        """`vendor` is who wants to be asked."""
        self._credential, self._vendor = credential, vendor

    def __call__(self) -> str:
        """A token that is good for some minutes at least."""
        from providers._azure.errors import translated

        with translated(self._vendor):
            return self._credential.get_token(MODELS_SCOPE).token
