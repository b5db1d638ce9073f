"""Repeating a run elsewhere: the same data, split and goal at another provider, and what becomes of its settings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy.exc import NoResultFound
from sqlmodel import Session

from providers import prices
from providers.base import AUTO, Hyperparameter, Method
from providers.capabilities import ON_THIS_MACHINE
from workers.context import Context
from workers.errors import NotFound
from workers.plans import cost, offered
from workers.plans.billing import about
from workers.plans.choices import MOST_NAME_CHARACTERS, Choices
from workers.plans.offered import Offers
from workers.rights import Actor, Verb, allowed
from workers.runs import division, lifecycle
from workers.settings import Settings
from workers.tables import Dataset, Run

ACTION = "run_rehome"
"""How the actions of its buttons begin."""
MOST_LABEL_CHARACTERS = 75
"""Of a button; Slack shows no more."""


@dataclass(frozen=True)
class RehomeOffer:
    """A button: where a run can be repeated, on which model, about for how much (None where that is not known)."""

    label: str
    value: str
    provider: str
    base_model: str
    dollars: float | None

    @property
    def action_id(self) -> str:
        """Each button of a message needs its own."""
        return f"{ACTION}_{self.provider}"


def offers(session: Session, context: Context, run: Run) -> list[RehomeOffer]:
    """Where else this workspace could repeat the run, in the form's order; none for a part of a cross-check."""
    return offers_of(session, context.settings, run)


def offers_of(session: Session, settings: Settings, run: Run) -> list[RehomeOffer]:
    """The same, for who has the settings only."""
    dataset = session.get(Dataset, run.dataset_id)
    if dataset is None or dataset.deleted_at is not None or division.part_of(run) is not None:
        return []
    here = offered.of(session, settings, run.team_id, dataset)
    found = []
    for provider in here.usable:
        if provider == run.provider or here.cannot(provider, Method(run.method)):
            continue
        moved = _moved(here, run, provider)
        if not moved.base_model or here.closed(provider, moved.base_model):
            continue
        try:
            total = cost.estimate(session, settings, moved).total
        except NoResultFound:  # the test's dataset is gone
            continue
        found.append(_offer(run, moved, total))
    return found


def choices(session: Session, settings: Settings, actor: Actor, run_id: int, provider: str) -> Choices:
    """The run's plan for this provider, to fill in the form with. Raises NotFound."""
    run = lifecycle.find(session, actor, run_id)
    dataset = session.get(Dataset, run.dataset_id)
    if dataset is None or dataset.deleted_at is not None:
        raise NotFound("The dataset of this run is not there any more. Attach it again and start anew.")
    return _moved(offered.of(session, settings, actor.team_id, dataset), run, provider)


def notes(session: Session, actor: Actor, now: Choices) -> list[str]:
    """What became of the repeated run's settings in these choices, in words; nothing for a plan of its own."""
    if now.rehomed_from_id is None:
        return []
    run = session.get(Run, now.rehomed_from_id)
    if run is None or not allowed(session, actor, Verb.VIEW, run):
        return []
    before = Choices.from_json(run.plan)
    head = f"This repeats run {run.id} ({run.name}), which was for {prices.vendor(run.provider).text}."
    if division.same(run, _as_run(now)):
        head += " Data, split and test are the same, so the two can be compared."
    else:
        head += " Data, split or test are no longer the same: the two cannot be compared."
    there, here = (prices.short_name(one) for one in (run.base_model, now.base_model))
    model = f"Base model: {there} there, {here} here." if run.base_model != now.base_model else ""
    return [head, *filter(None, [model]), *_settings(before, now)]


def note(session: Session, actor: Actor, run: Run, now: Choices) -> None:
    """Remember in a run that has just been started which one it repeats."""
    before = session.get(Run, now.rehomed_from_id) if now.rehomed_from_id is not None else None
    if before is not None and allowed(session, actor, Verb.VIEW, before):
        run.rehomed_from_id = before.id
        session.add(run)


def _moved(here: Offers, run: Run, provider: str) -> Choices:
    before = Choices.from_json(run.plan)
    moved = before.moved_to(provider, here.first_model(provider, like=run.base_model))
    return replace(moved, name=_name(run.name, provider), rehomed_from_id=run.id, job_file_id=None)


def _name(name: str, provider: str) -> str:
    """The run's name and where it is repeated."""
    ending = f"-{provider.replace('_', '-')}"
    return name if name.endswith(ending) else name[: MOST_NAME_CHARACTERS - len(ending)].rstrip(" -._") + ending


def _offer(run: Run, moved: Choices, total: float | None) -> RehomeOffer:
    value = f"{run.id}:{moved.provider}"
    model = offered.model_text(moved.base_model)
    if moved.provider in ON_THIS_MACHINE:
        how = " with AutoTrain" if moved.provider == "autotrain" else ""
        return RehomeOffer(
            f"Train {_cut(model, 56 - len(how))} here{how}, free", value, moved.provider, moved.base_model, 0.0
        )
    price = "price not known" if total is None else about(total)
    where = f" at {prices.vendor(moved.provider).text}, {price}"
    label = _cut(model, MOST_LABEL_CHARACTERS - len(where)) + where
    return RehomeOffer(label, value, moved.provider, moved.base_model, total)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _settings(before: Choices, now: Choices) -> list[str]:
    """Each setting of before: kept, changed, or without a place."""
    texts = {one.name: one.text for choices in (before, now) for one in choices.usable_knobs}
    was, became = before.hyperparameters, now.hyperparameters
    lines = []
    for name, value in was.items():
        if name not in became:
            lines.append(f"{texts[name]}: {_said(value)} has no counterpart there and is dropped.")
        elif became[name] != value:
            lines.append(f"{texts[name]}: {_said(value)} becomes {_said(became[name])}.")
    kept = [f"{texts[name].lower()} {_said(value)}" for name, value in was.items() if became.get(name) == value]
    lines += [f"Kept: {', '.join(kept)}."] if kept else []
    usual = {one.name for one in now.usable_knobs if one.advanced}
    unknown = [(name, value) for name, value in became.items() if name not in was and name not in usual]
    new = [f"{texts[name].lower()} {_said(value)}" for name, value in unknown]
    lines += [f"New there: {', '.join(new)}."] if new else []
    gone = _dropped(before, now)
    return lines + ([f"Options that only the other vendor knows are dropped: {', '.join(gone)}."] if gone else [])


def _dropped(before: Choices, now: Choices) -> Sequence[str]:
    return sorted(name.replace("_", " ") for name in before.options if name not in now.options)


def _said(value: Hyperparameter) -> str:
    if value == AUTO:
        return "the vendor's choice"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _as_run(now: Choices) -> Run:
    """A run of these choices, to be compared with another."""
    return Run(
        name="", request_key="", dataset_id=now.dataset_id, provider=now.provider, base_model=now.base_model,
        method=now.method, team_id="", plan=now.to_json(),
    )  # fmt: skip
