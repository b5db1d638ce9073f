"""The start form as it is filled in when it opens, and filled anew when somebody changes what the rest depends on."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlmodel import Session

from providers import prices
from providers.base import Hyperparameter
from providers.capabilities import CAPABILITIES, ON_THIS_MACHINE
from providers.retirements import Notice
from workers import datasets
from workers.errors import UserError
from workers.plans import billing, memory, methods, offered, presets
from workers.plans.choices import MOST_NAME_CHARACTERS, Choices, TestOn, sizes
from workers.plans.offered import OTHER, Offers, Option
from workers.plans.presets import OWN
from workers.rights import Actor, Verb, require
from workers.settings import Settings
from workers.tables import Dataset, DatasetRole


@dataclass(frozen=True)
class StartForm:
    """A form that is already filled in; `problems` says in words why it cannot be (no dataset yet).

    With problems and choices both, the choices are for a provider that is not set up: `providers` are those instead.
    """

    datasets: list[Dataset]
    choices: Choices | None
    providers: list[Option] = field(default_factory=list)
    base_models: list[Option] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    methods: list[Option] = field(default_factory=list)
    """The ways in which the provider can learn from the dataset; nothing to choose where there is one only."""
    tiers: list[Option] = field(default_factory=list)
    """The vendor's ways of training, each with its price; empty where there is one only."""
    warnings: list[str] = field(default_factory=list)
    """Why these choices would be refused."""
    notices: list[Notice] = field(default_factory=list)
    """What is over and what will be, for the base model."""
    notes: list[str] = field(default_factory=list)
    """What became of another run's plan, or of a job file's."""
    presets: list[Option] = field(default_factory=list)
    preset: str = OWN
    """Which of them the choices are."""


def usable_datasets(session: Session, actor: Actor) -> list[Dataset]:
    """The trainable datasets that the person may use from this channel, the newest first."""
    return datasets.usable(session, actor)


def propose(
    session: Session,
    settings: Settings,
    actor: Actor,
    *,
    dataset_id: int | None = None,
    choices: Choices | None = None,
) -> StartForm:
    """The form for this person and channel, filled in around `choices`, `dataset_id` or the newest ready dataset."""
    require(session, actor, Verb.START)
    usable = usable_datasets(session, actor)
    wanted = choices.dataset_id if choices else dataset_id
    chosen = _choose(usable, actor) if wanted is None else _one(session, actor, usable, wanted)
    if chosen is None:
        words = "There is no ready dataset in this channel yet. Attach a .jsonl file to a message here, then try again."
        gone = "This dataset is not there any more, or has errors. Attach it again, or start with another one."
        return StartForm(datasets=usable, choices=None, problems=[words if wanted is None else gone])
    offers = offered.of(session, settings, actor.team_id, chosen)
    if choices is None:
        return _filled(session, actor, usable, offers, _first(settings, usable, chosen, offers))
    if choices.method not in methods.of_dataset(chosen):
        able = " or ".join(one.upper() for one in methods.of_dataset(chosen))
        words = (
            f"This plan is for the method {choices.method.upper()}, but {chosen.name} v{chosen.version} is for "
            f"{able}. Choose another dataset, or change the plan's method."
        )
        return StartForm(datasets=usable, choices=None, problems=[words])
    base_model = choices.base_model or offers.first_model(choices.provider)
    return _filled(session, actor, usable, offers, replace(choices, base_model=base_model))


def redrawn(session: Session, settings: Settings, actor: Actor, typed: Choices, provider: str) -> StartForm:
    """The form after a change: `typed` is what it says, still for the provider of before, `provider` the one of now.

    Another provider or dataset brings what fits to it; what was typed elsewhere stays.
    """
    require(session, actor, Verb.START)
    usable = usable_datasets(session, actor)
    chosen = _one(session, actor, usable, typed.dataset_id)
    offers = offered.of(session, settings, actor.team_id, chosen)
    now = typed
    if provider != typed.provider and provider in CAPABILITIES:
        now = now.moved_to(provider, offers.first_model(provider, like=typed.base_model))
    possible = methods.at(now.provider, chosen) or methods.of_dataset(chosen)
    if chosen is not None and now.method not in possible:
        now = replace(now, method=methods.first(now.provider, chosen))
        if now.base_model not in {one.value for one in offers.base_models(now.provider)}:
            now = replace(now, base_model=offers.first_model(now.provider))
    if now.test_dataset_id == now.dataset_id:
        now = replace(now, test_dataset_id=None)
    if now.validation_dataset_id == now.dataset_id:
        now = replace(now, validation_dataset_id=None)
    usable_knobs = {one.name for one in now.usable_knobs}
    now = replace(now, knobs={name: value for name, value in now.knobs.items() if name in usable_knobs})
    return _filled(session, actor, usable, offers, now)


