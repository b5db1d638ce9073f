"""What the start form offers, what a person chose, and every problem with it."""

import re
from dataclasses import dataclass, field, replace

from sqlmodel import Session

from providers import prices
from providers.base import Method
from workers import datasets
from workers.errors import InvalidPlan, UserError
from workers.rights import Actor, Verb, require
from workers.runs.choices import FOLDS, LEAST_TO_CROSS_CHECK, Choices, TestOn, sizes
from workers.settings import Settings
from workers.tables import Dataset, DatasetRole

__all__ = ["Choices", "Option", "StartForm", "TestOn", "checked", "propose", "usable_datasets"]

MOST_NAME_CHARACTERS = 40
NOT_THERE = "This dataset is not there any more, or not visible from this channel."
BROKEN = "This dataset has errors. Mend them and attach it again."


@dataclass(frozen=True)
class Option:
    """One choice of a form: its value and how it reads, with price, time and privacy beside it."""

    value: str
    text: str
    description: str = ""


@dataclass(frozen=True)
class StartForm:
    """A form that is already filled in; `problems` says in words why it cannot be (no dataset yet)."""

    datasets: list[Dataset]
    choices: Choices | None
    providers: list[Option] = field(default_factory=list)
    base_models: list[Option] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


PROVIDERS = {
    "local": Option("local", "This machine", "private: nothing leaves it, $0"),
    "stub": Option("stub", "Pretend (no training)", "for trying the flow only, $0"),
}

BASE_MODELS = {
    "local": [Option("smollm2-135m-instruct", "SmolLM2 135M Instruct", "small, quick, Apache-2.0")],
    "stub": [Option("stub-1", "stub-1", "answers like a parrot")],
}


def usable_datasets(session: Session, actor: Actor) -> list[Dataset]:
    """The trainable datasets that the person may use from this channel, the newest first."""
    return datasets.usable(session, actor)


def set_up(settings: Settings) -> list[Option]:
    """The providers that can be chosen in this installation."""
    del settings  # vendors need credentials before they are offered; there are none to have yet
    return [PROVIDERS["local"]]


def propose(session: Session, settings: Settings, actor: Actor, *, dataset_id: int | None = None) -> StartForm:
    """The form for this person and channel, filled in around `dataset_id` or the newest ready dataset."""
    require(session, actor, Verb.START)
    usable = usable_datasets(session, actor)
    chosen = _choose(usable, actor, dataset_id)
    if chosen is None:
        words = "There is no ready dataset in this channel yet. Attach a .jsonl file to a message here, then try again."
        return StartForm(datasets=usable, choices=None, problems=[words])
    test, validation = _beside(usable, chosen)
    provider = "local"
    choices = Choices(
        dataset_id=chosen.id or 0,
        test_dataset_id=test.id if test else None,
        validation_dataset_id=validation.id if validation else None,
        name=_free_name(chosen),
        provider=provider,
        base_model=settings.base_model if provider == "local" else BASE_MODELS[provider][0].value,
        knobs={"epochs": max(1, int(chosen.report.get("epochs") or 3))},
        method=Method(chosen.method),
    )
    few = sizes(chosen.examples, choices, settings.held_out_examples).test == 0
    return StartForm(
        datasets=usable,
        choices=replace(choices, test_on=TestOn.NOTHING) if few and test is None else choices,
        providers=set_up(settings),
        base_models=base_models(settings, provider),
    )


def base_models(settings: Settings, provider: str) -> list[Option]:
    """The base models that are offered at a provider, the configured one first."""
    options = list(BASE_MODELS[provider])
    if provider == "local" and settings.base_model not in {option.value for option in options}:
        options.insert(
            0, Option(settings.base_model, settings.base_model.rstrip("/").split("/")[-1][:75], "configured here")
        )
    return options


def _choose(usable: list[Dataset], actor: Actor, dataset_id: int | None) -> Dataset | None:
    if dataset_id is not None:
        return next((row for row in usable if row.id == dataset_id), None)
    to_learn_from = [row for row in usable if row.role is DatasetRole.TRAIN] or usable
    own = [row for row in to_learn_from if row.creator_id == actor.user_id]
    return next(iter(own or to_learn_from), None)


def _beside(usable: list[Dataset], chosen: Dataset) -> tuple[Dataset | None, Dataset | None]:
    """What came in the same message to be tested on, and to be watched while training.

    A validation file without a test file beside it is what the result is tested on.
    """
    beside = [
        row
        for row in usable
        if row.id != chosen.id and row.message_ts == chosen.message_ts and row.channel_id == chosen.channel_id
    ]
    test = next((row for row in beside if row.role is DatasetRole.TEST), None)
    validation = next((row for row in beside if row.role is DatasetRole.VALIDATION), None)
    return (test, validation) if test is not None else (validation, None)


