"""Engines and transactions.

SQLite: WAL, BEGIN IMMEDIATE for everything that writes, a second read-only-by-habit engine for reads.
PostgreSQL: plain transactions. Times that decide anything (leases, dispatch) are the database's own,
through `epoch_now()`, so that two hosts' clocks never disagree. No error prints the values of its statement:
they are people's data, and errors go into logs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, Float, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import Session

Doorbell = Callable[[list[int]], None]
"""Called after a commit with the ids of the tasks that it created."""


class epoch_now(FunctionElement[float]):  # noqa: N801 -- reads as the SQL function that it is
    """The database's clock in seconds since the epoch, UTC."""

    type = Float()
    inherit_cache = True


@compiles(epoch_now, "sqlite")
def _sqlite_now(_element: Any, _compiler: Any, **_kwargs: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(epoch_now, "postgresql")
def _postgresql_now(_element: Any, _compiler: Any, **_kwargs: Any) -> str:
    return "extract(epoch from clock_timestamp())"


class Database:
    """Opens short transactions. Never hold one across a network call.

    `doorbell` is rung after each commit that created tasks (see `workers.tasks.add`).
    """

    def __init__(self, url: str, *, busy_seconds: float = 10.0, doorbell: Doorbell | None = None) -> None:
        self.url = make_url(url)
        if self.url.drivername in {"postgresql", "postgres"}:
            self.url = self.url.set(drivername="postgresql+psycopg")
        self.doorbell = doorbell
        self._writer = self._engine(busy_seconds, begin="BEGIN IMMEDIATE")
        self._reader = self._engine(busy_seconds, begin="BEGIN") if self.is_sqlite else self._writer

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def engine(self) -> Engine:
        """The writing engine, for migrations."""
        return self._writer

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that commits at the end of the block and then rings for the new tasks."""
        with Session(self._writer, expire_on_commit=False) as session:
            with session.begin():
                yield session
            new_tasks: list[int] = session.info.get("new_tasks", [])
        if new_tasks and self.doorbell is not None:
            self.doorbell(new_tasks)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction for looking only; its objects stay readable after the block."""
        with Session(self._reader, expire_on_commit=False) as session:
            yield session

    def dispose(self) -> None:
        """Close every connection."""
        self._writer.dispose()
        self._reader.dispose()

    def _engine(self, busy_seconds: float, begin: str) -> Engine:
        if not self.is_sqlite:
            return create_engine(self.url, pool_pre_ping=True, hide_parameters=True)
        options = {"timeout": busy_seconds, "check_same_thread": False}
        engine = create_engine(self.url, connect_args=options, hide_parameters=True)

        @event.listens_for(engine, "connect")
        def _configure(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # the driver must not begin transactions of its own
            cursor = connection.cursor()
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
                cursor.execute(f"PRAGMA {pragma}")
            cursor.close()

        @event.listens_for(engine, "begin")
        def _begin(connection: Any) -> None:
            connection.exec_driver_sql(begin)

        return engine
