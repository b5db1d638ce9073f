"""How a run's examples were divided: kept in storage, so that every attempt learns and tests the same."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from workers.plans.choices import FOLDS
from workers.tables import Run

NO_TEST = (
    "Trained without a test, as chosen: nobody can say from this run whether the tuned model is better than the base "
    "model, or worse. To find out, attach a test file that was not learnt from, and start again with it."
)
TOO_FEW = "Nothing was held out: too few examples, so nothing can be claimed about the result."
TOO_ALIKE = (
    "Nothing could be held out: the examples have so few different prompts that the test would have been learnt too. "
    "Attach a test file with other prompts, and start again with it."
)


@dataclass(frozen=True)
class Part:
    """Of a cross-checked plan: the short run that is tested on part `number` (from 0) of `of`."""

    number: int
    of: int
    run: int
    """The run whose model is kept."""


@dataclass(frozen=True)
class Division:
    """The lines of what is watched and of what is tested on; everything else is learnt from.

    With a test file of its own `test` has that file's lines, and `leaked` says how many of them were left out.
    """

    validation: Sequence[int] = ()
    test: Sequence[int] = ()
    leaked: int = 0
    leaked_words: str = ""
    of_file: bool = False
    """Whether the test's lines are those of another file than the one that is learnt from."""

    @property
    def held_out(self) -> frozenset[int]:
        """The lines of the training dataset that are not learnt from."""
        return frozenset(self.validation) | (frozenset() if self.of_file else frozenset(self.test))

    @property
    def note(self) -> str:
        """What must be said beside the result; empty where nothing must."""
        if not self.leaked:
            return ""
        if not self.test:
            return (
                f"All of the test file was learnt from: {self.leaked_words}. Choose a test that the model has not seen."
            )
        return f"In the test file {self.leaked_words}; they were left out of the test."

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**asdict(self), "validation": list(self.validation), "test": list(self.test)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Division":
        """The reverse of `to_json`."""
        return cls(**{key: value for key, value in data.items() if key in cls.__dataclass_fields__})


def storage_key(run: Run) -> str:
    """Where the division of a run lies in storage."""
    return f"splits/{run.id}.json"


def same(one: Run, other: Run) -> bool:
    """Whether two runs want the same data divided in the same way; never for parts of cross-checks."""
    if part_of(one) is not None or part_of(other) is not None:
        return False
    keys = ("dataset_id", "test_dataset_id", "validation_dataset_id", "test_on", "hold_out_validation", "seed")
    return all(one.plan.get(key) == other.plan.get(key) for key in keys)


def part_of(run: Run) -> Part | None:
    """Which part of a cross-check a run is; None for one that is no part."""
    data = run.plan.get("part")
    return Part(int(data["number"]), int(data["of"]), int(data["run"])) if data else None


def part_json(number: int, run: Run) -> dict[str, int]:
    """For the plan of a short run: it is part `number` of this run's cross-check."""
    return {"number": number, "of": FOLDS, "run": run.id or 0}
