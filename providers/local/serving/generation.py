"""One question to a model on its way through the engine, and what comes back."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from providers.local.serving.catalogue import Entry


@dataclass(frozen=True)
class Question:
    """What to answer, and how. `temperature` 0 is greedy; `user` is whoever asks, for a fair order."""

    entry: Entry
    messages: Sequence[Mapping[str, str]]
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    stops: Sequence[str] = ()
    seed: int | None = None
    user: str = ""


@dataclass(frozen=True)
class Stage:
    """What is done before the answer begins, in a few plain words for whoever waits: "loading the model"."""

    text: str


@dataclass(frozen=True)
class Piece:
    """A piece of the answer. The last one has a `finish_reason` and the counts."""

    text: str
    finish_reason: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class Failure:
    """Why there will be no (further) answer, with the status that HTTP has for it."""

    status: int
    code: str
    message: str


@dataclass(frozen=True, eq=False)
class Generation:
    """A question with where its answer goes. `deliver` is called on the engine's thread, for a stage on any."""

    question: Question
    deliver: Callable[[Piece | Failure | Stage], None]
    cancelled: threading.Event = field(default_factory=threading.Event)
    asked_at: float = field(default_factory=time.monotonic)
