"""Kahneman-Tversky optimisation: the model learns from single answers that are labelled as wanted or unwanted.

    {"prompt": …, "completion": …, "label": true}     text, or messages

How far it may go is measured against answers to other prompts of the same batch, so a batch has two examples at least,
and the order is one that is shuffled once, by the run's seed.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trl.trainer import kto_trainer
from trl.trainer.kto_config import KTOConfig

from providers.errors import InvalidRequest
from providers.local.training.knobs import Knobs
from providers.local.training.methods import likelihoods
from providers.local.training.methods.base import Kit, Learnable, Reading
from providers.local.training.methods.conversations import answered, check_ends, check_left, messages_of, records
from providers.local.training.methods.tokenised import Tokenised

_LEAST_BATCH = 2
_BALANCED = 4 / 3
"""What the paper's equation 8 allows the weighted numbers of wanted and unwanted answers to differ by."""
_Trainer: Any = kto_trainer.KTOTrainer


def read(path: Path, reading: Reading) -> Learnable:
    """The labelled answers of a file, tokenised and cut at the maximum length. Raises InvalidRequest."""
    most = reading.knobs.max_length
    prompts: list[list[int]] = []
    answers: list[list[int]] = []
    labels: list[bool] = []
    endless: list[int] = []
    empty: list[int] = []
    shortened = 0
    for number, record in records(path):
        label = record.get("label")
        if not isinstance(label, bool):
            raise InvalidRequest(f"Line {number} of the training file has no label that is true or false.")
        if not record.get("prompt"):
            empty.append(number)
            continue
        prompt = messages_of(number, record["prompt"], "user")
        answer = messages_of(number, record.get("completion"), "assistant")
        one = answered(number, prompt, answer, reading.tokenizer, reading.ends)
        if one.answer[-1] not in reading.ends:
            endless.append(number)
        room = most - len(one.prompt)
        if room < 1:
            empty.append(number)
            continue
        shortened += len(one.answer) > room
        prompts.append(one.prompt)
        answers.append(one.answer[:room])
        labels.append(label)
    check_ends(endless)
    check_left(empty, most)
    if not labels:
        raise InvalidRequest("The training file has no labelled answers.")
    longest = max(len(prompt) + len(answer) for prompt, answer in zip(prompts, answers, strict=True))
    columns: dict[str, Sequence[Any]] = {"prompt_ids": prompts, "completion_ids": answers, "label": labels}
    cut = [f"{shortened} answers are longer than {most} tokens with their prompt and were cut there."]
    return Learnable(columns, longest, [*(cut if shortened else []), *_balance(labels, reading.knobs)])


def _balance(labels: Sequence[bool], knobs: Knobs) -> list[str]:
    """That one kind of answers outweighs the other, and which weight would mend it."""
    good, bad = sum(labels), len(labels) - sum(labels)
    if not good or not bad:
        only = "wanted" if good else "unwanted"
        return [
            f"All {len(labels)} answers are {only}: there is nothing to tell them from. Add some of the other kind."
        ]
    weights = knobs.desirable_weight * good, knobs.undesirable_weight * bad
    if max(weights) <= min(weights) * _BALANCED:
        return []
    lacking, weight = ("good", bad / good) if weights[0] < weights[1] else ("bad", good / bad)
    words = f"{good} answers are wanted and {bad} unwanted. The fewer ones have little say:"
    return [f"{words} set the weight of {lacking} to {weight:.2g} to even it out."]


class LabelTrainer(Tokenised, _Trainer):  # type: ignore[misc]
    """TRL's trainer for answers that are tokenised already."""


def trainer(kit: Kit) -> Any:
    """TRL's trainer; reference without a second model as for DPO. Raises InvalidRequest for a batch of one."""
    size = int(kit.arguments["per_device_train_batch_size"])
    if size < _LEAST_BATCH:
        raise InvalidRequest(
            "KTO measures each answer against the others of its batch, so a batch of one teaches nothing. "
            f"Set the examples a step to {_LEAST_BATCH} or more."
        )
    arguments = KTOConfig(
        **{**kit.arguments, "train_sampling_strategy": "sequential"},
        beta=kit.knobs.beta,
        desirable_weight=kit.knobs.desirable_weight,
        undesirable_weight=kit.knobs.undesirable_weight,
        max_length=None,  # the answers are cut already
        precompute_ref_log_probs=kit.adapter is None,
    )
    return LabelTrainer(
        model=kit.model,
        args=arguments,
        train_dataset=_with_others(kit.train.shuffle(seed=kit.request.seed), size),
        eval_dataset=_with_others(kit.validation, size) if kit.validation is not None else None,
        processing_class=kit.tokenizer,
        peft_config=kit.adapter,
        callbacks=list(kit.callbacks),
        kit=kit,
    )


def _with_others(dataset: Any, size: int) -> Any:
    """Each prompt also with the answer to the batch's prompt before: what no answer to it should be like."""
    answers = dataset["completion_ids"]
    others: list[list[int]] = []
    for start in range(0, len(answers), size):
        batch = list(answers[start : start + size])
        others += [batch[-1], *batch[:-1]]
    return dataset.add_column("KL_completion_ids", others)


def scores(trained: Any, answers: Learnable) -> Sequence[float]:
    """How well the model as it is now tells wanted from unwanted answers, for each answer from 0 to 1."""
    return likelihoods.label_scores(trained, answers.columns)
