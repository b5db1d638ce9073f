"""Runs from their plan to their evaluation."""

import time
from typing import Any

from sqlalchemy import BigInteger, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from workers.run_status import RunStatus
from workers.tables.base import Owned, json_column


class Run(Owned, table=True):
    """One dataset, one base model, one plan: what the user sees."""

    name: str
    status: RunStatus = Field(default=RunStatus.DRAFT, index=True)
    status_reason: str = Field(default="", sa_type=Text)  # words for people
    error_id: str = ""
    request_key: str = Field(unique=True)  # the form's submission: a redelivered one finds its run
    dataset_id: int = Field(foreign_key="dataset.id")
    validation_dataset_id: int | None = Field(default=None, foreign_key="dataset.id")
    test_dataset_id: int | None = Field(default=None, foreign_key="dataset.id")
    provider: str
    base_model: str
    method: str
    plan: dict[str, Any] = json_column()
    cost: dict[str, Any] = json_column()
    progress: dict[str, Any] = json_column()
    submit_attempt: int = 0
    provider_job_id: str = ""
    poll_cursor: str = ""
    checkpoint_key: str = ""  # the newest complete one in storage: where a restart goes on
    checkpoint_step: int = 0
    next_poll_at: float | None = Field(default=None, index=True)
    cancel_requested_by: str = ""
    pause_requested: bool = False
    model_name: str = Field(default="", index=True)  # what the tuned model answers to
    model_key: str = ""  # where its files lie in storage; empty at a vendor
    tuned_model: str = ""  # the vendor's name of the result, whatever it is hosted as; empty after its deletion
    rehomed_from_id: int | None = Field(default=None, foreign_key="run.id")  # the run that it repeats elsewhere
    actual: dict[str, Any] = json_column()  # what it really cost: trained_tokens, training_dollars, hosting_dollars
    started_at: float | None = None
    trained_at: float | None = None
    ended_at: float | None = None


class RunMetric(SQLModel, table=True):
    """Training figures at one optimiser step. A resumed attempt overwrites the steps it repeats."""

    run_id: int = Field(foreign_key="run.id", primary_key=True)
    step: int = Field(primary_key=True)
    attempt: int = 0
    epoch: float | None = None
    loss: float | None = None
    validation_loss: float | None = None
    learning_rate: float | None = None
    tokens_per_second: float | None = None
    memory_bytes: int | None = Field(default=None, sa_type=BigInteger)
    figures: dict[str, Any] = json_column()  # the method's own, by the names of `providers.base.FIGURES`


class RunEvent(SQLModel, table=True):
    """A run's history: each transition, and the provider's own log lines."""

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="run.id", index=True)
    at: float = Field(default_factory=time.time)
    kind: str
    message: str = Field(default="", sa_type=Text)


class Evaluation(Owned, table=True):
    """The comparison of a run's tuned model with its baselines."""

    run_id: int = Field(foreign_key="run.id", unique=True)
    done: bool = False
    summary: dict[str, Any] = json_column()


class Generation(SQLModel, table=True):
    """One model's answer to one held-out example; kept so that an evaluation can go on where it was."""

    __table_args__ = (UniqueConstraint("evaluation_id", "model", "position"),)
    id: int | None = Field(default=None, primary_key=True)
    evaluation_id: int = Field(foreign_key="evaluation.id", index=True)
    model: str
    position: int
    answer: str = Field(sa_type=Text)
    finish_reason: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


class RunCheckpoint(SQLModel, table=True):
    """A model that a vendor's training left on its way and that can be asked."""

    run_id: int = Field(foreign_key="run.id", primary_key=True)
    step: int = Field(primary_key=True)
    model: str
    loss: float | None = None
    validation_loss: float | None = None
    accuracy: float | None = None
    validation_accuracy: float | None = None


class JobFile(Owned, table=True):
    """A plan that somebody attached as YAML: what was read of it, and what was wrong with it."""

    upload_id: int | None = Field(default=None, foreign_key="upload.id")
    name: str
    message_ts: str = Field(default="", index=True)
    thread_ts: str = ""
    plan: dict[str, Any] = json_column()
    notes: dict[str, Any] = json_column()  # {"notes": [...], "problems": [...]}, in words for people


class PlanDraft(Owned, table=True):
    """What a form on somebody's screen says so far: a view of Slack's carries too little. Forgotten after a while."""

    plan: dict[str, Any] = json_column()
