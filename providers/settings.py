"""What the providers are told: read once at a process's edge from the environment and `.env`, then passed in."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ProviderSettings(BaseSettings):
    """Where this installation keeps its files, and where its model server is."""

    model_config = SettingsConfigDict(
        env_prefix="FINETUNE_BOT_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    home: Path = Path(".finetune-bot")
    """Folder of everything that this installation keeps; the same variable as the processes' own."""
    serve_port: int = 8090
    serve_url: str = ""
    """Where the model server is, if it is not on this host."""
    serve_kind: Literal["own", "vllm"] = "own"
    """What it is: this project's own, or vLLM."""
    serve_models: str = ""
    """For vLLM: where its host sees the folder of tuned models, if not under the path that it has here."""
    serve_key: str = Field(default="", repr=False)
    """For vLLM: the key that it was started with."""

    autotrain_environment: str = ""
    """A virtual environment that has AutoTrain already; empty: one is built when it is first needed."""

    openai_url: str = "https://api.openai.com/v1"
    """OpenAI's address; another one is a proxy or a stand-in, and OpenAI's retirement dates do not hold there."""
    azure_hosts: str = ""
    """Further hosts ("host" or "host:port", separated by commas) that an Azure OpenAI endpoint may have."""
    azure_management_url: str = "https://management.azure.com"
    azure_authority: str = "https://login.microsoftonline.com"
    ca_bundle: str = ""
    """A file of certificates to trust at Azure's addresses, beside the usual ones; for proxies and stand-ins."""

    @property
    def more_azure_hosts(self) -> tuple[str, ...]:
        """`azure_hosts` as a tuple."""
        return tuple(one.strip().lower() for one in self.azure_hosts.split(",") if one.strip())

    @property
    def folder(self) -> Path:
        """`home` as an absolute path."""
        return self.home.expanduser().resolve()

    @property
    def models_folder(self) -> Path:
        """Where this host keeps tuned models for serving."""
        return self.folder / "models"

    @property
    def cache_folder(self) -> Path:
        """Where unpacked base models are kept."""
        return self.folder / "cache"

    @property
    def stub_folder(self) -> Path:
        """Where the pretending provider remembers its jobs."""
        return self.folder / "stub"

    @property
    def model_server(self) -> str:
        """The model server's address, without a slash at the end."""
        return (self.serve_url or f"http://127.0.0.1:{self.serve_port}").rstrip("/")
