"""Credentials -> a client for models, the resource in Azure's resource manager, and how the vendor is called."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx2
from openai import DefaultHttpxClient, OpenAI
from openai._types import Omit

from providers._azure import identity, trust
from providers._openai_api.errors import Vendor
from providers.azure_openai.resource import Resource
from providers.credentials import FIELDS, Credentials, is_azure
from providers.errors import NotAllowed, NotConfigured
from providers.settings import ProviderSettings

NAME = "Azure OpenAI"
CONSOLE = "https://ai.azure.com"
KEYS_HELP = "An admin can renew them: /finetune keys"
ROLE = "Cognitive Services OpenAI Contributor"
"""What our app must be allowed on the resource, for everything that we do."""

_ASK = httpx2.Timeout(60.0, connect=5.0)
_TO_HOST = ("subscription_id", "resource_group", "account", *identity.FIELDS)


def vendor(credentials: Credentials) -> Vendor:
    """Azure OpenAI, with this workspace's secrets so that nobody reads them in a message."""
    secret = [one.name for one in FIELDS["azure_openai"] if one.secret]
    return Vendor(NAME, CONSOLE, KEYS_HELP, tuple(credentials[name] for name in secret if credentials.get(name)))


def client(settings: ProviderSettings, credentials: Credentials) -> OpenAI:
    """A client of the resource's v1 surface, by API key or else as our app. It never repeats a call.

    Raises NotConfigured.
    """
    endpoint = credentials.get("endpoint", "")
    if not is_azure(endpoint, settings.more_azure_hosts):
        raise NotConfigured(
            f"{NAME}'s endpoint is missing or no address of Azure's. An admin can mend it: /finetune keys"
        )
    key: str | Callable[[], str] | None = credentials.get("api_key")
    if not key and identity.has_app(credentials):
        key = identity.ModelsToken(identity.sign_in(settings, credentials), vendor(credentials))
    if not key:
        raise NotConfigured(f"{NAME} needs an API key or an app registration. An admin can add one: /finetune keys")
    verify = trust.context(settings)
    return OpenAI(
        api_key=key,
        base_url=f"{endpoint.rstrip('/')}/openai/v1/",
        # else the library takes these from this process's environment, for another vendor
        default_headers={"OpenAI-Organization": Omit(), "OpenAI-Project": Omit()},  # type: ignore[dict-item]
        http_client=None if verify is True else _Connections(verify=verify),
        max_retries=0,
        timeout=_ASK,
    )


def missing(credentials: Credentials) -> list[str]:
    """The fields that are needed for hosting and are empty, as people call them."""
    texts = {one.name: one.text for one in FIELDS["azure_openai"]}
    return [texts[name] for name in _TO_HOST if not credentials.get(name)]


def resource(settings: ProviderSettings, credentials: Credentials) -> Resource:
    """The resource as Azure's resource manager knows it. Raises NotConfigured, with what is missing."""
    needed = missing(credentials)
    if needed:
        raise NotConfigured(
            f"To host a tuned model, {NAME} needs more: {', '.join(needed)}. An admin can add it: /finetune keys"
        )
    return Resource(settings, credentials, vendor(credentials), identity.sign_in(settings, credentials), ROLE)


class _Connections(DefaultHttpxClient):
    """Closes itself when nobody uses it any more, like the library's own."""

    def __del__(self) -> None:
        if not self.is_closed:
            self.close()


@contextmanager
def naming_the_role() -> Iterator[None]:
    """Where our app is refused for want of a role, say which one it needs."""
    try:
        yield
    except NotAllowed as error:
        if "PermissionDenied" not in error.detail and "data action" not in error.detail:
            raise
        problem = NotAllowed(
            f"{NAME} does not let our app do this. It needs the role {ROLE} on the resource; a new role takes some "
            "minutes to count.",
            detail=error.detail,
        )
    else:
        return
    raise problem from None
