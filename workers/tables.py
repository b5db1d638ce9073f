"""Every table. The database is the truth: what is not written here did not happen.

All times are seconds since the epoch, UTC, as floats; JSON columns hold plain JSON values.
Rows that belong to somebody carry team, channel and creator (`Owned`) from the first migration on.
"""

import time
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, MetaData, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from workers.run_status import RunStatus

NAMING_CONVENTION = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
metadata: MetaData = SQLModel.metadata
metadata.naming_convention = NAMING_CONVENTION


class UploadStatus(StrEnum):
    """What became of a file that somebody attached."""

    RECEIVED = "received"  # recorded, not yet downloaded
    STORED = "stored"  # its bytes are in storage, not yet checked
    CHECKED = "checked"  # it became a dataset, trainable or not
    REFUSED = "refused"  # it cannot become one; `problem` says why, in words for people


class DerivationKind(StrEnum):
    """What is made out of a dataset."""

    FIXES = "fixes"  # its next version, with findings mended
    CONVERSION = "conversion"  # its examples as a file in another format
    COMPARISON = "comparison"  # what differs between it and another dataset


class DerivationStatus(StrEnum):
    """Whether what was asked for is there."""

    ASKED = "asked"  # a task is to make it
    DONE = "done"  # made, and announced
    REFUSED = "refused"  # it cannot be made; `problem` says why, in words for people


class ImportStatus(StrEnum):
    """A thread's way into a dataset."""

    READING = "reading"  # its authors are being looked up
    ASKING = "asking"  # they are asked for their consent
    WRITING = "writing"  # the words of those who agreed are being made into examples
    DONE = "done"  # it is an upload like any other
    STOPPED = "stopped"  # somebody who may stopped it, or nothing usable was left


class ConsentAnswer(StrEnum):
    """Whether an author's words may be learnt from."""

    ASKED = "asked"  # no answer yet, which counts as no
    YES = "yes"  # they may
    NO = "no"  # they may not


class DatasetRole(StrEnum):
    """What a dataset is for in a run."""

    TRAIN = "train"  # learnt from
    VALIDATION = "validation"  # looked at while training
    TEST = "test"  # held out for the evaluation


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


class EndpointStatus(StrEnum):
    """Whether a chat target answers."""

    ACTIVE = "active"  # answers
    ASLEEP = "asleep"  # its model is hosted nowhere; deploying it again wakes it
    DELETED = "deleted"  # does not any more


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


class TurnStatus(StrEnum):
    """A chat message's way to its answer."""

    PENDING = "pending"  # recorded, unanswered
    STREAMING = "streaming"  # the answer is being written into Slack
    DONE = "done"  # answered
    STOPPED = "stopped"  # the person pressed stop; what was written stays
    FAILED = "failed"  # could not be answered; the person was told


class Role(StrEnum):
    """What a member may do (see `workers.rights`)."""

    ADMIN = "admin"  # everything, settings and keys included
    TUNER = "tuner"  # datasets, runs, chat
    VIEWER = "viewer"  # look and chat
    NONE = "none"  # refused: guests and people of other organisations


def _json() -> Any:
    return Field(default_factory=dict, sa_type=JSON)


class Owned(SQLModel):
    """Whose a row is and where it came from; part of every table that people can see."""

    id: int | None = Field(default=None, primary_key=True)
    team_id: str = Field(index=True)
    enterprise_id: str = ""
    channel_id: str = Field(default="", index=True)
    creator_id: str = ""
    created_at: float = Field(default_factory=time.time)


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
    detail: dict[str, Any] = _json()


class Upload(Owned, table=True):
    """A file as received. Several uploads of one message share `message_ts`.

    What did not come as a file of Slack's (a thread, a dataset named `hf:…`) has a made-up `slack_file_id` and
    `message_ts`; its report then stands in the channel itself, or in the thread `thread_ts`.
    """

    __table_args__ = (UniqueConstraint("team_id", "slack_file_id", "message_ts"),)
    slack_file_id: str
    message_ts: str = Field(index=True)
    thread_ts: str = ""  # the thread that its report belongs in
    name: str
    source: str = ""  # where to read it from, if not from storage: "hf:owner/name@revision"
    meant_for: str = ""  # the role that somebody gave it, if anybody did
    addressed: bool = True  # whether it was handed to the bot, not just shared in a channel
    mapping: dict[str, Any] = _json()  # which column is what, if somebody chose
    checks: int = 0  # how often another check was asked for
    progress: dict[str, Any] = _json()  # of the check that is going on: bytes_done, bytes_total, examples
    size: int = Field(default=0, sa_type=BigInteger)  # bytes, as Slack says
    status: UploadStatus = UploadStatus.RECEIVED
    storage_key: str = ""
    problem: str = Field(default="", sa_type=Text)


