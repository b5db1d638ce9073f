"""Judging a model by answers that were held out: before its training, and after it."""

import time
from collections.abc import Sequence
from typing import Any

from providers.base import ProviderEvent, TrainingRequest
from providers.errors import InvalidRequest
from providers.local.training import methods
from providers.local.training.methods.base import Learnable, Reading
from providers.local.training.run_folder import RunFolder


class HeldOut:
    """Tells apart wanted and unwanted answers that are not learnt; does nothing where the method has none."""

    def __init__(self, request: TrainingRequest, reading: Reading, folder: RunFolder) -> None:
        self._folder = folder
        self._method = methods.judging(request.method) if request.test_path is not None else None
        self._answers: Learnable | None = None
        self._base: Sequence[float] = ()
        if self._method is not None and request.test_path is not None:
            try:
                self._answers = methods.learning(request.method).read(request.test_path, reading)
            except InvalidRequest as error:  # what is only judged by must not stop the training
                words = f"The held-out answers cannot be judged. {error.user_message}"
                folder.append(ProviderEvent("held-out", time.time(), "warning", words))

    def before(self, trainer: Any) -> None:
        """Judge by the base model: before anything is learnt, and before a checkpoint is taken up."""
        if self._method is not None and self._answers is not None:
            self._base = self._method.scores(trainer, self._answers)

    def after(self, trainer: Any) -> None:
        """Judge by the tuned model, and keep both."""
        if self._method is not None and self._answers is not None and self._base:
            self._folder.write_judged(self._base, self._method.scores(trainer, self._answers))
