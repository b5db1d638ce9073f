"""What the start form offers, what a person chose, and every problem with it."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlmodel import Session, col, select

from providers.base import Method
from workers.errors import InvalidPlan, NotFound
from workers.rights import Actor, Verb, allowed, require
from workers.settings import Settings
from workers.tables import Dataset, DatasetRole

LIMITS: dict[str, tuple[float, float]] = {
    "epochs": (1, 50),
    "batch_size": (1, 256),
    "learning_rate": (1e-7, 1e-1),
    "lora_r": (1, 512),
}
"""The sensible range of each knob, both ends included."""
MOST_NAME_CHARACTERS = 40


@dataclass(frozen=True)
class Option:
    """One choice of a form: its value and how it reads, with price, time and privacy beside it."""

    value: str
    text: str
    description: str = ""


@dataclass(frozen=True)
class Choices:
    """What a person chose. Without `test_dataset_id` part of the training data is held out instead."""

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

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, for the run's `plan` column."""
        return {**asdict(self), "method": str(self.method)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Choices":
        """The reverse of `to_json`; unknown keys are ignored."""
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        return cls(**{**known, "method": Method(known.get("method", Method.SFT))})


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
    """The trainable datasets of this channel that the person may use, the newest first."""
    wanted = select(Dataset).where(Dataset.team_id == actor.team_id, col(Dataset.trainable).is_(True))
    if actor.channel_id:
        wanted = wanted.where(Dataset.channel_id == actor.channel_id)
    rows = session.exec(wanted.order_by(col(Dataset.id).desc()).limit(100))
    return [row for row in rows if allowed(session, actor, Verb.VIEW, row)]


def propose(session: Session, settings: Settings, actor: Actor, *, dataset_id: int | None = None) -> StartForm:
    """The form for this person and channel, filled in around `dataset_id` or the newest ready dataset."""
    require(session, actor, Verb.START)
    datasets = usable_datasets(session, actor)
    chosen = _choose(datasets, actor, dataset_id)
    if chosen is None:
        words = "There is no ready dataset in this channel yet. Attach a .jsonl file to a message here, then try again."
        return StartForm(datasets=datasets, choices=None, problems=[words])
    test = _held_out_beside(datasets, chosen)
    provider = "local"
    choices = Choices(
        dataset_id=chosen.id or 0,
        test_dataset_id=test.id if test else None,
        name=_free_name(chosen),
        provider=provider,
        base_model=settings.base_model if provider == "local" else BASE_MODELS[provider][0].value,
        epochs=max(1, int(chosen.report.get("epochs") or 3)),
        method=Method(chosen.method),
    )
    return StartForm(
        datasets=datasets,
        choices=choices,
        providers=[PROVIDERS["local"]],
        base_models=_base_models(settings, provider),
    )


def _base_models(settings: Settings, provider: str) -> list[Option]:
    options = list(BASE_MODELS[provider])
    if provider == "local" and settings.base_model not in {option.value for option in options}:
        options.insert(
            0, Option(settings.base_model, settings.base_model.rstrip("/").split("/")[-1][:75], "configured here")
        )
    return options


def _choose(datasets: list[Dataset], actor: Actor, dataset_id: int | None) -> Dataset | None:
    if dataset_id is not None:
        return next((row for row in datasets if row.id == dataset_id), None)
    to_learn_from = [row for row in datasets if row.role is DatasetRole.TRAIN] or datasets
    own = [row for row in to_learn_from if row.creator_id == actor.user_id]
    return next(iter(own or to_learn_from), None)


def _held_out_beside(datasets: list[Dataset], chosen: Dataset) -> Dataset | None:
    """The dataset that came in the same message to be held out."""
    return next(
        (
            row
            for row in datasets
            if row.id != chosen.id
            and row.message_ts == chosen.message_ts
            and row.channel_id == chosen.channel_id
            and row.role in {DatasetRole.TEST, DatasetRole.VALIDATION}
        ),
        None,
    )


def _free_name(dataset: Dataset) -> str:
    stem = re.sub(r"\.(jsonl?|csv|tsv|txt)$", "", dataset.name.lower())
    stem = re.sub(r"[-_. ]*(train|training|data|dataset)$", "", stem)
    stem = re.sub(r"[^a-z0-9]+", "-", stem).strip("-") or "model"
    version = f"-v{dataset.version}"
    return stem[: MOST_NAME_CHARACTERS - len(version)].rstrip("-") + version


def checked(session: Session, settings: Settings, actor: Actor, choices: Choices) -> tuple[Dataset, Dataset | None]:
    """The datasets that the choices name. Raises InvalidPlan with every problem at once, by field."""
    problems: dict[str, str] = {}
    dataset = _visible(session, actor, choices.dataset_id)
    test = _visible(session, actor, choices.test_dataset_id) if choices.test_dataset_id else None
    if dataset is None:
        problems["dataset_id"] = "This dataset is not there any more, or not visible from this channel."
    elif not dataset.trainable:
        problems["dataset_id"] = "This dataset has errors. Mend them and attach it again."
    elif dataset.method != choices.method:
        problems["dataset_id"] = f"This dataset is for the method {dataset.method}, not {choices.method}."
    if choices.test_dataset_id:
        if test is None:
            problems["test_dataset_id"] = "This dataset is not there any more, or not visible from this channel."
        elif dataset is not None and test.sha256 == dataset.sha256:
            problems["test_dataset_id"] = (
                "That is the training data itself: a model must be tested on what it has not seen."
            )
        elif not test.trainable:
            problems["test_dataset_id"] = "This dataset has errors. Mend them and attach it again."
    name = choices.name.strip()
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]*", name) or len(name) > MOST_NAME_CHARACTERS:
        problems["name"] = f"Use 1 to {MOST_NAME_CHARACTERS} letters, digits, spaces, dots, hyphens or underscores."
    for knob, (low, high) in LIMITS.items():
        if not low <= float(getattr(choices, knob)) <= high:
            problems[knob] = f"Must be between {low:g} and {high:g}."
    if choices.provider not in PROVIDERS:
        problems["provider"] = "This provider is not set up here."
    elif choices.base_model not in {option.value for option in _base_models(settings, choices.provider)}:
        problems["base_model"] = "This base model is not offered by that provider here."
    if problems or dataset is None:
        raise InvalidPlan(problems)
    return dataset, test


def _visible(session: Session, actor: Actor, dataset_id: int) -> Dataset | None:
    row = session.get(Dataset, dataset_id)
    return row if row is not None and allowed(session, actor, Verb.VIEW, row) else None


def dataset(session: Session, actor: Actor, dataset_id: int) -> Dataset:
    """A dataset that the person may see. Raises NotFound."""
    row = _visible(session, actor, dataset_id)
    if row is None:
        raise NotFound("This dataset is not there, or not visible from this channel.")
    return row
