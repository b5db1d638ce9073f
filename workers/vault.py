"""Secrets at rest: sealed with the installation's own keys, opened only where they are used.

The keys are in a file of the installation's home that its user alone can read, or in FINETUNE_BOT_VAULT_KEYS
(separated by commas, the newest first) where several hosts share a database. The newest seals; all of them open.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from workers.errors import SetupProblem


class VaultSettings(BaseSettings):
    """Where the keys are, if not in the home."""

    model_config = SettingsConfigDict(
        env_prefix="FINETUNE_BOT_", env_file=".env", env_ignore_empty=True, extra="ignore"
    )

    vault_keys: SecretStr = SecretStr("")


class Vault:
    """Seals and opens. `folder` is the installation's home; its key is made on first use."""

    def __init__(self, folder: Path, settings: VaultSettings | None = None) -> None:
        written = (settings or VaultSettings()).vault_keys.get_secret_value()
        keys = [one.strip() for one in written.split(",") if one.strip()] or _stored(folder / "keys" / "vault.keys")
        try:
            self._box = MultiFernet([Fernet(one) for one in keys])
        except ValueError as error:
            raise SetupProblem(
                "A key of the vault is no Fernet key (32 bytes, base64). Look at keys/vault.keys in the home, or at "
                "FINETUNE_BOT_VAULT_KEYS."
            ) from error

    def seal(self, values: Mapping[str, str]) -> str:
        """The values as text that only this installation can open."""
        return self._box.encrypt(json.dumps(dict(values)).encode()).decode()

    def open(self, sealed: str) -> dict[str, str]:
        """The values. Raises SetupProblem where no key fits."""
        try:
            values: dict[str, str] = json.loads(self._box.decrypt(sealed.encode()))
        except InvalidToken as error:
            raise SetupProblem(
                "Stored credentials cannot be opened: they were sealed with a key that is not here. Bring back "
                "keys/vault.keys of the home (or FINETUNE_BOT_VAULT_KEYS), or enter the credentials again."
            ) from error
        return values

    def reseal(self, sealed: str) -> str:
        """The same values under the newest key."""
        return self._box.rotate(sealed.encode()).decode()


def _stored(path: Path) -> list[str]:
    """The keys of the file, the newest first; made if need be, so that of two processes only one key survives."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{os.urandom(4).hex()}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(Fernet.generate_key().decode())
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass  # another process was first: its key counts
        finally:
            fresh.unlink()
    return path.read_text().split()
