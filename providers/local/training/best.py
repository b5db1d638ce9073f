"""The model with the lowest validation loss (or the highest reward): kept while it trains, and taken in the end.

It travels with every checkpoint, so a training that goes on elsewhere still knows it.
"""

import json
import math
import shutil
import time
from pathlib import Path
from typing import Any

import transformers
from transformers import IntervalStrategy, TrainerControl, TrainerState, TrainingArguments

from providers.base import ProviderEvent
from providers.local.training.run_folder import RunFolder

_Callback: Any = transformers.TrainerCallback
WEIGHTS, NOTES = "best.safetensors", "best.json"


class Best(_Callback):  # type: ignore[misc]
    """Remembers the best step, and ends the training after `patience` looks (0: never) without a better one."""

    def __init__(self, folder: RunFolder, patience: int, resume_from: Path | None) -> None:
        self._folder = folder
        self._patience = patience
        self._by_reward = False
        self._loss, self._step, self._waited = math.inf, 0, 0
        if resume_from is not None and (resume_from / NOTES).is_file():
            _copy(resume_from, folder.path)
            known = json.loads((folder.path / NOTES).read_text())
            self._loss, self._step, self._waited = known["loss"], known["step"], known["waited"]
            self._by_reward = known["by_reward"]

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Look at an epoch's end, before the checkpoint of the same step is written: it must know of the look."""
        if args.eval_strategy == IntervalStrategy.EPOCH:
            at_its_end = state.epoch is not None and float(state.epoch).is_integer()
            control.should_evaluate = at_its_end or state.global_step >= state.max_steps

    def on_epoch_end(self, _args: Any, _state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """It was looked at the epoch's last step; a pause in the middle of one is no end."""
        control.should_evaluate = False

    def on_evaluate(
        self,
        _args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, Any] | None = None,
        model: Any = None,
        **_: Any,
    ) -> None:
        """Look at a validation loss."""
        figures = metrics or {}
        self._by_reward = "eval_reward" in figures  # GRPO's loss says nothing by itself
        loss = -float(figures["eval_reward"]) if self._by_reward else float(figures.get("eval_loss", math.nan))
        if loss < self._loss:
            self._loss, self._step, self._waited = loss, state.global_step, 0
            self._keep(model)
        else:
            self._waited += 1
        self._note()
        if self._patience and self._waited >= self._patience and state.global_step < state.max_steps:
            control.should_training_stop = True
            self._tell(
                f"Stopped early at step {state.global_step}: the validation has not become better for {self._waited} "
                "looks."
            )

    def on_save(self, _args: TrainingArguments, state: TrainerState, _control: TrainerControl, **_: Any) -> None:
        """Let the checkpoint have it too, before it is called complete."""
        _copy(self._folder.path, self._folder.checkpoints_folder / f"checkpoint-{state.global_step}")

    def take(self, model: Any, step: int) -> None:
        """Give the model its best weights back, if it has gone on after them."""
        if not self._step or self._step == step:
            return
        from safetensors.torch import load_file

        kept = load_file(self._folder.path / WEIGHTS)
        for name, parameter in model.named_parameters():
            if name in kept:
                parameter.data.copy_(kept[name])
        told = f"its reward, {-self._loss:.3f}, was the highest" if self._by_reward else _lowest(self._loss)
        self._tell(f"The model of step {self._step} is taken: {told}.")

    def _keep(self, model: Any) -> None:
        from safetensors.torch import save_file

        trained = {name: one.detach().cpu().contiguous() for name, one in model.named_parameters() if one.requires_grad}
        partial = self._folder.path / f"{WEIGHTS}.partial"
        save_file(trained, partial)
        partial.replace(self._folder.path / WEIGHTS)

    def _note(self) -> None:
        known = {"loss": self._loss, "step": self._step, "waited": self._waited, "by_reward": self._by_reward}
        (self._folder.path / NOTES).write_text(json.dumps(known))

    def _tell(self, words: str) -> None:
        self._folder.append(ProviderEvent(f"best-{self._step}-{self._waited}", time.time(), "info", words))


def _copy(source: Path, target: Path) -> None:
    """There are notes without weights where no look has been a number yet."""
    for name in (WEIGHTS, NOTES):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def _lowest(loss: float) -> str:
    return f"its validation loss, {loss:.3f}, was the lowest"
