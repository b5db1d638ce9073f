"""What a workspace gives to be let in at a vendor, and what is hosted there."""

from enum import StrEnum
from typing import Any

from sqlalchemy import Text, UniqueConstraint
from sqlmodel import Field

from workers.tables.base import Owned, json_column


class CredentialStatus(StrEnum):
    """Whether a vendor lets us in with them."""

    CHECKING = "checking"  # saved; a harmless call is to try them
    WORKING = "working"  # it was answered
    REFUSED = "refused"  # it was not; `problem` says why
    UNREACHED = "unreached"  # nobody could be asked, so they may be right; `problem` says why


class LeaseStatus(StrEnum):
    """Where the hosting of a model is, as we want it and as the vendor says."""

    ASKED = "asked"  # wanted; the vendor may or may not have been asked
    CREATING = "creating"  # the vendor is at it
    READY = "ready"  # it answers, and costs by the hour
    ENDING = "ending"  # to be deleted, or being deleted
    ENDED = "ended"  # the vendor has it no more
    FAILED = "failed"  # it never came; `problem` says why


class Credential(Owned, table=True):
    """A workspace's credentials at a vendor. Only the vault opens what is sealed."""

    __table_args__ = (UniqueConstraint("team_id", "provider"),)
    provider: str
    sealed: str = Field(sa_type=Text)
    shown: dict[str, Any] = json_column()  # the fields that are no secrets
    revision: int = 0  # of the values: a check's outcome counts for those that it tried
    status: CredentialStatus = CredentialStatus.CHECKING
    words: str = ""  # who answered the check
    problem: str = Field(default="", sa_type=Text)
    checked_at: float | None = None


class HostedModel(Owned, table=True):
    """A model that a vendor hosts for us, leased: it costs by the hour until `ends_at`, unless somebody keeps it."""

    __table_args__ = (UniqueConstraint("team_id", "provider", "name"),)
    run_id: int = Field(foreign_key="run.id", index=True)
    endpoint_id: int | None = Field(default=None, foreign_key="endpoint.id", index=True)
    provider: str
    name: str  # the deployment's name at the vendor, ours and never used twice
    model: str  # the vendor's name of what is hosted
    purpose: str = "tuned"  # "tuned", or "base" (to be compared with, for the evaluation only)
    tier: str = ""
    capacity: int = 1
    target: str = ""  # what a question must name to reach it
    status: LeaseStatus = Field(default=LeaseStatus.ASKED, index=True)
    vendor_status: str = ""
    problem: str = Field(default="", sa_type=Text)
    price_per_hour: float | None = None  # dollars; None where it is not known
    price_words: str = ""
    lease_hours: float = 4.0
    extended: int = 0  # how many hours it got because it was in use when its lease ended
    lives_until: float | None = None  # when the vendor ends it by itself
    asked_at: float | None = None  # when the vendor was first asked for it; None: it never heard of it
    ready_at: float | None = None
    ends_at: float | None = Field(default=None, index=True)  # the lease's end
    warned_at: float | None = None
    used_at: float | None = None
    looked_at: float | None = None  # when a look at the vendor was last asked for
    ended_at: float | None = None
