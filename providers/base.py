"""The two protocols that every provider speaks, and the values that cross them.

A provider trains (`TrainingProvider`), answers (`ChatProvider`), or both. Nothing in this module
touches the network or a vendor's SDK, so anything may import it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

Hyperparameter = int | float | str | bool
"""One knob's value; the names are the provider-neutral ones of `TrainingRequest.hyperparameters`."""


class Method(StrEnum):
    """How a model learns from examples."""

    SFT = "sft"  # supervised: chat, prompt/completion and plain text
    DPO = "dpo"  # preference pairs
    KTO = "kto"  # single answers labelled good or bad
    ORPO = "orpo"  # preference pairs without a reference model
    GRPO = "grpo"  # rewards computed from a reference
    RFT = "rft"  # a vendor's reinforcement fine-tuning with a grader


class ProviderJobStatus(StrEnum):
    """A provider job's state in our words; each vendor's room maps its own onto these."""

    PENDING = "pending"  # accepted, waiting or validating
    RUNNING = "running"  # training
    PAUSED = "paused"  # stopped on request, can go on
    SUCCEEDED = "succeeded"  # a tuned model exists
    FAILED = "failed"  # ended without a model; `error` says why
    CANCELLED = "cancelled"  # ended on request
    INTERRUPTED = "interrupted"  # killed from outside; a new submission goes on from its last checkpoint
    UNKNOWN = "unknown"  # a state we have no word for: kept in `vendor_status`, never guessed


@dataclass(frozen=True)
class TrainingRequest:
    """What one provider receives for one submission of a run.

    `key` names the run and attempt: a submission repeated with the same key must not create a
    second provider job. Paths are files in the provider's own format. `hyperparameters` uses the
    neutral names: epochs, batch_size, gradient_accumulation, learning_rate, max_length, lora_r,
    lora_alpha, lora_dropout, warmup_ratio, checkpoint_steps; a provider ignores none silently.
    """

    key: str
    base_model: str
    method: Method
    train_path: Path
    suffix: str
    folder: Path
    validation_path: Path | None = None
    resume_from: Path | None = None
    seed: int = 42
    hyperparameters: Mapping[str, Hyperparameter] = field(default_factory=dict)


@dataclass(frozen=True)
class MetricPoint:
    """Training figures at one optimiser step; `None` where the provider does not say."""

    step: int
    epoch: float | None = None  # in epochs, fractional
    loss: float | None = None
    validation_loss: float | None = None
    learning_rate: float | None = None
    tokens_per_second: float | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True)
class ProviderEvent:
    """A line of the vendor's log."""

    id: str
    at: float  # seconds since the epoch, UTC
    level: str  # info, warning or error
    message: str


@dataclass(frozen=True)
class ProviderJob:
    """A provider job as last seen. Fields beyond `id` and `status` may be empty."""

    id: str
    status: ProviderJobStatus
    vendor_status: str = ""
    stage: str = ""  # what it is doing, in a few plain words: "loading the model"
    step: int = 0
    total_steps: int | None = None
    total_epochs: float | None = None
    eta_seconds: float | None = None
    tuned_model: str | None = None  # the vendor's name of the result, or a folder's path
    trained_tokens: int | None = None
    error: str | None = None  # for people; untrusted text
    metrics: Sequence[MetricPoint] = ()  # those after the cursor of the poll
    events: Sequence[ProviderEvent] = ()  # likewise
    cursor: str = ""  # hand it to the next poll
    checkpoints: Sequence[Path] = ()  # complete ones, oldest first (local only)


@dataclass(frozen=True)
class Capabilities:
    """What a provider can do, as data."""

    methods: frozenset[Method]
    dataset_format: str  # the DatasetFormat id that `train_path` must have
    minimum_examples: int = 1
    can_pause: bool = False
    must_deploy: bool = False  # a tuned model must be hosted before it answers
    queue: str = "cloud"  # "gpu" where the worker itself does the work


@runtime_checkable
class TrainingProvider(Protocol):
    """Creates, watches and ends provider jobs. Every error raised is a `providers.errors.ProviderError`."""

    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    def submit(self, request: TrainingRequest) -> ProviderJob:
        """Start training. Never sends a create call twice for one `request.key`.

        Raises SubmitUnknown if the vendor may or may not have accepted it: use `find` later.
        """
        ...

    def find(self, key: str) -> ProviderJob | None:
        """The provider job that was created for this key, if the vendor has one."""
        ...

    def poll(self, job_id: str, cursor: str = "") -> ProviderJob:
        """The job now, with the metrics and events after `cursor`. Returns within 5 s."""
        ...

    def cancel(self, job_id: str) -> None:
        """Ask for the end. Returns at once; `poll` tells when it has taken effect."""
        ...

    def pause(self, job_id: str) -> None:
        """Ask for a checkpoint and a stop. Returns at once; `poll` tells when it has taken effect."""
        ...

    def resume(self, job_id: str) -> None:
        """Let a paused job go on from its newest checkpoint."""
        ...


@dataclass(frozen=True)
class ChatMessage:
    """One message of a conversation; `role` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True)
class ChatRequest:
    """One question to a model. `temperature` 0 is greedy."""

    model: str
    messages: Sequence[ChatMessage]
    max_tokens: int = 512
    temperature: float = 0.0


@dataclass(frozen=True)
class ChatChunk:
    """A piece of an answer. The last one has a `finish_reason` and the token counts."""

    text: str = ""
    finish_reason: str | None = None  # "stop", "length", "cancelled"
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@runtime_checkable
class ChatProvider(Protocol):
    """Answers conversations. Every error raised is a `providers.errors.ProviderError`."""

    def stream(self, request: ChatRequest) -> Iterator[ChatChunk]:
        """Yield the answer piece by piece; closing the iterator cancels the generation."""
        ...

    def models(self) -> Sequence[str]:
        """Names that `stream` answers for now."""
        ...
