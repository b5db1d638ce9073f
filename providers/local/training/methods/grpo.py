"""Group relative policy optimisation: the model tries several answers a prompt, and learns from the better ones.

Better is what comes closer to the dataset's reference (`rewards`). A line has the prompt, and the reference in a field
of its own; a conversation that ends with an answer has it there:

    {"messages": [{"role": "user", "content": …}], "answer": …}
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trl.trainer import grpo_trainer
from trl.trainer.grpo_config import GRPOConfig

from providers.errors import InvalidRequest, TrainingFailed
from providers.local.training.methods.base import Kit, Learnable, Reading
from providers.local.training.methods.conversations import Messages, in_words, messages_of, records, render
from providers.local.training.methods.rewards import Reward
from providers.scoring import reference as field

NEVER_RIGHT = (
    "Nothing was learnt: all answers that the model tried were worth the same, so none could be strengthened. It must "
    "be right now and then. Teach it by examples first (SFT), raise the temperature or the answers a prompt, or allow "
    "longer answers."
)
ALL_RIGHT = "Nothing was learnt: the base model answers all of this rightly already."
_NO_FIELDS = frozenset({"messages", "tools", "functions", "parallel_tool_calls"})
_Trainer: Any = grpo_trainer.GRPOTrainer


def read(path: Path, reading: Reading) -> Learnable:
    """The prompts of a file as the model reads them, with their references. Raises InvalidRequest."""
    knobs = reading.knobs
    prompts: list[str] = []
    references: list[str] = []
    long: list[int] = []
    longest = 0
    for number, record in records(path):
        prompt, reference = _sides(number, messages_of(number, record.get("messages")), record)
        text = render(number, reading.tokenizer, prompt, ask=True)
        tokens = len(reading.tokenizer(text, add_special_tokens=False)["input_ids"])
        if tokens + knobs.max_new_tokens > knobs.max_length:
            long.append(number)
        longest = max(longest, tokens + knobs.max_new_tokens)
        prompts.append(text)
        references.append(reference)
    if not prompts:
        raise InvalidRequest("The training file has no prompts.")
    if long:
        raise InvalidRequest(
            f"There is no room for an answer of {knobs.max_new_tokens} tokens within {knobs.max_length} in "
            f"{in_words(long)}. Shorten or remove these, raise the maximum length, or lower the longest answer."
        )
    return Learnable({"prompt": prompts, "reference": references}, longest)


def _sides(number: int, messages: Messages, record: Mapping[str, Any]) -> tuple[Messages, str]:
    """What is asked, and what a good answer says."""
    told = [{**one, "content": one.get("content") or ""} for one in messages]
    if told[-1]["role"] == "assistant":
        prompt, reference = told[:-1], str(told[-1]["content"])
    else:
        fields = {name: value for name, value in record.items() if name not in _NO_FIELDS and value is not None}
        if not field.field_of(fields):
            found = f"has several: {', '.join(map(str, fields))}" if fields else "has none"
            raise InvalidRequest(
                f"A reference says what a good answer is; line {number} {found}. Call it “{field.NAMES[0]}”."[:300]
            )
        prompt, reference = told, field.of(fields)
    if not prompt or not reference.strip():
        raise InvalidRequest(f"Line {number} of the training file lacks a prompt, or the reference of a good answer.")
    roles = {"developer": "system"}
    return [{**one, "role": roles.get(one["role"], one["role"])} for one in prompt], reference


class RewardTrainer(_Trainer):  # type: ignore[misc]
    """TRL's trainer for prompts that are written already. `count` is told how many tokens each batch has."""

    def __init__(self, *args: Any, kit: Kit, **kwargs: Any) -> None:
        self._count = kit.count
        self._told_apart = False
        self._highest = 0.0
        super().__init__(*args, **kwargs)

    def train(self, resume_from_checkpoint: str | None = None, **kwargs: Any) -> Any:
        """TRL's. Raises TrainingFailed if all tries of each prompt were worth the same from first to last."""
        result = super().train(resume_from_checkpoint=resume_from_checkpoint, **kwargs)
        over = self.state.global_step >= self.state.max_steps
        if over and not self._told_apart and resume_from_checkpoint is None:
            raise TrainingFailed(ALL_RIGHT if self._highest == 1.0 else NEVER_RIGHT)
        return result

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """TRL's; notes whether there was anything to learn from."""
        super().log(logs, *args, **kwargs)
        self._told_apart = self._told_apart or float(logs.get("reward_std") or 0.0) > 0.0
        self._highest = max(self._highest, float(logs.get("reward") or 0.0))

    def _tokenize_prompts(self, prompts: list[str]) -> tuple[Any, None, dict[str, Any]]:
        return self.processing_class(prompts, add_special_tokens=False)["input_ids"], None, {}

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """TRL's, counted."""
        if model.training:
            self._count(int(inputs["prompt_mask"].sum() + inputs["completion_mask"].sum()))
        return super().compute_loss(model, inputs, *args, **kwargs)


def trainer(kit: Kit) -> Any:
    """TRL's trainer with the dataset's reward; a step has as many prompts as other methods have examples.

    Without a reference model: TRL's default, as rewards that are computed need no leash (arXiv:2503.20783).
    """
    knobs = kit.knobs
    reward = Reward.of(list(kit.train["reference"]))
    prompts = min(int(kit.arguments["per_device_train_batch_size"]), len(kit.train))
    batches = min(int(kit.arguments.get("gradient_accumulation_steps") or 1), len(kit.train) // prompts)

    def rewards(completions: list[str], reference: list[str], **_: Any) -> list[float]:
        return [reward(answer, wanted) for answer, wanted in zip(completions, reference, strict=True)]

    arguments = GRPOConfig(
        **{
            **kit.arguments,
            "per_device_train_batch_size": prompts * knobs.generations,
            "gradient_accumulation_steps": batches,
        },
        num_generations=knobs.generations,
        num_generations_eval=1,
        max_completion_length=knobs.max_new_tokens,
        temperature=knobs.temperature,
    )
    return RewardTrainer(
        model=kit.model,
        reward_funcs=rewards,
        args=arguments,
        train_dataset=kit.train,
        eval_dataset=kit.validation,
        processing_class=kit.tokenizer,
        peft_config=kit.adapter,
        callbacks=list(kit.callbacks),
        kit=kit,
    )
