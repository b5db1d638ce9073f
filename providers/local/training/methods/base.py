"""What every method's module is given, and what it gives back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from providers.base import TrainingRequest
from providers.local.training.knobs import Knobs


@dataclass(frozen=True)
class Reading:
    """What reading a file needs. `ends` are the tokens that end an answer."""

    tokenizer: Any
    ends: frozenset[int]
    knobs: Knobs


@dataclass(frozen=True)
class Learnable:
    """A file's examples, ready for the method's trainer."""

    columns: Mapping[str, Sequence[Any]]
    """The columns of a `datasets.Dataset`, all equally long."""
    longest: int
    """Tokens of the longest example."""
    warnings: Sequence[str] = ()
    """For people: what was cut or left out."""


@dataclass(frozen=True)
class Kit:
    """What building a trainer needs. `arguments` are those of transformers' TrainingArguments, by name."""

    request: TrainingRequest
    knobs: Knobs
    model: Any
    tokenizer: Any
    adapter: Any | None
    """The configuration of the adapter to train; None trains all weights."""
    arguments: Mapping[str, Any]
    train: Any
    validation: Any | None
    callbacks: Sequence[Any] = field(default=())
    count: Callable[[int], None] = lambda _tokens: None
    """To be told how many tokens each batch has."""
    halved: Callable[[], None] = lambda: None
    """To be told that the memory did not hold a batch, which was done in halves."""
    recomputed: Callable[[], None] = lambda: None
    """To be told that it did not hold one example, so that activations are recomputed from now on."""


class Learning(Protocol):
    """A method's module."""

    def read(self, path: Path, reading: Reading) -> Learnable:
        """The examples of a file in the method's format. Raises InvalidRequest with the lines at fault."""
        ...

    def trainer(self, kit: Kit) -> Any:
        """A transformers Trainer that learns so."""
        ...


@runtime_checkable
class Judging(Protocol):
    """A method's module whose models tell wanted answers from unwanted ones."""

    def scores(self, trained: Any, answers: Learnable) -> Sequence[float]:
        """How well a trainer's model as it is now tells them apart: for each example from 0 to 1."""
        ...
