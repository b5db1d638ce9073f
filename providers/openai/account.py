"""Credentials -> a client of OpenAI's, and how the vendor is called."""

import httpx2
from openai import OpenAI
from openai._types import Omit

from providers._openai_api.errors import Vendor
from providers.credentials import FIELDS, Credentials
from providers.errors import NotConfigured
from providers.settings import ProviderSettings

NAME = "OpenAI"
CONSOLE = "https://platform.openai.com/settings/organization"
KEYS_HELP = "An admin can renew them: /finetune keys"

_ASK = httpx2.Timeout(60.0, connect=5.0)


def vendor(credentials: Credentials) -> Vendor:
    """OpenAI, with this account's secrets so that nobody reads them in a message."""
    secret = [one.name for one in FIELDS["openai"] if one.secret]
    return Vendor(NAME, CONSOLE, KEYS_HELP, tuple(credentials[name] for name in secret if credentials.get(name)))


def client(settings: ProviderSettings, credentials: Credentials) -> OpenAI:
    """A client with connections of its own. It never repeats a call. Raises NotConfigured without a key."""
    key = credentials.get("api_key")
    if not key:
        raise NotConfigured(f"There is no API key for {NAME} here yet. An admin can add it: /finetune keys")
    asked_for = {"OpenAI-Organization": "organization", "OpenAI-Project": "project"}
    return OpenAI(
        api_key=key,
        base_url=settings.openai_url,
        # as headers: else the library takes what is missing from this process's environment
        default_headers={header: credentials.get(name) or Omit() for header, name in asked_for.items()},  # type: ignore[misc]
        max_retries=0,
        timeout=_ASK,
    )
