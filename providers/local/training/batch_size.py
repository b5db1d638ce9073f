"""How many examples are learnt from at once, where that is left to the machine."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

from providers.local import hardware, memory
from providers.local.training.knobs import Knobs
from providers.local.training.methods.base import Learnable

USUAL, MOST = 4, 16
_LEAST_STEPS = 8
"""A dataset is read in so many steps at least: larger batches learn too little from a small one."""


def chosen(knobs: Knobs, base: Path, train: Learnable) -> Knobs:
    """The knobs with a batch size: as large as the memory holds, and the dataset bears."""
    if knobs.batch_size:
        return knobs
    model, here = memory.shape_of(base), hardware.look()
    if model is None:
        return replace(knobs, batch_size=USUAL)
    examples = len(next(iter(train.columns.values())))
    rows = memory.most_rows(
        model,
        asdict(knobs),
        available=here.room,
        most=max(1, min(MOST, examples // _LEAST_STEPS)),
        tokens=train.longest,
        learnt=_learnt(train),
        bits=32 if knobs.precision == "fp32" else here.bits,
        gpu=bool(here.gpus),
    )
    return replace(knobs, batch_size=max(1, rows))


def _learnt(train: Learnable) -> float:
    """The share of tokens that are learnt."""
    labels: Iterable[list[int]] = train.columns.get("labels", ())
    flat = [label >= 0 for row in labels for label in row]
    return sum(flat) / len(flat) if flat else 1.0
