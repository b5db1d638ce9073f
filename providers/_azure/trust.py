"""Which certificates count at Azure's addresses: the usual ones, and those that this installation adds."""

import hashlib
import os
import secrets
import ssl
from pathlib import Path

from providers.errors import NotConfigured
from providers.settings import ProviderSettings


def bundle(settings: ProviderSettings) -> str | bool:
    """For the `connection_verify` of Azure's libraries: a file with all of them, or True for the usual ones.

    Raises NotConfigured if the installation's own cannot be read.
    """
    if not settings.ca_bundle:
        return True
    from certifi import where  # comes with Azure's libraries

    added = _read(settings)
    usual = Path(where()).read_bytes()
    path = settings.cache_folder / f"certificates-{hashlib.sha256(usual + added).hexdigest()[:16]}.pem"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(f".{secrets.token_hex(4)}")
        half.write_bytes(usual + b"\n" + added)
        half.replace(path)
    return os.fspath(path)


def context(settings: ProviderSettings) -> ssl.SSLContext | bool:
    """The same for httpx2's `verify`."""
    if not settings.ca_bundle:
        return True
    from httpx2 import create_ssl_context

    usual = create_ssl_context()
    try:
        usual.load_verify_locations(cadata=_read(settings).decode("ascii", "replace"))
    except ssl.SSLError:
        raise NotConfigured(_words(settings)) from None
    return usual


def _read(settings: ProviderSettings) -> bytes:
    try:
        found = Path(settings.ca_bundle).expanduser().read_bytes()
    except OSError:
        found = b""
    if b"-----BEGIN CERTIFICATE-----" not in found:
        raise NotConfigured(_words(settings))
    return found


def _words(settings: ProviderSettings) -> str:
    return f"FINETUNE_BOT_CA_BUNDLE names {settings.ca_bundle}, which is no readable file of certificates (PEM)."
