"""What a person chose for a run, and how its dataset is divided by that."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from providers import prices
from providers.base import AUTO, Hyperparameter, Knob, Method
from providers.capabilities import CAPABILITIES, HOSTING_CAPACITY
from workers.dataprep import split

FOLDS = 3
"""Parts of a cross-checked dataset: so many short runs, each tested on the part that it did not learn from."""
LEAST_TO_CROSS_CHECK = 2 * FOLDS
MOST_NAME_CHARACTERS = 40
MOST_TYPES_CHARACTERS = 200
"""Of all machine types together, as the form shows them."""
_MACHINE = re.compile(r"[A-Za-z0-9_.-]{1,60}")

EARLIER_KNOBS = ("epochs", "learning_rate", "batch_size", "lora_r")
"""Plans that are older than `Choices.knobs` have these beside the other choices."""


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
    knobs: Mapping[str, Hyperparameter] = field(default_factory=dict)
    """Hyperparameters by their neutral names; one that is not there is the provider's default."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What only this vendor knows: a grader, a training tier, integrations."""
    seed: int = 42
    test_on: TestOn = TestOn.HELD_OUT
    validation_dataset_id: int | None = None
    hold_out_validation: bool = False
    """Whether a part of the training data is watched while training, not learnt from."""
    try_anyway: bool = False
    """Whether an admin wants to ask a vendor that is known to have closed: its answer decides."""
    rehomed_from_id: int | None = None
    """The run that this plan repeats elsewhere."""
    job_file_id: int | None = None
    """The job file that this plan was read from."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, for the run's `plan` column."""
        return {**asdict(self), "method": str(self.method), "test_on": str(self.test_on)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Choices":
        """The reverse of `to_json`; unknown keys are ignored."""
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        known.setdefault("knobs", {name: data[name] for name in EARLIER_KNOBS if name in data})
        method = Method(known.get("method", Method.SFT))
        return cls(**{**known, "method": method, "test_on": TestOn(known.get("test_on", TestOn.HELD_OUT))})

    def knob(self, name: str) -> Hyperparameter | None:
        """The value that was chosen, or else the provider's default; None for a knob that it does not have."""
        return self.knobs.get(name, next((one.default for one in self.usable_knobs if one.name == name), None))

    def number(self, name: str) -> float | None:
        """The knob's value where it is a number; None where the vendor chooses, or there is no such knob."""
        value = self.knob(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    @property
    def hyperparameters(self) -> dict[str, Hyperparameter]:
        """Every knob of this provider and method with its value."""
        return {one.name: self.knobs.get(one.name, one.default) for one in self.usable_knobs}

    @property
    def usable_knobs(self) -> tuple[Knob, ...]:
        """The knobs that this provider has for this method; none for one that is not known."""
        known = CAPABILITIES.get(self.provider)
        return tuple(one for one in known.knobs if not one.methods or self.method in one.methods) if known else ()

    def moved_to(self, provider: str, base_model: str) -> "Choices":
        """The same intent at another provider: what was chosen is kept where it means the same there.

        A value that was only the old provider's default becomes the new one's, but for the epochs. Options, which
        only the old vendor knows, go.
        """
        if provider == self.provider:
            return replace(self, base_model=base_model)
        before = {one.name: one.default for one in self.usable_knobs}
        moved = replace(self, provider=provider, base_model=base_model, knobs={}, options={}, try_anyway=False)
        kept = {
            one.name: self.knobs[one.name]
            for one in moved.usable_knobs
            if one.name in self.knobs
            and (one.name == "epochs" or self.knobs[one.name] != before.get(one.name))
            and not _problem(one, self.knobs[one.name])
        }
        return replace(moved, knobs=kept)

    def knob_problems(self) -> dict[str, str]:
        """What is wrong with the chosen values, by knob."""
        usable = {one.name: one for one in self.usable_knobs}
        problems = {
            name: f"There is no such setting for {self.method} here." for name in self.knobs if name not in usable
        }
        said = {name: _problem(one, self.knobs[name]) for name, one in usable.items() if name in self.knobs}
        return problems | {name: words for name, words in said.items() if words}

    @property
    def cross_checked(self) -> bool:
        """Whether short runs test the plan before the model that learns from everything."""
        return self.test_dataset_id is None and self.test_on is TestOn.CROSS_CHECK


def _problem(knob: Knob, value: Hyperparameter) -> str:
    """What is wrong with a knob's value, in words; empty for nothing."""
    if knob.choices:
        return "" if value in knob.choices else f"Choose one of: {', '.join(knob.choices)}."
    if value == AUTO and knob.can_auto:
        return ""
    auto = f", or “{AUTO}”" if knob.can_auto else ""
    if isinstance(value, bool | str) or not math.isfinite(value):
        return f"Must be a number{auto}."
    if knob.whole and value != int(value):
        return f"Must be a whole number{auto}."
    return "" if knob.low <= value <= knob.high else f"Must be between {knob.low:g} and {knob.high:g}{auto}."


def option_problems(provider: str, options: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with a vendor's options by their shape alone, by name; the vendor's own check knows more."""
    known = CAPABILITIES[provider].options if provider in CAPABILITIES else frozenset()
    found = {}
    for name, value in options.items():
        if name not in known:
            found[name] = f"no such option. There are: {', '.join(sorted(known)) or 'none'}."
        elif name == "training_tier":
            tiers = prices.vendor(provider).tiers
            found[name] = "" if prices.tier_named(provider, value) in tiers else f"choose one of: {', '.join(tiers)}."
        elif name == HOSTING_CAPACITY.name:
            found[name] = _problem(HOSTING_CAPACITY, value) if isinstance(value, int | float) else "must be a number."
        elif name == "instance_types":
            listed = isinstance(value, list) and all(isinstance(one, str) and _MACHINE.fullmatch(one) for one in value)
            few = listed and len(", ".join(value)) <= MOST_TYPES_CHARACTERS
            found[name] = "" if few and value else "must be a list of names, such as [Standard_NC24ads_A100_v4]."
        elif name == "integrations":
            found[name] = "" if isinstance(value, list) else "must be a list."
        elif name in {"grader", "response_format", "metadata"}:
            found[name] = "" if isinstance(value, Mapping) else "must have names with values below it."
        else:
            found[name] = "" if isinstance(value, str) and len(value) <= MOST_TYPES_CHARACTERS else "must be a text."
    return {name: words for name, words in found.items() if words}


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
