"""The machines that serve the gpu queue: each says what it has, so that a plan can say whether a training fits."""

import socket
import threading
from collections.abc import Callable

import structlog
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from providers.local.hardware import Hardware
from workers.db import Database, epoch_now
from workers.tables import TrainingHost

log = structlog.get_logger()

EVERY_SECONDS = 3600.0
"""How often a machine says that it is there."""
FORGOTTEN_AFTER = 86_400.0
"""Seconds after which a machine that has not said so counts no more."""


def report(db: Database, hardware: Hardware) -> None:
    """Keep what this machine has."""
    with db.write() as session:
        row = session.get(TrainingHost, socket.gethostname()) or TrainingHost(name=socket.gethostname())
        row.hardware = hardware.to_json()
        session.add(row)
        session.flush()
        session.exec(update(TrainingHost).where(col(TrainingHost.name) == row.name).values(seen_at=epoch_now()))


def keep_reporting(db: Database, look: Callable[[], Hardware], stop: threading.Event) -> threading.Thread:
    """Say it now and again until `stop`, in a thread; while the database is away nothing else waits for it."""

    def speak() -> None:
        while not stop.is_set():
            try:
                report(db, look())
            except SQLAlchemyError as error:
                log.warning("hardware_not_reported", error=type(error).__name__)
                stop.wait(min(60.0, EVERY_SECONDS))
            else:
                stop.wait(EVERY_SECONDS)
        db.dispose()

    thread = threading.Thread(target=speak, name="hardware", daemon=True)
    thread.start()
    return thread


def best(session: Session) -> Hardware | None:
    """The machine with the most room for a training; None before any has been seen."""
    known = session.exec(select(TrainingHost).where(col(TrainingHost.seen_at) > epoch_now() - FORGOTTEN_AFTER))
    return max((Hardware.from_json(row.hardware) for row in known), key=lambda one: one.room, default=None)
