"""Endpoints, and the threads and answers of people who talk with them."""

from enum import StrEnum

from sqlalchemy import Text, UniqueConstraint
from sqlmodel import Field

from workers.tables.base import Owned


class EndpointStatus(StrEnum):
    """Whether a chat target answers."""

    ACTIVE = "active"  # answers
    ASLEEP = "asleep"  # its model is hosted nowhere; deploying it again wakes it
    DELETED = "deleted"  # does not any more


class TurnStatus(StrEnum):
    """A chat message's way to its answer."""

    PENDING = "pending"  # recorded, unanswered
    STREAMING = "streaming"  # the answer is being written into Slack
    DONE = "done"  # answered
    STOPPED = "stopped"  # the person pressed stop; what was written stays
    FAILED = "failed"  # could not be answered; the person was told


class Endpoint(Owned, table=True):
    """A chat target that threads and API keys are bound to."""

    name: str
    run_id: int | None = Field(default=None, foreign_key="run.id", index=True)
    provider: str
    model: str
    system_prompt: str = Field(default="", sa_type=Text)
    max_tokens: int = 512
    status: EndpointStatus = EndpointStatus.ACTIVE


class ChatThread(Owned, table=True):
    """A Slack thread that is answered by an endpoint."""

    __table_args__ = (UniqueConstraint("team_id", "channel_id", "thread_ts"),)
    thread_ts: str
    endpoint_id: int = Field(foreign_key="endpoint.id")


class ChatTurn(Owned, table=True):
    """A person's message in such a thread and the model's answer."""

    __table_args__ = (UniqueConstraint("team_id", "channel_id", "message_ts"),)
    thread_id: int = Field(foreign_key="chatthread.id", index=True)
    message_ts: str
    question: str = Field(sa_type=Text)
    answer: str = Field(default="", sa_type=Text)
    answer_ts: str = ""
    status: TurnStatus = TurnStatus.PENDING
    prompt_tokens: int = 0
    completion_tokens: int = 0
    feedback: str = ""  # "good", "bad" or empty
