"""The protocols that providers speak, and the values that cross them.

A provider trains (`TrainingProvider`), answers (`ChatProvider`), hosts tuned models that do not answer by
themselves (`HostingProvider`), keeps models (`ModelKeeper`): each room says which of them it does. Nothing in
this module touches the network or a vendor's SDK, so anything may import it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

Hyperparameter = int | float | str | bool
"""One knob's value; the names are the provider-neutral ones of `TrainingRequest.hyperparameters`."""

AUTO = "auto"
"""A knob's value that leaves the choice to the vendor."""


class Method(StrEnum):
    """How a model learns from examples."""

    SFT = "sft"  # supervised: chat, prompt/completion and plain text
    DPO = "dpo"  # preference pairs
    KTO = "kto"  # single answers labelled good or bad
    ORPO = "orpo"  # preference pairs without a reference model
    GRPO = "grpo"  # rewards computed from a reference
    RFT = "rft"  # a vendor's reinforcement fine-tuning with a grader


FIGURES: Mapping[str, str] = {
    "preference_accuracy": "Wanted answer preferred",
    "reward_margin": "Margin of the wanted answer",
    "reward": "Reward",
    "reward_spread": "Spread of the reward",
    "answer_tokens": "Tokens an answer",
    "cut_answers": "Answers that did not end",
    "validation_preference_accuracy": "Wanted answer preferred, validation",
    "validation_reward_margin": "Margin of the wanted answer, validation",
    "validation_reward": "Reward, validation",
    "validation_answer_tokens": "Tokens an answer, validation",
}
"""What `MetricPoint.figures` may have beside the loss, and how each is called. Shares are from 0 to 1."""


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
    neutral names of the provider's `Capabilities.knobs` (checkpoint_steps beside them); a value of `AUTO`
    leaves the choice to the vendor, and a provider ignores none silently. `options` are the vendor's own
    (a grader, a training tier, integrations), named in `Capabilities.options`.
    """

    key: str
    base_model: str
    method: Method
    train_path: Path
    suffix: str
    folder: Path
    validation_path: Path | None = None
    test_path: Path | None = None  # held out: only to judge the model by, where the method can (this machine only)
    resume_from: Path | None = None
    seed: int = 42
    hyperparameters: Mapping[str, Hyperparameter] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)


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
    figures: Mapping[str, float] = field(default_factory=dict)  # the method's own, by the names of `FIGURES`


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
class Knob:
    """One hyperparameter as a form shows it. `low` and `high` are both allowed; empty `methods` are all."""

    name: str  # provider-neutral
    text: str  # for people
    default: Hyperparameter
    low: float = 0.0
    high: float = 0.0
    whole: bool = False  # whole numbers only
    can_auto: bool = False  # whether `AUTO` may stand for a value
    choices: tuple[str, ...] = ()  # words, where it is no number
    methods: frozenset[Method] = frozenset()
    hint: str = ""
    advanced: bool = False


@dataclass(frozen=True)
class Capabilities:
    """What a provider can do, as data."""

    methods: frozenset[Method]
    dataset_format: str  # the DatasetFormat id that `train_path` must have; DPO and RFT have formats of their own
    can_pause: bool = False
    must_deploy: bool = False  # a tuned model must be hosted before it answers
    base_must_deploy: bool = False  # and so must a base model, to be compared with
    knobs: tuple[Knob, ...] = ()
    formats: Mapping[Method, str] = field(default_factory=dict)  # where a method's differs from `dataset_format`
    options: frozenset[str] = frozenset()  # names that `TrainingRequest.options` may have
    longest_suffix: int = 64  # characters of a tuned model's suffix
    joins_examples: frozenset[Method] = frozenset()  # methods whose steps are of joined examples: their number is open
    chats_at_once: int = 16  # questions that may be under way together

    def format_for(self, method: Method) -> str:
        """The DatasetFormat id that `train_path` must have for this method."""
        return self.formats.get(method, self.dataset_format)


def nobody_objects() -> None:
    """What `TrainingProvider.submit` asks before its create call, where nobody has a word to say about it."""


@runtime_checkable
class TrainingProvider(Protocol):
    """Creates, watches and ends provider jobs. Every error raised is a `providers.errors.ProviderError`."""

    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    def submit(self, request: TrainingRequest, about_to_create: Callable[[], None] = nobody_objects) -> ProviderJob:
        """Start training, unless this key has a provider job already: then that one is returned.

        A vendor's room calls `about_to_create` once, when everything is uploaded and the create call is the next
        thing to be sent. What that raises is passed on, and nothing is created; Withdrawn also has the files deleted.
        Raises SubmitUnknown if the vendor may or may not have accepted the create call: use `find` later, and submit
        no more. Any other error says that it has not.
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
    """One question to a model. `temperature` 0 is greedy.

    `user` is whoever asks, in a word that means nothing elsewhere: this installation's own model server serves
    everybody in turns. No vendor is told it.
    """

    model: str
    messages: Sequence[ChatMessage]
    max_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    stop: Sequence[str] = ()  # the answer ends before any of these texts
    seed: int | None = None  # where the provider can, the same chance again
    user: str = ""