class Dataset(Owned, table=True):
    """A checked file: immutable, content-hashed, versioned. A deleted one keeps its row, as runs name it."""

    upload_id: int | None = Field(default=None, foreign_key="upload.id", unique=True)
    parent_id: int | None = Field(default=None, foreign_key="dataset.id")  # the version that it was made from
    message_ts: str = Field(default="", index=True)
    thread_ts: str = ""  # the thread that its report is in
    name: str
    version: int = 1
    sha256: str
    size: int = Field(default=0, sa_type=BigInteger)  # bytes
    storage_key: str
    format: str
    method: str
    examples: int
    trainable: bool
    role: DatasetRole = DatasetRole.TRAIN
    role_reason: str = ""
    report: dict[str, Any] = _json()
    mapping: dict[str, Any] = _json()  # of a table: which column is what
    changes: dict[str, Any] = _json()  # of a mended version: what was done, and the first differences
    shared: bool = False  # whether the whole workspace may use it, not its channel alone
    deleted_at: float | None = Field(default=None, index=True)  # its files have left or are leaving storage
    deleted_by: str = ""


class Derivation(Owned, table=True):
    """Something that somebody wants made out of a dataset, and what came of it."""

    dataset_id: int = Field(foreign_key="dataset.id", index=True)
    kind: DerivationKind
    request_key: str = Field(unique=True)  # the click or form: a redelivered one finds its row
    choice: dict[str, Any] = _json()  # checks to mend | target | the other dataset's id; the channel to answer in
    status: DerivationStatus = DerivationStatus.ASKED
    problem: str = Field(default="", sa_type=Text)
    storage_key: str = ""  # of a conversion's file
    result_id: int | None = Field(default=None, foreign_key="dataset.id")  # the new version
    outcome: dict[str, Any] = _json()


class ThreadImport(Owned, table=True):
    """A thread that somebody wants to make training data of. It keeps no words, only who wrote."""

    request_key: str = Field(unique=True)
    thread_ts: str
    status: ImportStatus = ImportStatus.READING
    cut: bool = False  # whether the thread is longer than what is read of one
    problem: str = Field(default="", sa_type=Text)
    upload_id: int | None = Field(default=None, foreign_key="upload.id")


class Consent(SQLModel, table=True):
    """One author's answer to the question whether their words in a thread may be learnt from."""

    __table_args__ = (UniqueConstraint("import_id", "user_id"),)
    id: int | None = Field(default=None, primary_key=True)
    import_id: int = Field(foreign_key="threadimport.id", index=True)
    user_id: str
    conversation_id: str = ""  # the direct conversation in which they are asked
    messages: int = 0  # how many of the thread's messages are theirs
    answer: ConsentAnswer = ConsentAnswer.ASKED
    asked_at: float = Field(default_factory=time.time)
    answered_at: float | None = None


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
    plan: dict[str, Any] = _json()
    cost: dict[str, Any] = _json()
    progress: dict[str, Any] = _json()
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
    actual: dict[str, Any] = _json()  # what it really cost: trained_tokens, training_dollars, hosting_dollars
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
    summary: dict[str, Any] = _json()


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


class Endpoint(Owned, table=True):
    """A chat target that threads and API keys are bound to."""

    name: str
    run_id: int | None = Field(default=None, foreign_key="run.id", index=True)
    provider: str
    model: str
    system_prompt: str = Field(default="", sa_type=Text)
    max_tokens: int = 512
    status: EndpointStatus = EndpointStatus.ACTIVE


class Credential(Owned, table=True):
    """A workspace's credentials at a vendor. Only the vault opens what is sealed."""

    __table_args__ = (UniqueConstraint("team_id", "provider"),)
    provider: str
    sealed: str = Field(sa_type=Text)
    shown: dict[str, Any] = _json()  # the fields that are no secrets
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
    plan: dict[str, Any] = _json()
    notes: dict[str, Any] = _json()  # {"notes": [...], "problems": [...]}, in words for people


class PlanDraft(Owned, table=True):
    """What a form on somebody's screen says so far: a view of Slack's carries too little. Forgotten after a while."""

    plan: dict[str, Any] = _json()


class ApiKey(Owned, table=True):
    """A key to an endpoint over HTTP: shown once, kept as a digest."""

    endpoint_id: int = Field(foreign_key="endpoint.id", index=True)
    prefix: str
    digest: str = Field(unique=True)
    revoked_at: float | None = None
    last_used_at: float | None = None


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
    data: dict[str, Any] = _json()
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
