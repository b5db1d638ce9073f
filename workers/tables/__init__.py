"""Every table. The database is the truth: what is not written here did not happen.

All times are seconds since the epoch, UTC, as floats; JSON columns hold plain JSON values.
Rows that belong to somebody carry team, channel and creator (`Owned`) from the first migration on.
"""

from workers.tables.base import NAMING_CONVENTION, Owned, metadata
from workers.tables.chats import ChatThread, ChatTurn, Endpoint, EndpointStatus, TurnStatus
from workers.tables.datasets import (
    Consent,
    ConsentAnswer,
    Dataset,
    DatasetRole,
    Derivation,
    DerivationKind,
    DerivationStatus,
    ImportStatus,
    ThreadImport,
    Upload,
    UploadStatus,
)
from workers.tables.people import ApiKey, AuditEntry, InboundEvent, Member, Role
from workers.tables.runs import Evaluation, Generation, JobFile, PlanDraft, Run, RunCheckpoint, RunEvent, RunMetric
from workers.tables.vendors import Credential, CredentialStatus, HostedModel, LeaseStatus
from workers.tables.work import Announcement, AnnouncementStatus, Task, TaskStatus, TrainingHost

__all__ = [
    "NAMING_CONVENTION",
    "Announcement",
    "AnnouncementStatus",
    "ApiKey",
    "AuditEntry",
    "ChatThread",
    "ChatTurn",
    "Consent",
    "ConsentAnswer",
    "Credential",
    "CredentialStatus",
    "Dataset",
    "DatasetRole",
    "Derivation",
    "DerivationKind",
    "DerivationStatus",
    "Endpoint",
    "EndpointStatus",
    "Evaluation",
    "Generation",
    "HostedModel",
    "ImportStatus",
    "InboundEvent",
    "JobFile",
    "LeaseStatus",
    "Member",
    "Owned",
    "PlanDraft",
    "Role",
    "Run",
    "RunCheckpoint",
    "RunEvent",
    "RunMetric",
    "Task",
    "TaskStatus",
    "ThreadImport",
    "TrainingHost",
    "TurnStatus",
    "Upload",
    "UploadStatus",
    "metadata",
]
