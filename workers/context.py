"""What a handler works with: settings, database, files and providers, built once a process."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from workers.db import Database
from workers.queues.bell import Bell
from workers.queues.signing import installation_key
from workers.settings import Settings
from workers.storage import Storage
from workers.vault import Vault

if TYPE_CHECKING:
    from providers.registry import Providers


@dataclass(frozen=True)
class Context:
    """Everything that outlives a task."""

    settings: Settings
    db: Database
    storage: Storage
    providers: "Providers"

    @cached_property
    def vault(self) -> Vault:
        """What opens stored credentials."""
        return Vault(self.settings.folder)


def open_database(settings: Settings, *, busy_seconds: float = 10.0) -> Database:
    """The database, with a doorbell that rings for the tasks of each commit."""
    db = Database(settings.database, busy_seconds=busy_seconds)
    db.doorbell = Bell(db, settings.redis, installation_key(settings.folder), settings.timing).ring
    return db


def build(settings: Settings, *, busy_seconds: float = 10.0) -> Context:
    """Build it. Nothing is connected to yet."""
    from providers.registry import build as build_providers
    from providers.settings import ProviderSettings

    return Context(
        settings=settings,
        db=open_database(settings, busy_seconds=busy_seconds),
        storage=Storage(settings.storage),
        providers=build_providers(ProviderSettings()),
    )
