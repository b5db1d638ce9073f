"""How likely a model holds answers that it has not learnt from: before a training, and after it.

A model prefers the answer whose tokens are likelier on the mean, so that a long answer is not worse for its length.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch


def pair_scores(trainer: Any, columns: Mapping[str, Sequence[Any]]) -> list[float]:
    """For each pair: 1 where the wanted answer is the likelier one, 0.5 where both are as likely, else 0."""
    prompts = columns["prompt_ids"]
    wanted = mean_log_probabilities(trainer, prompts, columns["chosen_ids"])
    unwanted = mean_log_probabilities(trainer, prompts, columns["rejected_ids"])
    return [_won(one, other) for one, other in zip(wanted, unwanted, strict=True)]


def label_scores(trainer: Any, columns: Mapping[str, Sequence[Any]]) -> list[float]:
    """For each answer: the share of the answers with the other label that it is rightly likelier, or less likely, than.

    Empty where all have the same label: then there is nothing to tell apart.
    """
    likely = mean_log_probabilities(trainer, columns["prompt_ids"], columns["completion_ids"])
    labels = columns["label"]
    wanted = [one for one, label in zip(likely, labels, strict=True) if label]
    unwanted = [one for one, label in zip(likely, labels, strict=True) if not label]
    if not wanted or not unwanted:
        return []
    scores = []
    for one, label in zip(likely, labels, strict=True):
        rivals = unwanted if label else wanted
        won = sum(_won(one, other) if label else _won(other, one) for other in rivals)
        scores.append(won / len(rivals))
    return scores


def mean_log_probabilities(
    trainer: Any, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]
) -> list[float]:
    """The mean logarithm of an answer's tokens' probabilities, for each prompt with its answer."""
    model = trainer.model
    trains = model.training
    model.eval()
    try:
        with torch.no_grad(), trainer.accelerator.autocast():
            return [
                _mean_log_probability(model, prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)
            ]
    finally:
        model.train(trains)


def _mean_log_probability(model: Any, prompt: Sequence[int], answer: Sequence[int]) -> float:
    device = model.get_input_embeddings().weight.device
    tokens = torch.tensor([[*prompt, *answer]], device=device)
    asked = min(len(answer), tokens.shape[1] - 1)
    logits = model(input_ids=tokens, use_cache=False, logits_to_keep=asked + 1).logits[0, -asked - 1 : -1]
    said = torch.log_softmax(logits.float(), dim=-1).gather(1, tokens[0, -asked:, None])
    return float(said.mean())


def _won(one: float, other: float) -> float:
    return 1.0 if one > other else 0.5 if one == other else 0.0
