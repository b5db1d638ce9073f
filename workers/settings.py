"""What the processes are told: read once at a process's edge from the environment and `.env`, then passed in.

Variables without prefix are the customary ones (DATABASE_URL, REDIS_URL, STORAGE_URL, SLACK_*); everything
else starts with FINETUNE_BOT_. Empty values mean "not set".
"""

import hashlib
import tempfile
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from workers.timing import Timing


def _plain(name: str, legacy: str | None = None) -> AliasChoices:
    return AliasChoices(name, *([legacy] if legacy else []))


class Settings(BaseSettings):
    """Everything but Slack (see `bot.settings`) and the vendors (see `providers.settings`)."""

    model_config = SettingsConfigDict(
        env_prefix="FINETUNE_BOT_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    home: Path = Path(".finetune-bot")
    """Folder of everything that this installation keeps: database, queue, files, models, logs."""
    database_url: str = Field(default="", validation_alias=_plain("DATABASE_URL"))
    redis_url: str = Field(default="", validation_alias=_plain("REDIS_URL"))
    storage_url: str = Field(default="", validation_alias=_plain("STORAGE_URL"))
    gateway_host: str = "127.0.0.1"
    gateway_port: int = 8080
    serve_port: int = 8090
    gateway_url: str = ""
    """Where people reach the gateway, if not under its own host and port."""
    serve_url: str = ""
    """Where workers reach the model server, if it is not on this host."""
    serve_kind: Literal["own", "vllm"] = "own"
    """What it is. With vLLM, whoever runs this installation starts that server, and `serve` is not started here."""
    serve_adapter_megabytes: int | None = Field(default=None, ge=0)
    """Memory of the model server for adapters that nobody asks just now; by their base model's, if not said."""
    base_model: str = "smollm2-135m-instruct"
    """The base model that a form offers first; the name of a packaged model or a folder."""
    admins: str = ""
    """Slack user ids, separated by commas, of those who may end anybody's run and revoke anybody's key."""
    max_upload_bytes: int = 1_000_000_000
    hub_organisations: str = ""
    """Whose datasets may be read by name (hf:owner/name@revision): owners with commas between them, or * for all."""
    hub_folder: Path | None = None
    """Where datasets lie that need no download: hub_folder/owner/name/revision, written by `save_to_disk`."""
    held_out_examples: int = 40
    """At most so many examples are held out for the evaluation."""
    hosting_hours: float = Field(default=4.0, ge=0.25, le=720)
    """How long a tuned model that costs by the hour stays hosted, unless it is in use or somebody keeps it."""
    hosting_warning_minutes: float = 30.0
    """How long before that its thread is told."""
    lease_seconds: float = 30.0
    redispatch_seconds: float = 15.0
    card_seconds: float = 5.0
    """A run's card is edited at most this often while nothing decisive happens."""
    poll_seconds: float = Field(default=10.0, ge=0.1, le=60)
    """A vendor is asked about one run, or one deployment, at most this often."""
    checkpoint_steps: int = 10
    log_format: str = "text"
    today: date | None = None
    """The day that vendors' retirement dates are compared with, if not the real one; for trying what will happen."""
    openai_url: str = "https://api.openai.com/v1"
    """OpenAI's address, as the providers are told it: at another one OpenAI's retirement dates refuse nothing."""

    @property
    def admin_ids(self) -> frozenset[str]:
        """The admins' user ids."""
        return frozenset(one.strip() for one in self.admins.split(",") if one.strip())

    @property
    def timing(self) -> Timing:
        """The task protocol's patience."""
        return Timing(lease_seconds=self.lease_seconds, redispatch_seconds=self.redispatch_seconds)

    @property
    def hub_owners(self) -> tuple[str, ...]:
        """The owners whose datasets may be read by name."""
        return tuple(one.strip() for one in self.hub_organisations.split(",") if one.strip())

    @property
    def folder(self) -> Path:
        """`home` as an absolute path."""
        return self.home.expanduser().resolve()

    @property
    def database(self) -> str:
        """The database's URL: SQLite in `home` unless told otherwise."""
        return self.database_url or f"sqlite:///{self.folder / 'finetune-bot.db'}"

    @property
    def storage(self) -> str:
        """Where files are kept, as an fsspec URL: a folder in `home` unless told otherwise."""
        return self.storage_url or f"file://{self.folder / 'files'}"

    @property
    def embedded_queue(self) -> bool:
        """Whether this installation runs its own Valkey."""
        return not self.redis_url

    @property
    def valkey_socket(self) -> Path:
        """The embedded Valkey's unix socket; in the temporary folder where `home` is too long for one."""
        path = self.folder / "run" / "valkey.sock"
        if len(str(path)) < 100:
            return path
        digest = hashlib.sha256(str(self.folder).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"finetune-bot-{digest}" / "valkey.sock"

    @property
    def redis(self) -> str:
        """The queue's URL."""
        return self.redis_url or f"unix://{self.valkey_socket}"

    @property
    def public_gateway(self) -> str:
        """The gateway's address as people see it, without a slash at the end."""
        return (self.gateway_url or f"http://{self.gateway_host}:{self.gateway_port}").rstrip("/")

    @property
    def model_server(self) -> str:
        """The local model server's address, without a slash at the end."""
        return (self.serve_url or f"http://127.0.0.1:{self.serve_port}").rstrip("/")

    @property
    def models_folder(self) -> Path:
        """Where this host keeps tuned models for serving; each is a folder with its adapter."""
        return self.folder / "models"

    @property
    def cache_folder(self) -> Path:
        """Where unpacked base models are kept."""
        return self.folder / "cache"

    @property
    def runs_folder(self) -> Path:
        """Where attempts at local training work."""
        return self.folder / "runs"
