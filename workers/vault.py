"""Secrets at rest: sealed with the installation's own keys, opened only where they are used.

The keys are in a file of the installation's home that its user alone can read, or in FINETUNE_BOT_VAULT_KEYS
(separated by commas, the newest first) where several hosts share a database. The newest seals; all of them open.
The file is read for each use, so that a running process knows of a rotation at once.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from workers.errors import SetupProblem

KEPT = 2
"""After a rotation: the new key, and the one before it for what a process has sealed meanwhile."""


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
        self._given = tuple(one.strip() for one in written.split(",") if one.strip())
        self._path = folder / "keys" / "vault.keys"

    @property
    def is_given(self) -> bool:
        """Whether the keys are given by FINETUNE_BOT_VAULT_KEYS, where nobody but the operator can change them."""
        return bool(self._given)

    def found(self) -> str:
        """Where the keys are and how many, in words; nothing of the keys. Raises SetupProblem."""
        if self._given:
            where, count = "FINETUNE_BOT_VAULT_KEYS", len(self._given)
        elif not self._path.exists():
            raise SetupProblem(f"There is no {self._path}.")
        elif self._path.stat().st_mode & 0o077:
            raise SetupProblem(f"{self._path} can be read by other users. Run: chmod 600 {self._path}")
        else:
            where, count = str(self._path), len(_stored(self._path))
        self._box()
        return f"{count} key{'s' if count > 1 else ''} in {where}"

    def seal(self, values: Mapping[str, str]) -> str:
        """The values as text that only this installation can open. Raises SetupProblem."""
        return self._box().encrypt(json.dumps(dict(values)).encode()).decode()

    def open(self, sealed: str) -> dict[str, str]:
        """The values. Raises SetupProblem where no key fits."""
        try:
            values: dict[str, str] = json.loads(self._box().decrypt(sealed.encode()))
        except InvalidToken as error:
            raise _closed() from error
        return values

    def reseal(self, sealed: str) -> str:
        """The same values under the newest key. Raises SetupProblem where no key fits."""
        try:
            return self._box().rotate(sealed.encode()).decode()
        except InvalidToken as error:
            raise _closed() from error

    @contextmanager
    def rotation(self) -> Iterator[None]:
        """A new key seals from now on; after the block, which reseals everything, those before the last one go.

        Where the block fails, every key stays, and the next rotation makes up for it. One at a time; changes nothing
        where the keys are given.
        """
        if self._given:
            yield
            return
        _stored(self._path)  # so that there is a folder for the lock
        with self._path.with_name("vault.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keys = [Fernet.generate_key().decode(), *_stored(self._path)]
            _write(self._path, keys)
            yield
            _write(self._path, keys[:KEPT])

    def _box(self) -> MultiFernet:
        try:
            return MultiFernet([Fernet(one) for one in self._given or _stored(self._path)])
        except ValueError as error:
            raise SetupProblem(
                "A key of the vault is no Fernet key (32 bytes, base64). Look at keys/vault.keys in the home, or at "
                "FINETUNE_BOT_VAULT_KEYS."
            ) from error


def _closed() -> SetupProblem:
    return SetupProblem(
        "Stored credentials cannot be opened: they were sealed with a key that is not here. Bring back "
        "keys/vault.keys of the home (or FINETUNE_BOT_VAULT_KEYS), or enter the credentials again."
    )


def _stored(path: Path) -> list[str]:
    """The keys of the file, the newest first; made if need be, so that of two processes only one key survives."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = _fresh(path, [Fernet.generate_key().decode()])
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass  # another process was first: its key counts
        finally:
            fresh.unlink()
    return path.read_text().split()


def _write(path: Path, keys: list[str]) -> None:
    """Put these keys in place of the file's, at once or not at all."""
    _fresh(path, keys).replace(path)


def _fresh(path: Path, keys: list[str]) -> Path:
    """A file beside `path` with these keys, on the disk, for this user only."""
    fresh = path.with_name(f"{path.name}.{os.urandom(4).hex()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(keys))
        file.flush()
        os.fsync(file.fileno())
    return fresh
