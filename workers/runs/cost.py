"""What a plan will take, before it starts: steps, billed tokens, time, money."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from sqlmodel import Session, col, select

from providers import prices
from workers.dataprep import split, tokens
from workers.run_status import RunStatus
from workers.runs import billing
from workers.runs.billing import Count, Offer, best_fit, by_provider
from workers.runs.choices import FOLDS, Choices, sizes
from workers.settings import Settings
from workers.tables import Dataset, Run

__all__ = ["Estimate", "Offer", "best_fit", "by_provider", "duration", "estimate", "held_out", "training_examples"]

OVERHEAD_SECONDS = 20.0
"""Starting the trainer, loading the model and starting the evaluation, on a small machine."""


@dataclass(frozen=True)
class Estimate:
    """Figures of a plan. `seconds` is None until this installation has trained that model once."""

    examples: int
    held_out: int
    epochs: int
    steps: int  # 0 where the vendor chooses how many examples a step has
    tokens_per_epoch: int
    billed_tokens: int
    seconds: float | None
    price: str
    validated: int = 0
    """How many examples are watched while training."""
    short_runs: int = 0
    """Of a cross-checked plan: runs besides the one whose model is kept; their tokens and time are counted in."""
    dollars: float | None = None
    hosting_per_hour: float | None = None
    exact_tokens: bool = True
    """Whether the tokens were counted as the chosen model counts them."""
    counted_with: str = ""
    """The tokenizer that they were counted with."""

    @property
    def line(self) -> str:
        """One line for people: epochs x tokens, time, price."""
        time = f" · about {duration(self.seconds)} on this machine" if self.seconds else ""
        runs = f" × {self.short_runs + 1} runs on two thirds or all of it" if self.short_runs else ""
        steps = f" · {self.steps} steps" if self.steps else ""
        return (
            f"{self.epochs} epochs × {self.tokens_per_epoch:,} tokens{runs} ≈ {self.billed_tokens:,} tokens"
            f"{steps}{time} · {self.price}"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, for the run's `cost` column."""
        return asdict(self)


def estimate(
    session: Session, settings: Settings, choices: Choices, *, share: float = 1.0, counted: Count | None = None
) -> Estimate:
    """Figures for these choices; raises sqlalchemy's NoResultFound for an unknown dataset.

    `share` is the part of the dataset that a short run of a cross-check learns from; `counted` are the dataset's
    tokens where the report's own are not to be taken.
    """
    dataset = session.get_one(Dataset, choices.dataset_id)
    parts = sizes(dataset.examples, choices, settings.held_out_examples)
    examples = round(parts.train * share)
    report = billing.recounted(dataset.report, counted)
    bill = billing.bill(report, choices.provider, choices.base_model)
    per_epoch = round(bill.tokens * examples / max(1, dataset.examples))
    epochs = round(choices.number("epochs") or 0) or tokens.default_epochs(examples)
    batch = choices.number("batch_size")
    own = per_epoch * epochs
    short_runs = FOLDS if choices.cross_checked and share == 1.0 else 0
    billed = own * FOLDS if short_runs else own  # each of the short runs learns from all parts but one
    price = prices.price_of(choices.provider, choices.base_model)
    return Estimate(
        examples=examples,
        held_out=dataset.examples if short_runs else _tested_on(session, settings, choices, parts.test),
        epochs=epochs,
        steps=epochs * math.ceil(examples / batch) if batch else 0,
        tokens_per_epoch=per_epoch,
        billed_tokens=billed,
        seconds=_seconds(session, choices, billed),
        price=billing.price_words(price, billed),
        validated=_watched(session, choices, parts.validation),
        short_runs=short_runs,
        dollars=price.training(billed) if price else None,
        hosting_per_hour=price.hosting_per_hour if price else None,
        exact_tokens=bill.exact,
        counted_with=billing.counted_with(report).rsplit("/", 1)[-1],
    )


def training_examples(dataset: Dataset, choices: Choices, settings: Settings) -> int:
    """How many examples are learnt from: all of them, unless some must be held out."""
    return sizes(dataset.examples, choices, settings.held_out_examples).train


def _tested_on(session: Session, settings: Settings, choices: Choices, held: int) -> int:
    """How many examples the result is tested on."""
    if choices.test_dataset_id is None:
        return held
    return min(session.get_one(Dataset, choices.test_dataset_id).examples, settings.held_out_examples)


def _watched(session: Session, choices: Choices, held: int) -> int:
    """How many examples are watched while training."""
    if choices.validation_dataset_id is None:
        return held
    return session.get_one(Dataset, choices.validation_dataset_id).examples


def held_out(examples: int, most: int) -> int:
    """How many of a lone dataset's examples are held out: a fifth, 10 at least, none of fewer than 50."""
    return split.test_size(examples, most)


def _seconds(session: Session, choices: Choices, billed: int) -> float | None:
    """From the last finished run of the same base model here; None if there was none."""
    last = session.exec(
        select(Run)
        .where(Run.provider == choices.provider, Run.base_model == choices.base_model, Run.status == RunStatus.READY)
        .order_by(col(Run.id).desc())
        .limit(1)
    ).one_or_none()
    if last is None or not last.started_at or not last.trained_at:
        return None
    own = int(last.cost.get("tokens_per_epoch") or 0) * int(last.cost.get("epochs") or 0)
    trained = own or int(last.cost.get("billed_tokens") or 0)
    return OVERHEAD_SECONDS + billed * (last.trained_at - last.started_at) / trained if trained else None


def duration(seconds: float) -> str:
    """A span in words: "50 s", "2 min 41 s", "3 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
