"""Background work and the outbox to Slack."""

import time
from enum import StrEnum
from typing import Any

from sqlalchemy import Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from workers.tables.base import Owned, json_column


class TaskStatus(StrEnum):
    """Where a piece of background work is."""

    QUEUED = "queued"  # to be done; perhaps already on an RQ queue
    RUNNING = "running"  # claimed under a lease
    DONE = "done"  # its effects are committed
    DEAD = "dead"  # given up after repeated crashes; announced


class AnnouncementStatus(StrEnum):
    """Whether what is wanted in Slack is there."""

    PENDING = "pending"  # Slack does not show the wanted revision yet
    SENT = "sent"  # it does
    DEAD = "dead"  # it cannot be posted; `problem` says why


class Task(SQLModel, table=True):
    """A durable unit of background work; `subject_id` is the id of the row it is about."""

    id: int | None = Field(default=None, primary_key=True)
    team_id: str = Field(default="", index=True)
    kind: str
    queue: str
    subject_id: int
    key: str = Field(unique=True)  # asking twice for the same work is asking once
    status: TaskStatus = Field(default=TaskStatus.QUEUED, index=True)
    attempt: int = 1
    crashes: int = 0
    due_at: float = 0.0
    dispatch_after: float = 0.0
    dispatch_no: int = 0
    lease_owner: str = ""
    lease_until: float | None = None
    last_error: str = Field(default="", sa_type=Text)
    error_id: str = ""
    created_at: float = Field(default_factory=time.time)
    finished_at: float | None = None


class Announcement(Owned, table=True):
    """One message that Slack is to show, as wanted; the notifier makes Slack agree.

    `slot` names it ("run:12:card"); asking again for the same slot raises `revision`, and the same
    Slack message is edited. It hangs in the thread of another slot's message or of a given `thread_ts`.
    """

    __table_args__ = (UniqueConstraint("team_id", "slot"),)
    slot: str
    kind: str  # which renderer draws it
    subject_id: int | None = None
    data: dict[str, Any] = json_column()
    thread_slot: str = ""
    thread_ts: str = ""
    broadcast: bool = False
    only_for: str = ""  # a user id: ephemeral
    status: AnnouncementStatus = Field(default=AnnouncementStatus.PENDING, index=True)
    urgent: bool = True  # otherwise edits are coalesced
    revision: int = 1
    sent_revision: int = 0
    ts: str = ""
    sent_digest: str = ""
    attempts: int = 0
    not_before: float = 0.0
    lease_owner: str = ""
    lease_until: float | None = None
    problem: str = Field(default="", sa_type=Text)


class TrainingHost(SQLModel, table=True):
    """A machine that serves the gpu queue, and what it trains with."""

    name: str = Field(primary_key=True)
    hardware: dict[str, Any] = json_column()  # providers.local.hardware.Hardware
    seen_at: float = Field(default_factory=time.time)