@dataclass(frozen=True)
class ChatChunk:
    """A piece of an answer. The last one has a `finish_reason` and the token counts.

    Before the first one there may be some with a `stage` only: what is done meanwhile, in a few plain words.
    """

    text: str = ""
    finish_reason: str | None = None  # "stop", "length", "cancelled"
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    stage: str = ""


@runtime_checkable
class ChatProvider(Protocol):
    """Answers conversations. Every error raised is a `providers.errors.ProviderError`."""

    def stream(self, request: ChatRequest) -> Iterator[ChatChunk]:
        """Yield the answer piece by piece; closing the iterator cancels the generation."""
        ...

    def models(self) -> Sequence[str]:
        """Names that `stream` answers for now."""
        ...


@dataclass(frozen=True)
class Checkpoint:
    """A model that a training left on its way, and can be asked by name."""

    model: str
    step: int
    loss: float | None = None
    validation_loss: float | None = None
    accuracy: float | None = None  # of tokens, 0 to 1
    validation_accuracy: float | None = None


@dataclass(frozen=True)
class OfferedModel:
    """A model that a vendor lists. `shutdown` is the last day it answers, where the vendor says so."""

    name: str
    shutdown: date | None = None
    tuned: bool = False


@runtime_checkable
class ModelKeeper(Protocol):
    """Knows a vendor's models. Every error raised is a `providers.errors.ProviderError`."""

    def check(self) -> str:
        """Ask something harmless with these credentials: who answered, in a few words. Costs nothing."""
        ...

    def offered(self) -> Sequence[OfferedModel]:
        """The models that these credentials may use, tuned ones among them."""
        ...

    def checkpoints(self, job_id: str) -> Sequence[Checkpoint]:
        """The checkpoints of a provider job that can be asked, oldest first; empty where there are none."""
        ...

    def delete_model(self, model: str) -> None:
        """Delete a tuned model for ever. One that is not there is deleted already."""
        ...


class DeploymentStatus(StrEnum):
    """Where a hosted model is, in our words."""

    CREATING = "creating"  # accepted; it does not answer yet
    READY = "ready"  # it has answered
    FAILED = "failed"  # it will not come; `error` says why
    DELETING = "deleting"  # on its way out; it may still be billed
    GONE = "gone"  # not there: never made, or deleted


@dataclass(frozen=True)
class HostingTier:
    """A way of hosting a tuned model. The price is in `providers.prices`, under this tier."""

    id: str  # the vendor's own name of it
    text: str
    description: str = ""
    lives_hours: float | None = None  # the vendor ends it after so long
    for_base_models: bool = False  # whether a base model may be hosted so


@dataclass(frozen=True)
class DeploymentRequest:
    """What is to be hosted. `name` is ours and unique: a repeated request is the same deployment."""

    name: str
    model: str  # the vendor's name of the tuned (or base) model
    tier: str  # a `HostingTier.id`
    capacity: int = 1
    base_model: str = ""  # what the tuned model was made of


@dataclass(frozen=True)
class Deployment:
    """A hosted model as last seen. `target` is what a `ChatRequest.model` must say to reach it."""

    name: str
    status: DeploymentStatus
    target: str = ""
    vendor_status: str = ""
    error: str | None = None  # for people; untrusted text
    waiting: bool = False  # the vendor does nothing more by itself: `deploy` again takes the next step


@runtime_checkable
class HostingProvider(Protocol):
    """Hosts models that do not answer by themselves. Every error raised is a `providers.errors.ProviderError`.

    None of these waits for the vendor to finish: `deployment` tells. Only `deploy` and `undeploy` change anything.
    """

    def tiers(self, base_model: str) -> Sequence[HostingTier]:
        """The ways to host a model tuned from this one, the cheapest first."""
        ...

    def deploy(self, request: DeploymentRequest) -> Deployment:
        """Ask for the deployment, or for the next step of one that is `waiting`; the same name makes no second one."""
        ...

    def deployment(self, name: str) -> Deployment:
        """The deployment now, only looked at. READY only once it has really answered; GONE if it is not there."""
        ...

    def undeploy(self, name: str) -> Deployment:
        """Ask for its end, after which it costs nothing; one that is not there is GONE already."""
        ...

    def ours(self, prefix: str) -> Sequence[str]:
        """The names of everything that is hosted there and begins so, but for what is being deleted already."""
        ...
