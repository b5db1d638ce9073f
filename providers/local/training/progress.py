"""What the trainer tells while it trains, and how it hears that it should stop."""

import math
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import psutil
import torch
import transformers
from transformers import TrainerControl, TrainerState, TrainingArguments

from providers.base import FIGURES, MetricPoint
from providers.errors import TrainingFailed
from providers.local.threads import FairThreads
from providers.local.training.control import Control
from providers.local.training.run_folder import COMPLETE, Reporter, RunFolder

_Callback: Any = transformers.TrainerCallback
_OWN = {
    "rewards/accuracies": "preference_accuracy",
    "rewards/margins": "reward_margin",
    "reward": "reward",
    "reward_std": "reward_spread",
    "completions/mean_length": "answer_tokens",
    "completions/clipped_ratio": "cut_answers",
}
"""A method's own figures: TRL's name of each, and ours (`providers.base.FIGURES`)."""


def _own_time(method: Callable[..., None]) -> Callable[..., None]:
    """Count what a callback of ours takes."""

    @wraps(method)
    def timed(self: "Progress", *args: Any, **more: Any) -> None:
        began = time.monotonic()
        method(self, *args, **more)
        self.bookkeeping += time.monotonic() - began

    return timed


class Progress(_Callback):  # type: ignore[misc]
    """A line of figures after each step; a mark in each complete checkpoint; a checkpoint before a pause."""

    def __init__(self, folder: RunFolder, reporter: Reporter, control: Control) -> None:
        self._folder = folder
        self._reporter = reporter
        self._control = control
        self._process = psutil.Process()
        self._threads = FairThreads()
        self._first_step = 0
        self._warm_at: float | None = None
        self._logged_at = 0.0
        self._tokens = 0
        self._logged_tokens = 0
        self.paused = False
        self.bookkeeping = 0.0
        self._steps: list[float] = []
        self._step_began = 0.0

    def count(self, tokens: int) -> None:
        """So many tokens have been read in a batch."""
        self._tokens += tokens

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_: Any) -> None:
        """Note where it begins: at a checkpoint's step, if it goes on from one."""
        self._logged_at = time.monotonic()
        self._reporter.say(step=state.global_step, total_steps=state.max_steps, total_epochs=args.num_train_epochs)

    @_own_time
    def on_step_begin(self, _args: TrainingArguments, _state: TrainerState, _control: TrainerControl, **_: Any) -> None:
        """Leave cores to others that want them."""
        self._step_began = time.monotonic()
        self._threads.adjust()

    @_own_time
    def on_step_end(self, _args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Stop with a checkpoint if a pause is wanted and there is anything left to do."""
        self._steps.append(time.monotonic() - self._step_began)
        if self._control.pause_wanted.is_set() and state.global_step < state.max_steps:
            control.should_save = True
            control.should_training_stop = True
            self.paused = True

    def on_train_end(self, *_args: Any, **_: Any) -> None:
        """Keep how long each step took, and all callbacks of ours together, in seconds."""
        self._folder.write_timing(self._steps, self.bookkeeping)

    @_own_time
    def on_save(self, _args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_: Any) -> None:
        """The checkpoint is complete: say so in it."""
        (self._folder.checkpoints_folder / f"checkpoint-{state.global_step}" / COMPLETE).touch()

    @_own_time
    def on_log(
        self,
        _args: TrainingArguments,
        state: TrainerState,
        _control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Tell the figures of a step, or of a validation. Raises TrainingFailed if the loss is no number."""
        figures = logs or {}
        if "eval_loss" in figures:
            point = MetricPoint(
                state.global_step,
                epoch=state.epoch,
                validation_loss=_finite(figures["eval_loss"]),
                figures=_own(figures, "eval_", "validation_"),
            )
            self._folder.append(point)
        if "loss" in figures:
            self._step(state, figures)

    def _step(self, state: TrainerState, figures: dict[str, Any]) -> None:
        now = time.monotonic()
        new_tokens, seconds = self._tokens - self._logged_tokens, now - self._logged_at
        self._logged_tokens, self._logged_at = self._tokens, now
        loss = float(figures["loss"])
        if not math.isfinite(loss):
            raise TrainingFailed(
                f"The training became unstable at step {state.global_step}: its loss is no longer a number. "
                "Start again with a learning rate ten times lower."
            )
        point = MetricPoint(
            step=state.global_step,
            epoch=state.epoch,
            loss=loss,
            learning_rate=figures.get("learning_rate"),
            tokens_per_second=new_tokens / seconds if seconds > 0 else None,
            memory_bytes=self._memory(),
            figures=_own(figures),
        )
        self._folder.append(point)
        self._reporter.say(step=state.global_step, trained_tokens=self._tokens, eta_seconds=self._left(state, now))

    def _left(self, state: TrainerState, now: float) -> float | None:
        """Seconds until the last step; None until a second step has shown the pace: the first one warms up."""
        if self._warm_at is None:
            self._warm_at, self._first_step = now, state.global_step
            return None
        pace = (now - self._warm_at) / max(1, state.global_step - self._first_step)
        return pace * (state.max_steps - state.global_step)

    def _memory(self) -> int:
        if torch.cuda.is_available():
            return int(torch.cuda.max_memory_allocated())
        return int(self._process.memory_info().rss)


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _own(figures: dict[str, Any], theirs: str = "", ours: str = "") -> dict[str, float]:
    """The method's own figures that have a name here."""
    named = {f"{ours}{name}": figures.get(f"{theirs}{key}") for key, name in _OWN.items()}
    return {name: float(value) for name, value in named.items() if value is not None and name in FIGURES}
