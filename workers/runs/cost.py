"""What a plan will take, before it starts: steps, billed tokens, time, money."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from sqlmodel import Session, col, select

from workers.run_status import RunStatus
from workers.runs.plan import Choices
from workers.settings import Settings
from workers.tables import Dataset, Run

OVERHEAD_SECONDS = 20.0
"""Starting the trainer, loading the model and starting the evaluation, on a small machine."""


@dataclass(frozen=True)
class Estimate:
    """Figures of a plan. `seconds` is None until this installation has trained that model once."""

    examples: int
    held_out: int
    epochs: int
    steps: int
    tokens_per_epoch: int
    billed_tokens: int
    seconds: float | None
    price: str

    @property
    def line(self) -> str:
        """One line for people: epochs x tokens, time, price."""
        time = f" · about {duration(self.seconds)} on this machine" if self.seconds else ""
        return (
            f"{self.epochs} epochs × {self.tokens_per_epoch:,} tokens ≈ {self.billed_tokens:,} tokens · "
            f"{self.steps} steps{time} · {self.price}"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, for the run's `cost` column."""
        return asdict(self)


def estimate(session: Session, settings: Settings, choices: Choices) -> Estimate:
    """Figures for these choices; raises sqlalchemy's NoResultFound for an unknown dataset."""
    dataset = session.get_one(Dataset, choices.dataset_id)
    examples = training_examples(dataset, choices, settings)
    share = examples / max(1, dataset.examples)
    per_epoch = round(int(dataset.report.get("tokens", {}).get("total") or 0) * share)
    tokens = per_epoch * choices.epochs
    return Estimate(
        examples=examples,
        held_out=_tested_on(session, settings, dataset, choices),
        epochs=choices.epochs,
        steps=choices.epochs * math.ceil(examples / choices.batch_size),
        tokens_per_epoch=per_epoch,
        billed_tokens=tokens,
        seconds=_seconds(session, choices, tokens),
        price="$0 (runs on your own machine)" if choices.provider in {"local", "stub"} else "price unknown",
    )


def training_examples(dataset: Dataset, choices: Choices, settings: Settings) -> int:
    """How many examples are learnt from: all of them, unless some must be held out."""
    if choices.test_dataset_id is not None:
        return dataset.examples
    return dataset.examples - held_out(dataset.examples, settings.held_out_examples)


def _tested_on(session: Session, settings: Settings, dataset: Dataset, choices: Choices) -> int:
    """How many examples the result is tested on."""
    if choices.test_dataset_id is None:
        return held_out(dataset.examples, settings.held_out_examples)
    return min(session.get_one(Dataset, choices.test_dataset_id).examples, settings.held_out_examples)


def held_out(examples: int, most: int) -> int:
    """How many of a lone dataset's examples are held out: a fifth, 10 at least, none of fewer than 50."""
    return 0 if examples < 50 else min(most, max(10, examples // 5))


def _seconds(session: Session, choices: Choices, tokens: int) -> float | None:
    """From the last finished run of the same base model here; None if there was none."""
    last = session.exec(
        select(Run)
        .where(Run.provider == choices.provider, Run.base_model == choices.base_model, Run.status == RunStatus.READY)
        .order_by(col(Run.id).desc())
        .limit(1)
    ).one_or_none()
    if last is None or not last.started_at or not last.trained_at:
        return None
    trained = int(last.cost.get("billed_tokens") or 0)
    return OVERHEAD_SECONDS + tokens * (last.trained_at - last.started_at) / trained if trained else None


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
