"""What each vendor must be told to let us in: the fields of a form, and what can be known to be wrong with them.

Values travel as plain text inside a process only; at rest they are sealed (`workers.vault`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

Credentials = Mapping[str, str]
"""Field name to value; a field that was left empty is not there."""

AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
"""Where an Azure OpenAI resource may be; an installation's settings may add hosts."""
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_AT_AZURE = re.compile(rf"{_LABEL}(?:\.{_LABEL})*(?:{'|'.join(map(re.escape, AZURE_HOSTS))})(?::443)?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._()-]{0,89}")


@dataclass(frozen=True)
class CredentialField:
    """One line of the form. A `secret` is never shown again, nor are its last characters."""

    name: str
    text: str
    hint: str = ""
    secret: bool = False
    needed: bool = True


_ENTRA = (
    CredentialField("tenant_id", "Entra tenant id", "of the app registration that we sign in as", needed=False),
    CredentialField("client_id", "Entra client id", needed=False),
    CredentialField("client_secret", "Entra client secret", secret=True, needed=False),
)
_RESOURCE = (
    CredentialField("subscription_id", "Subscription id", needed=False),
    CredentialField("resource_group", "Resource group", needed=False),
)

FIELDS: Mapping[str, tuple[CredentialField, ...]] = {
    "openai": (
        CredentialField("api_key", "API key", "a project key that may fine-tune", secret=True),
        CredentialField("organization", "Organisation id", "only if the key belongs to several", needed=False),
        CredentialField("project", "Project id", needed=False),
        CredentialField(
            "webhook_secret",
            "Webhook secret",
            "of the webhook that tells us when a job ends",
            secret=True,
            needed=False,
        ),
    ),
    "azure_openai": (
        CredentialField("endpoint", "Endpoint", "https://NAME.openai.azure.com"),
        CredentialField("api_key", "API key", "or the Entra fields below", secret=True, needed=False),
        *_ENTRA,
        *_RESOURCE,
        CredentialField("account", "Azure OpenAI resource name", "with the three above: to deploy", needed=False),
    ),
    "azure_ml": (
        CredentialField("tenant_id", "Entra tenant id", "of the app registration that we sign in as"),
        CredentialField("client_id", "Entra client id"),
        CredentialField("client_secret", "Entra client secret", secret=True),
        CredentialField("subscription_id", "Subscription id"),
        CredentialField("resource_group", "Resource group"),
        CredentialField("workspace", "Workspace name"),
    ),
}
"""The fields of each vendor that needs any, in the form's order."""


def needed_by(provider: str) -> bool:
    """Whether this provider is a vendor that wants credentials."""
    return provider in FIELDS


def problems(provider: str, values: Credentials, *, more_hosts: tuple[str, ...] = ()) -> dict[str, str]:
    """What is wrong with these values, by field, without asking anybody; empty for nothing.

    `more_hosts` are further hosts ("host" or "host:port") that an Azure endpoint may have.
    """
    found: dict[str, str] = {}
    for field in FIELDS[provider]:
        value = values.get(field.name, "")
        if field.needed and not value:
            found[field.name] = f"{field.text} is needed."
        elif value and not _is_printable(value):
            found[field.name] = "This has spaces or characters that no such value has. Copy it again."
    for name in ("tenant_id", "client_id", "subscription_id"):
        if values.get(name) and not _UUID.fullmatch(values[name]):
            found.setdefault(name, "This is an id of the form 01234567-89ab-cdef-0123-456789abcdef.")
    for name in ("resource_group", "account", "workspace"):
        if values.get(name) and not _NAME.fullmatch(values[name]):
            found.setdefault(name, "Azure's names have letters, digits, dots, hyphens and underscores only.")
    if provider == "azure_openai":
        _check_azure_openai(values, more_hosts, found)
    return found


def _check_azure_openai(values: Credentials, more_hosts: tuple[str, ...], found: dict[str, str]) -> None:
    endpoint = values.get("endpoint", "")
    if endpoint and not is_azure(endpoint, more_hosts):
        found.setdefault(
            "endpoint", "This must be https:// and a host of Azure's, such as https://NAME.openai.azure.com"
        )
    entra = [name for name in ("tenant_id", "client_id", "client_secret") if values.get(name)]
    if entra and len(entra) < 3:
        found.setdefault("tenant_id", "Entra needs all three: tenant id, client id and client secret.")
    if not entra and not values.get("api_key"):
        found.setdefault("api_key", "Give an API key, or the three Entra fields.")
    where = [name for name in ("subscription_id", "resource_group", "account") if values.get(name)]
    if where and (len(where) < 3 or not entra):
        found.setdefault(
            "subscription_id",
            "To deploy tuned models, all of subscription id, resource group and resource name are needed, and the "
            "three Entra fields (role: Cognitive Services OpenAI Contributor).",
        )


def is_azure(endpoint: str, more_hosts: tuple[str, ...] = ()) -> bool:
    """Whether this address is one of Azure's own, or of those that the installation's settings allow."""
    try:
        parts = urlsplit(endpoint)
        host, address = (parts.hostname or "").lower(), parts.netloc.lower()
    except ValueError:
        return False
    if "@" in address or parts.query or parts.fragment or not endpoint.isprintable():
        return False
    if address in more_hosts or host in more_hosts:
        return parts.scheme in {"http", "https"}
    return parts.scheme == "https" and _AT_AZURE.fullmatch(address) is not None


def shown(provider: str, values: Credentials) -> dict[str, str]:
    """What of them may be shown again: all but the secrets."""
    return {one.name: values[one.name] for one in FIELDS[provider] if not one.secret and one.name in values}


def _is_printable(value: str) -> bool:
    return len(value) <= 500 and value.isprintable() and value.isascii() and " " not in value
