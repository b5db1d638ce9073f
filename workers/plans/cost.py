"""What a plan will take, before it starts: steps, billed tokens, time, money."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from sqlmodel import Session, col, select

from providers import prices
from providers.base import AUTO
from providers.capabilities import CAPABILITIES, HOSTING_CAPACITY
from providers.prices import Price
from workers.dataprep import split, tokens
from workers.plans import billing, methods
from workers.plans.billing import Count, Offer, best_fit, by_provider
from workers.plans.choices import FOLDS, Choices, sizes
from workers.run_status import RunStatus
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
    epochs_by_vendor: bool = False
    """Whether the vendor chooses the epochs: these are what it is expected to choose."""
    hosting_dollars: float | None = 0.0
    """Of hosting the tuned model for the evaluation and the lease after it; None where it is not known."""
    hosting_words: str = ""
    not_hosted: bool = False
    """Whether the tuned model cannot be hosted, with the credentials as they are: nothing is compared or chatted."""
    answers: int = 0
    """What base and tuned model are asked in the evaluation, together."""
    answers_dollars: float | None = 0.0
    total: float | None = None
    """Training, hosting and evaluation; None where one of them is not known."""
    price_source: str = ""
    price_url: str = ""

    @property
    def line(self) -> str:
        """One line for people: epochs x tokens, time, price."""
        time = f" · about {duration(self.seconds)} on this machine" if self.seconds else ""
        steps = f" · {self.steps} steps" if self.steps else ""
        return f"{self._billed}{steps}{time} · {self.price}"

    @property
    def training(self) -> str:
        """The part of the cost that is training's: epochs x tokens, and what they cost."""
        if self.dollars is not None:
            return f"{self._billed}: {billing.dollars(self.dollars)}"
        return f"{self._billed}: {self.price}"

    @property
    def _billed(self) -> str:
        about = "about " if self.epochs_by_vendor else ""
        runs = f" × {self.short_runs + 1} runs on two thirds or all of it" if self.short_runs else ""
        return f"{about}{self.epochs} epochs × {self.tokens_per_epoch:,} tokens{runs} ≈ {self.billed_tokens:,} tokens"

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
    batch = at_once(choices)
    learnt = methods.learnt(dataset, choices.method, examples)
    own = per_epoch * epochs
    short_runs = FOLDS if choices.cross_checked and share == 1.0 else 0
    billed = own * FOLDS if short_runs else own  # each of the short runs learns from all parts but one
    price = prices.price_of(choices.provider, choices.base_model, tier_of(choices))
    held = dataset.examples if short_runs else _tested_on(session, settings, choices, parts.test)
    training = price.training(billed) if price else None
    not_hosted = not _can_host(session, dataset.team_id, choices.provider)
    lease, compared = settings.hosting_hours, short_runs + 1 if held else 0
    if choices.cross_checked and not short_runs:  # a short run's model is hosted for its comparison only
        lease, compared = 0.0, 1
    hosting, hosting_per_hour, hosting_words = (0.0, 0.0, "") if not_hosted else _hosting(choices, lease, compared)
    answered = session.get_one(Dataset, choices.test_dataset_id or choices.dataset_id)
    answers = 0 if not_hosted else 2 * held
    answering = _answering(price, answered, answers)
    known = [one for one in (training, hosting, answering) if one is not None]
    return Estimate(
        examples=examples,
        held_out=held,
        epochs=epochs,
        steps=epochs * math.ceil(learnt / batch) if batch and not _joined(choices) else 0,
        tokens_per_epoch=per_epoch,
        billed_tokens=billed,
        seconds=_seconds(session, choices, billed),
        price=billing.price_words(price, billed),
        validated=_watched(session, choices, parts.validation),
        short_runs=short_runs,
        dollars=training,
        hosting_per_hour=hosting_per_hour,
        exact_tokens=bill.exact,
        counted_with=billing.counted_with(report).rsplit("/", 1)[-1],
        epochs_by_vendor=choices.knob("epochs") in {None, AUTO},
        hosting_dollars=hosting,
        hosting_words=hosting_words,
        not_hosted=not_hosted,
        answers=answers,
        answers_dollars=answering,
        total=sum(known) if len(known) == 3 else None,
        price_source=price.words if price else "",
        price_url=price.url if price else "",
    )


def at_once(choices: Choices) -> float | None:
    """How many examples a step has; None where that is chosen elsewhere."""
    batch = choices.number("batch_size")
    return batch * (choices.number("gradient_accumulation") or 1) if batch else None


def _joined(choices: Choices) -> bool:
    """Whether a step is of examples that are joined first: how many steps there are is known when it has begun."""
    if choices.knob("packing") == "packed":
        return True
    return choices.provider in CAPABILITIES and choices.method in CAPABILITIES[choices.provider].joins_examples


def tier_of(choices: Choices) -> str:
    """The vendor's way of training that was chosen, as prices name it; empty for the usual one."""
    chosen = choices.options.get("training_tier")
    return prices.tier_named(choices.provider, chosen) or str(chosen or "")


def _can_host(session: Session, team_id: str, provider: str) -> bool:
    from workers.hosting.possible import can_host  # a part of what needs runs, and so this module

    return can_host(session, team_id, provider)


def _hosting(choices: Choices, lease: float, compared: int) -> tuple[float | None, float | None, str]:
    """What hosting costs: dollars, those of an hour, and words; nothing where tuned models answer by themselves.

    `lease` is in hours, `compared` how many runs are hosted while models are compared.
    """
    from workers.hosting import hosting_estimate  # which needs runs, and so this module

    tier = tier_of(choices)
    planned = hosting_estimate(
        choices.provider,
        choices.base_model,
        lease,
        training_tier=tier,
        compared=compared,
        capacity=choices.options.get(HOSTING_CAPACITY.name),
    )
    if planned is None:
        return 0.0, 0.0, ""
    return planned.dollars, planned.dollars_per_hour, planned.words


def _answering(price: Price | None, dataset: Dataset, answers: int) -> float | None:
    """What the evaluation's answers cost, if they are as long as the dataset's; None where that is not known."""
    if not answers:
        return 0.0
    counted = dataset.report.get("tokens") or {}
    total, written = int(counted.get("total") or 0), int((counted.get("assistant") or {}).get("total") or 0)
    free = price is not None and price.input_per_million == 0.0 == price.output_per_million
    if price is None or (not written and not free):
        return None
    share = answers / max(1, dataset.examples)
    return price.answering(round((total - written) * share), round(written * share))


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
