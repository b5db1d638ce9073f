"""What a person chose for a run, and how its dataset is divided by that."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from providers.base import Method
from workers.dataprep import split

FOLDS = 3
"""Parts of a cross-checked dataset: so many short runs, each tested on the part that it did not learn from."""
LEAST_TO_CROSS_CHECK = 2 * FOLDS


class TestOn(StrEnum):
    """What the result is tested on where no test file is chosen."""

    __test__ = False  # it is no test of ours

    HELD_OUT = "held-out"  # a part of the training data, never learnt from
    CROSS_CHECK = "cross-check"  # every part in turn, each by a short run that learnt from the others
    NOTHING = "nothing"  # no test: nothing can be claimed about the result


@dataclass(frozen=True)
class Choices:
    """What a person chose. A `test_dataset_id` goes before `test_on`, a `validation_dataset_id` before its share."""

    dataset_id: int
    test_dataset_id: int | None = None
    name: str = ""
    goal: str = ""
    provider: str = "local"
    base_model: str = ""
    method: Method = Method.SFT
    epochs: int = 3
    learning_rate: float = 5e-4
    batch_size: int = 4
    lora_r: int = 16
    seed: int = 42
    test_on: TestOn = TestOn.HELD_OUT
    validation_dataset_id: int | None = None
    hold_out_validation: bool = False
    """Whether a part of the training data is watched while training, not learnt from."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, for the run's `plan` column."""
        return {**asdict(self), "method": str(self.method), "test_on": str(self.test_on)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Choices":
        """The reverse of `to_json`; unknown keys are ignored."""
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        method = Method(known.get("method", Method.SFT))
        return cls(**{**known, "method": method, "test_on": TestOn(known.get("test_on", TestOn.HELD_OUT))})

    @property
    def cross_checked(self) -> bool:
        """Whether short runs test the plan before the model that learns from everything."""
        return self.test_dataset_id is None and self.test_on is TestOn.CROSS_CHECK


@dataclass(frozen=True)
class Sizes:
    """How many of the chosen dataset's own examples are on each side."""

    train: int
    validation: int = 0
    test: int = 0


def sizes(examples: int, choices: Choices, most: int) -> Sizes:
    """How a dataset of so many examples is divided; at most `most` are held out for each purpose."""
    test = validation = 0
    if choices.test_dataset_id is None and choices.test_on is TestOn.HELD_OUT:
        test = split.test_size(examples, most)
    if choices.validation_dataset_id is None and choices.hold_out_validation:
        validation = split.validation_size(examples, most)
    return Sizes(examples - validation - test, validation, test)
