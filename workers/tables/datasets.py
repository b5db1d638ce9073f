"""Files as received, checked datasets, and what is made of them."""

import time
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from workers.tables.base import Owned, json_column


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
    mapping: dict[str, Any] = json_column()  # which column is what, if somebody chose
    checks: int = 0  # how often another check was asked for
    progress: dict[str, Any] = json_column()  # of the check that is going on: bytes_done, bytes_total, examples
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
    report: dict[str, Any] = json_column()
    mapping: dict[str, Any] = json_column()  # of a table: which column is what
    changes: dict[str, Any] = json_column()  # of a mended version: what was done, and the first differences
    shared: bool = False  # whether the whole workspace may use it, not its channel alone
    deleted_at: float | None = Field(default=None, index=True)  # its files have left or are leaving storage
    deleted_by: str = ""


class Derivation(Owned, table=True):
    """Something that somebody wants made out of a dataset, and what came of it."""

    dataset_id: int = Field(foreign_key="dataset.id", index=True)
    kind: DerivationKind
    request_key: str = Field(unique=True)  # the click or form: a redelivered one finds its row
    choice: dict[str, Any] = json_column()  # checks to mend | target | the other dataset's id; the channel to answer in
    status: DerivationStatus = DerivationStatus.ASKED
    problem: str = Field(default="", sa_type=Text)
    storage_key: str = ""  # of a conversion's file
    result_id: int | None = Field(default=None, foreign_key="dataset.id")  # the new version
    outcome: dict[str, Any] = json_column()


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
