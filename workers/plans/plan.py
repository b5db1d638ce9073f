"""What a person chose, and every problem with it; what the form offers is in `proposal`."""

import re

from sqlmodel import Session

from providers import prices
from providers.base import Method
from providers.capabilities import CAPABILITIES
from workers import datasets
from workers.errors import InvalidPlan, UserError
from workers.plans import grading, methods, offered
from workers.plans.choices import (
    FOLDS,
    LEAST_TO_CROSS_CHECK,
    MOST_NAME_CHARACTERS,
    Choices,
    TestOn,
    option_problems,
    sizes,
)
from workers.plans.cost import Estimate
from workers.plans.offered import OTHER, Offers, Option
from workers.plans.proposal import StartForm, propose, redrawn, usable_datasets
from workers.rights import Actor, Verb, allowed
from workers.settings import Settings
from workers.tables import Dataset

__all__ = ["Choices", "Option", "StartForm", "TestOn", "checked", "propose", "redrawn", "usable_datasets"]

NOT_THERE = "This dataset is not there any more, or not visible from this channel."
BROKEN = "This dataset has errors. Mend them and attach it again."
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,198}")


def checked(session: Session, settings: Settings, actor: Actor, choices: Choices) -> tuple[Dataset, Dataset | None]:
    """The datasets to learn from and to test on. Raises InvalidPlan with every problem at once, by field."""
    problems: dict[str, str] = {}
    dataset = _visible(session, actor, choices.dataset_id)
    if dataset is None:
        problems["dataset_id"] = NOT_THERE
    elif not dataset.trainable:
        problems["dataset_id"] = BROKEN
    elif choices.method not in methods.of_dataset(dataset):
        able = ", ".join(one.upper() for one in methods.of_dataset(dataset))
        problems["dataset_id"] = f"This dataset is for the method {able}, not {choices.method.upper()}."
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
    offers = offered.of(session, settings, actor.team_id, dataset)
    problems |= _where_problems(choices, offers, may_try=allowed(session, actor, Verb.ADMINISTER))
    if problems or dataset is None:
        raise InvalidPlan(problems)
    return dataset, test


def unwatched(choices: Choices, estimate: Estimate) -> str:
    """That what is to be watched while training is too little for the vendor, which trains without; else empty."""
    vendor = prices.vendor(choices.provider)
    if not 0 < estimate.validated < vendor.minimum_examples:
        return ""
    return (
        f"{estimate.validated} examples would be watched while training; {vendor.text} wants "
        f"{vendor.minimum_examples} at least, so it trains without. They are not learnt from all the same."
    )


def _where_problems(choices: Choices, offers: Offers, *, may_try: bool) -> dict[str, str]:
    """What is wrong with the provider, its model and its options; `may_try`: an admin asks one that has closed."""
    provider = choices.provider
    if not_here := offers.not_here(provider):
        return {"provider": not_here}
    can = choices.method in methods.of_dataset(offers.dataset)
    if can and (cannot := offers.cannot(provider, choices.method)):
        return {"provider": cannot}
    vendor = prices.vendor(provider).text
    known = CAPABILITIES[provider].options
    problems = {
        name: f"{vendor}, {name.replace('_', ' ')}: {words}" if name in known else f"{vendor} has no such option."
        for name, words in option_problems(provider, choices.options).items()
    }
    base_model = choices.base_model
    listed = {option.value for option in offers.base_models(provider)} - {OTHER}
    free = provider in offered.VENDORS
    if base_model == OTHER:
        problems["base_model"] = "Type the model's name as the vendor writes it."
    elif base_model not in listed and not (free and MODEL_NAME.fullmatch(base_model)):
        problems["base_model"] = (
            "Give the model's name as the vendor writes it, without spaces."
            if free
            else "This base model is not offered by that provider here."
        )
    elif (closed := offers.closed(provider, base_model)) and not (choices.try_anyway and may_try):
        admin = "The vendor's own answer decides: tick the box to ask it." if may_try else "An admin may try anyway."
        problems["base_model"] = f"{closed} Choose another model or place. {admin}"
    if choices.method is Method.RFT:
        problems |= grading.problems(choices.options.get("grader"))
    elif "grader" in choices.options:
        problems["grader"] = f"A grader is for reinforcement (RFT) only; this dataset is for {choices.method.upper()}."
    return problems


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
