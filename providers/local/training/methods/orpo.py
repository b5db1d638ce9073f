"""Odds ratio preference optimisation: one loss that learns the wanted answers and turns away from the unwanted ones.

It needs no reference (arXiv:2403.07691). TRL's own trainer of it is experimental, computes every position's logits and
tokenises by itself; this is the paper's loss on TRL's trainer of pairs, which computes the answers' tokens only.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from providers.local.training.methods import dpo
from providers.local.training.methods.base import Kit, Learnable
from providers.local.training.methods.pairs import read

__all__ = ["OddsRatioTrainer", "odds_ratio_loss", "read", "scores", "trainer"]

_LEAST = 1e-7
"""A probability is at least so far from 1: the odds of certainty are infinite."""


def odds_ratio_loss(chosen: torch.Tensor, rejected: torch.Tensor) -> torch.Tensor:
    """-log sigmoid of the logarithm of the odds ratio, for answers' mean log-probabilities (equations 4 and 7)."""
    chosen, rejected = chosen.float().clamp(max=-_LEAST), rejected.float().clamp(max=-_LEAST)
    odds = (chosen - rejected) - (_log1mexp(chosen) - _log1mexp(rejected))
    return -functional.logsigmoid(odds)


def _log1mexp(value: torch.Tensor) -> torch.Tensor:
    """log(1 - exp(value)), for values below 0."""
    return torch.log(-torch.expm1(value))


class OddsRatioTrainer(dpo.PairTrainer):
    """Learns wanted answers by their likelihood, and pairs by their odds ratio, weighed with beta."""

    def _precompute_ref_logps(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset  # there is no reference

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:  # noqa: FBT001
        tokens = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, -100)
        outputs = model(**tokens, use_cache=False, labels=labels, fused_lm_head=True)
        mask = inputs["completion_mask"][:, 1:]
        likely = outputs.log_probs[:, -mask.size(1) :].float() * mask
        lengths = mask.sum(dim=1).clamp(min=1)
        chosen, rejected = (likely.sum(dim=1) / lengths).chunk(2)
        learnt = -likely.chunk(2)[0].sum() / lengths.chunk(2)[0].sum()
        loss = learnt + self.beta * odds_ratio_loss(chosen, rejected).mean()
        self._note("train" if self.model.training else "eval", chosen.detach(), rejected.detach())
        return (loss, outputs) if return_outputs else loss

    def _note(self, mode: str, chosen: torch.Tensor, rejected: torch.Tensor) -> None:
        figures = {
            "rewards/accuracies": (chosen > rejected).float(),
            "rewards/margins": self.beta * (chosen - rejected),
            "logps/chosen": chosen,
            "logps/rejected": rejected,
        }
        for name, values in figures.items():
            self._metrics[mode][name].append(self.accelerator.gather_for_metrics(values).mean().item())


def trainer(kit: Kit) -> Any:
    """The paper's loss on TRL's trainer of pairs."""
    return dpo.pair_trainer(kit, OddsRatioTrainer)


def scores(trained: Any, pairs: Learnable) -> Sequence[float]:
    """How the model as it is now judges pairs: for each 1 where it prefers the wanted answer, else 0."""
    return dpo.scores(trained, pairs)
