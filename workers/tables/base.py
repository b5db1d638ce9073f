"""What every table that people can see has, and how constraints are named."""

import time
from typing import Any

from sqlalchemy import JSON, MetaData
from sqlmodel import Field, SQLModel

NAMING_CONVENTION = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata: MetaData = SQLModel.metadata
metadata.naming_convention = NAMING_CONVENTION


def json_column() -> Any:
    """A column of plain JSON, an empty object unless told otherwise."""
    return Field(default_factory=dict, sa_type=JSON)


class Owned(SQLModel):
    """Whose a row is and where it came from; part of every table that people can see."""

    id: int | None = Field(default=None, primary_key=True)
    team_id: str = Field(index=True)
    enterprise_id: str = ""
    channel_id: str = Field(default="", index=True)
    creator_id: str = ""
    created_at: float = Field(default_factory=time.time)
