"""The machines that serve the gpu queue: each says what it has, so that a plan can say whether a training fits."""

import socket

from sqlalchemy import update
from sqlmodel import Session, col, select

from providers.local.hardware import Hardware
from workers.db import Database, epoch_now
from workers.tables import TrainingHost

FORGOTTEN_AFTER = 7 * 86_400.0
"""Seconds after which a machine that has not been seen counts no more."""


def report(db: Database, hardware: Hardware) -> None:
    """Keep what this machine has."""
    with db.write() as session:
        row = session.get(TrainingHost, socket.gethostname()) or TrainingHost(name=socket.gethostname())
        row.hardware = hardware.to_json()
        session.add(row)
        session.flush()
        session.exec(update(TrainingHost).where(col(TrainingHost.name) == row.name).values(seen_at=epoch_now()))


def best(session: Session) -> Hardware | None:
    """The machine with the most room for a training; None before any has been seen."""
    known = session.exec(select(TrainingHost).where(col(TrainingHost.seen_at) > epoch_now() - FORGOTTEN_AFTER))
    return max((Hardware.from_json(row.hardware) for row in known), key=lambda one: one.room, default=None)
