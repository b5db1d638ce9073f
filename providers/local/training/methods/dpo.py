"""Direct preference optimisation: the model learns to prefer the wanted answer of each pair, staying close to its base.

The reference is the model itself without its adapter; where all weights are trained, the base's judgement of every
pair is computed beforehand. So there is never a second copy of the model in memory.
"""

from collections.abc import Sequence
from typing import Any

from trl.trainer import dpo_trainer
from trl.trainer.dpo_config import DPOConfig

from providers.local.training.methods import likelihoods
from providers.local.training.methods.base import Kit, Learnable
from providers.local.training.methods.pairs import read
from providers.local.training.methods.tokenised import Tokenised

__all__ = ["PairTrainer", "pair_trainer", "read", "scores", "trainer"]

_Trainer: Any = dpo_trainer.DPOTrainer


class PairTrainer(Tokenised, _Trainer):  # type: ignore[misc]
    """TRL's trainer for pairs that are tokenised already."""


def trainer(kit: Kit) -> Any:
    """TRL's trainer, with the loss that was chosen."""
    return pair_trainer(kit, PairTrainer, loss_type=[kit.knobs.loss_type])


def pair_trainer(kit: Kit, kind: Any, **settings: Any) -> Any:
    """A trainer of this kind for pairs."""
    arguments = DPOConfig(
        **kit.arguments,
        beta=kit.knobs.beta,
        max_length=None,  # the pairs are cut already
        precompute_ref_log_probs=kit.adapter is None,
        **settings,
    )
    return kind(
        model=kit.model,
        args=arguments,
        train_dataset=kit.train,
        eval_dataset=kit.validation,
        processing_class=kit.tokenizer,
        peft_config=kit.adapter,
        callbacks=list(kit.callbacks),
        kit=kit,
    )


def scores(trained: Any, pairs: Learnable) -> Sequence[float]:
    """How the model as it is now judges pairs: for each 1 where it prefers the wanted answer, else 0."""
    return likelihoods.pair_scores(trained, pairs.columns)
