"""People, what Slack delivered, who did what, and keys to endpoints."""

import time
from enum import StrEnum
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from workers.tables.base import Owned, json_column


class Role(StrEnum):
    """What a member may do (see `workers.rights`)."""

    ADMIN = "admin"  # everything, settings and keys included
    TUNER = "tuner"  # datasets, runs, chat
    VIEWER = "viewer"  # look and chat
    NONE = "none"  # refused: guests and people of other organisations


class Member(SQLModel, table=True):
    """A person of a workspace and the role an admin gave them."""

    __table_args__ = (UniqueConstraint("team_id", "user_id"),)
    id: int | None = Field(default=None, primary_key=True)
    team_id: str
    user_id: str
    role: Role = Role.TUNER


class InboundEvent(SQLModel, table=True):
    """What Slack delivered, once: the key dedupes redeliveries."""

    key: str = Field(primary_key=True)
    team_id: str = Field(index=True)
    received_at: float = Field(default_factory=time.time, index=True)


class AuditEntry(Owned, table=True):
    """Append-only: who did what to which object."""

    verb: str
    object_kind: str
    object_id: int | None = None
    detail: dict[str, Any] = json_column()


class ApiKey(Owned, table=True):
    """A key to an endpoint over HTTP: shown once, kept as a digest."""

    endpoint_id: int = Field(foreign_key="endpoint.id", index=True)
    prefix: str
    digest: str = Field(unique=True)
    revoked_at: float | None = None
    last_used_at: float | None = None
