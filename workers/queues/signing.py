"""Jobs are JSON, signed: whoever can only write to Redis cannot make a worker do anything.

The key belongs to the installation: a file in its home, or FINETUNE_BOT_QUEUE_KEY where several hosts
share a queue.
"""

import hmac
import json
import os
import secrets
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from workers.errors import SetupProblem

SHORTEST_KEY = 32
"""Characters; a shorter key is refused."""


class BadSignature(ValueError):
    """The bytes were not written by this installation."""


class SignedJson:
    """A serialiser for RQ: `<hex digest>.<JSON>`."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def dumps(self, obj: Any, /) -> bytes:
        """JSON with its signature before it."""
        payload = json.dumps(obj, separators=(",", ":")).encode()
        return self._digest(payload) + b"." + payload

    def loads(self, data: bytes, /) -> Any:
        """The value. Raises BadSignature if the bytes are not ours."""
        digest, _, payload = bytes(data).partition(b".")
        if not hmac.compare_digest(digest, self._digest(payload)):
            raise BadSignature("not signed by this installation")
        return json.loads(payload)

    def _digest(self, payload: bytes) -> bytes:
        return hmac.new(self._key, payload, sha256).hexdigest().encode()


class _KeySettings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="FINETUNE_BOT_", env_file=".env", env_ignore_empty=True, extra="ignore"
    )

    queue_key: SecretStr = SecretStr("")


def installation_key(folder: Path) -> str:
    """The installation's key, made on first use (`folder` is its home)."""
    key = _KeySettings().queue_key.get_secret_value() or _stored_key(folder / "keys" / "queue.key")
    if len(key) < SHORTEST_KEY:
        raise SetupProblem(f"FINETUNE_BOT_QUEUE_KEY is too short: use at least {SHORTEST_KEY} random characters.")
    return key


def _stored_key(path: Path) -> str:
    """Read the key file; create it if need be, so that of two processes only one key survives."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass  # another process was first: its key counts
        finally:
            fresh.unlink()
    return path.read_text().strip()
