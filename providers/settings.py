"""What the providers are told: read once at a process's edge from the environment and `.env`, then passed in."""

from pathlib import Path

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

    @property
    def folder(self) -> Path:
        """`home` as an absolute path."""
        return self.home.expanduser().resolve()

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