def _free_name(dataset: Dataset) -> str:
    stem = re.sub(r"\.(jsonl?|csv|tsv|txt)$", "", dataset.name.lower())
    stem = re.sub(r"[-_. ]*(train|training|data|dataset)$", "", stem)
    stem = re.sub(r"[^a-z0-9]+", "-", stem).strip("-") or "model"
    version = f"-v{dataset.version}"
    return stem[: MOST_NAME_CHARACTERS - len(version)].rstrip("-") + version


def checked(session: Session, settings: Settings, actor: Actor, choices: Choices) -> tuple[Dataset, Dataset | None]:
    """The datasets to learn from and to test on. Raises InvalidPlan with every problem at once, by field."""
    problems: dict[str, str] = {}
    dataset = _visible(session, actor, choices.dataset_id)
    if dataset is None:
        problems["dataset_id"] = NOT_THERE
    elif not dataset.trainable:
        problems["dataset_id"] = BROKEN
    elif dataset.method != choices.method:
        problems["dataset_id"] = f"This dataset is for the method {dataset.method}, not {choices.method}."
    test = _other(session, actor, dataset, choices.test_dataset_id, "test_dataset_id", problems)
    validation = _other(session, actor, dataset, choices.validation_dataset_id, "validation_dataset_id", problems)
    if test is not None and validation is not None and test.sha256 == validation.sha256:
        problems["validation_dataset_id"] = (
            "That is the test already: what is watched while training is no honest test. Choose another, or nothing."
        )
    if dataset is not None and dataset.trainable:
        _check_sizes(settings, choices, dataset, problems)
    name = choices.name.strip()
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]*", name) or len(name) > MOST_NAME_CHARACTERS:
        problems["name"] = f"Use 1 to {MOST_NAME_CHARACTERS} letters, digits, spaces, dots, hyphens or underscores."
    problems |= choices.knob_problems()
    if choices.provider not in PROVIDERS:
        problems["provider"] = "This provider is not set up here."
    elif choices.base_model not in {option.value for option in base_models(settings, choices.provider)}:
        problems["base_model"] = "This base model is not offered by that provider here."
    if problems or dataset is None:
        raise InvalidPlan(problems)
    return dataset, test


def _other(
    session: Session, actor: Actor, dataset: Dataset | None, other_id: int | None, field: str, problems: dict[str, str]
) -> Dataset | None:
    """The dataset that is tested on or watched; what is wrong with it goes into `problems`."""
    if not other_id:
        return None
    other = _visible(session, actor, other_id)
    if other is None:
        problems[field] = NOT_THERE
    elif dataset is not None and other.sha256 == dataset.sha256:
        problems[field] = "That is the training data itself: a model must be tested on what it has not seen."
    elif not other.trainable:
        problems[field] = BROKEN
    return other


def _check_sizes(settings: Settings, choices: Choices, dataset: Dataset, problems: dict[str, str]) -> None:
    """Whether there are enough examples for what is wanted, and for the provider."""
    vendor = prices.vendor(choices.provider)
    parts = sizes(dataset.examples, choices, settings.held_out_examples)
    alone = choices.test_dataset_id is None
    if alone and choices.test_on is TestOn.HELD_OUT and not parts.test:
        problems["test_dataset_id"] = (
            f"{dataset.examples} examples are too few to hold some back. Cross-check, train without a test, or "
            "attach a test file to a message here and choose it."
        )
    learnt = parts.train
    if choices.cross_checked:
        learnt = dataset.examples * (FOLDS - 1) // FOLDS
        if dataset.examples < LEAST_TO_CROSS_CHECK:
            problems["test_dataset_id"] = f"Cross-checking needs at least {LEAST_TO_CROSS_CHECK} examples."
    if choices.hold_out_validation and choices.validation_dataset_id is None and not parts.validation:
        problems["validation_dataset_id"] = (
            f"{dataset.examples} examples are too few to hold some back. Choose a file, or nothing."
        )
    if learnt < vendor.minimum_examples:
        problems.setdefault(
            "dataset_id",
            f"{vendor.text} trains on {vendor.minimum_examples} examples at least; here {learnt} are left to learn "
            "from. Add examples, or hold back fewer.",
        )


def _visible(session: Session, actor: Actor, dataset_id: int) -> Dataset | None:
    try:
        return datasets.get(session, actor, dataset_id)
    except UserError:
        return None


def dataset(session: Session, actor: Actor, dataset_id: int) -> Dataset:
    """A dataset that the person may see. Raises NotFound."""
    return datasets.get(session, actor, dataset_id)
