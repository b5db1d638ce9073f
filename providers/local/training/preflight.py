"""A few steps on the smallest batch before a long training: what would only show after an hour shows at once.

Weights and chance are put back exactly, so a training with it learns the same as one without.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from providers.errors import InvalidRequest
from providers.local.training.methods.base import Learnable

LONG = 60
"""Trainings of fewer steps are their own test."""
STEPS = 20
_SMALLEST_FALL = 0.999
_RATE, _RATE_OF_ALL = 1e-3, 1e-4
"""Learning rates at which an adapter, and all weights, learn one batch by heart."""
_MOST_TOKENS = 64
_MOST_ROWS = 2
_BY_HEART = 0.1
"""The share of the first loss below which a batch is known by heart."""
_ENDLESS = (
    "In a try of a few steps the model did not end its answer. If the tuned model never stops either, check that the "
    "base model was made for chat."
)


def check(trainer: Any, train: Learnable, ends: frozenset[int], rows: int) -> list[str]:
    """What should be known before the training begins. Raises InvalidRequest for what would waste it."""
    examples = _smallest(train, min(rows, _MOST_ROWS))
    with _as_before(trainer):
        losses = _learn_by_heart(trainer, examples)
        if not all(map(math.isfinite, losses)):
            raise InvalidRequest(
                "A try of a few steps ended with a loss that is no number, so the training would too. Set the "
                "precision to fp32, and start again."
            )
        if losses[0] == 0.0:
            raise InvalidRequest(
                "A try of a few steps had nothing to learn: its loss is zero from the beginning. Check that the "
                "answers of the dataset are not empty."
            )
        if min(losses) > losses[0] * _SMALLEST_FALL:
            raise InvalidRequest(
                f"A try of {len(losses)} steps on the same few examples did not lower the loss "
                f"({losses[0]:.3f} → {losses[-1]:.3f}): the model cannot learn with these settings."
            )
        return [] if _stops(trainer, examples[0], ends) else [_ENDLESS]


def _smallest(train: Learnable, rows: int) -> list[dict[str, Any]]:
    ids = train.columns["input_ids"]
    order = sorted(range(len(ids)), key=lambda one: len(ids[one]))[: max(1, rows)]
    return [{name: list(column[one]) for name, column in train.columns.items()} for one in order]


def _learn_by_heart(trainer: Any, examples: Sequence[dict[str, Any]]) -> list[float]:
    import torch

    model = trainer.model
    model.train()
    rate = _RATE if trainer.is_adapted else _RATE_OF_ALL
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=rate)
    losses = []
    for _ in range(STEPS):
        batch = trainer._prepare_inputs(trainer.data_collator([dict(one) for one in examples]))  # noqa: SLF001
        with trainer.compute_loss_context_manager():
            loss = trainer.compute_loss(model, batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]) or losses[-1] < losses[0] * _BY_HEART:
            break
    return losses


def _stops(trainer: Any, example: dict[str, Any], ends: frozenset[int]) -> bool:
    """Whether the model, which knows the example by heart now, ends its answer."""
    import torch

    labels = example["labels"]
    begin = next((place for place, one in enumerate(labels) if one >= 0), 0)
    length = len(labels) - begin
    if begin == 0 or length > _MOST_TOKENS:
        return True  # nothing is asked in it, or it is long: not worth the time
    model = trainer.model
    model.eval()
    asked = torch.tensor([example["input_ids"][:begin]], device=model.device)
    with torch.no_grad(), trainer.compute_loss_context_manager():
        said = model.generate(
            input_ids=asked,
            attention_mask=torch.ones_like(asked),
            max_new_tokens=2 * length + 8,
            do_sample=False,
            eos_token_id=sorted(ends),
            pad_token_id=min(ends),
        )
    return bool(set(said[0, begin:].tolist()) & ends)


@contextmanager
def _as_before(trainer: Any) -> Iterator[None]:
    import numpy as np
    import torch

    model = trainer.model
    kept = {name: one.detach().to("cpu", copy=True) for name, one in model.named_parameters() if one.requires_grad}
    chance: list[tuple[Callable[[Any], Any], Any]] = [
        (random.setstate, random.getstate()),
        (np.random.set_state, np.random.get_state()),  # noqa: NPY002 -- the one that libraries use
        (torch.set_rng_state, torch.get_rng_state()),
    ]
    if torch.cuda.is_available():
        chance.append((torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all()))
    was_training = model.training
    try:
        yield
    finally:
        for name, one in model.named_parameters():
            if name in kept:
                one.data.copy_(kept[name])
                one.grad = None
        for put_back, state in chance:
            put_back(state)
        model.train(was_training)