def _filled(session: Session, actor: Actor, usable: list[Dataset], offers: Offers, choices: Choices) -> StartForm:
    """The form around these choices: what can be chosen beside them, and what should be known of them."""
    provider, dataset = choices.provider, offers.dataset
    not_here = offers.not_here(provider)
    if not_here:
        return StartForm(
            datasets=usable,
            choices=choices,
            providers=[one for one in offers.providers() if offers.can(one.value)],
            problems=[f"This plan ({choices.name}) is for {prices.vendor(provider).text}. {not_here}"],
        )
    tokens = 0
    if dataset is not None:
        billed = billing.bill(dataset.report, provider, choices.base_model).tokens
        tokens = billed * int(choices.number("epochs") or dataset.report.get("epochs") or 3)
    named = (choices.dataset_id, choices.test_dataset_id, choices.validation_dataset_id)
    older = [_one(session, actor, usable, one) for one in dict.fromkeys(named) if one]
    return StartForm(
        datasets=[*usable, *(one for one in older if one is not None and one not in usable)],
        choices=choices,
        providers=offers.providers(),
        methods=offers.methods(provider),
        base_models=offers.base_models(provider),
        tiers=offers.tiers(provider, choices.base_model, tokens),
        warnings=[one for one in (offers.cannot(provider), *offers.doubts(provider, choices.base_model)) if one],
        notices=list(offers.notices(provider, choices.base_model)) if choices.base_model != OTHER else [],
        presets=[
            Option(name, presets.PRESETS[name].text, presets.PRESETS[name].description)
            for name in presets.offered(provider, choices.method)
        ],
        preset=presets.named(choices, memory.shape(offers.settings, choices.base_model), _epochs(dataset)),
    )


def with_preset(session: Session, settings: Settings, typed: Choices, known: Choices, name: str) -> Choices:
    """What was typed, or where another preset was chosen than `known` is, that one's values."""
    dataset = session.get(Dataset, known.dataset_id)
    model = memory.shape(settings, known.base_model)
    if typed.method is not known.method and (was := presets.named(known, model, _epochs(dataset))) != OWN:
        return presets.apply(was, typed, model, _epochs(dataset))
    if name not in presets.offered(known.provider, known.method) or name == presets.named(
        known, model, _epochs(dataset)
    ):
        return typed
    return presets.apply(name, typed, model, _epochs(dataset))


def _epochs(dataset: Dataset | None) -> int:
    """How often a dataset of this size is best read."""
    return max(1, int((dataset.report.get("epochs") if dataset is not None else None) or 3))


def _first(settings: Settings, usable: list[Dataset], chosen: Dataset, offers: Offers) -> Choices:
    """What is sensible for a dataset of which nothing else is known."""
    test, validation = tests_beside(usable, chosen)
    provider = offers.first_provider()
    choices = Choices(
        dataset_id=chosen.id or 0,
        test_dataset_id=test.id if test else None,
        validation_dataset_id=validation.id if validation else None,
        name=_free_name(chosen),
        provider=provider,
        base_model=settings.base_model if provider in ON_THIS_MACHINE else offers.first_model(provider),
        knobs=_first_knobs(settings, provider, chosen),
        method=methods.first(provider, chosen),
    )
    few = sizes(chosen.examples, choices, settings.held_out_examples).test == 0
    return replace(choices, test_on=TestOn.NOTHING) if few and test is None else choices


def _first_knobs(settings: Settings, provider: str, dataset: Dataset) -> dict[str, Hyperparameter]:
    """What is sensible for the dataset and the model, where the trainer has no rule of its own."""
    if any(one.name == "epochs" and one.can_auto for one in CAPABILITIES[provider].knobs):
        return {}
    model = memory.shape(settings, settings.base_model) if provider == "local" else None
    return presets.usual(model, _epochs(dataset), methods.first(provider, dataset))


def _choose(usable: list[Dataset], actor: Actor) -> Dataset | None:
    made_for_it = [row for row in usable if not datasets.is_prose(row)] or usable
    to_learn_from = [row for row in made_for_it if row.role is DatasetRole.TRAIN] or made_for_it
    own = [row for row in to_learn_from if row.creator_id == actor.user_id]
    return next(iter(own or to_learn_from), None)


def _one(session: Session, actor: Actor, usable: list[Dataset], dataset_id: int) -> Dataset | None:
    """A dataset that can be trained on, also one that is older than those that are listed."""
    listed = next((row for row in usable if row.id == dataset_id), None)
    if listed is not None:
        return listed
    try:
        found = datasets.get(session, actor, dataset_id)
    except UserError:
        return None
    return found if found.trainable else None


def tests_beside(usable: Sequence[Dataset], chosen: Dataset) -> tuple[Dataset | None, Dataset | None]:
    """What came in the dataset's message to be tested on, and to be watched while training."""
    return tests_among(
        [
            row
            for row in usable
            if row.id != chosen.id and row.message_ts == chosen.message_ts and row.channel_id == chosen.channel_id
        ]
    )


def tests_among(rows: Sequence[Dataset]) -> tuple[Dataset | None, Dataset | None]:
    """Of these, what to test on and what to watch.

    A validation file without a test file beside it is what the result is tested on.
    """
    test = next((row for row in rows if row.role is DatasetRole.TEST), None)
    validation = next((row for row in rows if row.role is DatasetRole.VALIDATION), None)
    return (test, validation) if test is not None else (validation, None)


def _free_name(dataset: Dataset) -> str:
    stem = re.sub(r"\.(jsonl?|csv|tsv|txt)$", "", dataset.name.lower())
    stem = re.sub(r"[-_. ]*(train|training|data|dataset)$", "", stem)
    stem = re.sub(r"[^a-z0-9]+", "-", stem).strip("-") or "model"
    version = f"-v{dataset.version}"
    return stem[: MOST_NAME_CHARACTERS - len(version)].rstrip("-") + version
