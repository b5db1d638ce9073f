"""TRL's trainer, with a loss that scores only the tokens that are learnt.

On a processor TRL scores every position of every example against the whole vocabulary, and throws away all but
the answers'; with a small model that takes longer than everything else together.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from trl.trainer import sft_trainer

_IGNORED = -100
_Trainer: Any = sft_trainer.SFTTrainer


class LearningTrainer(_Trainer):  # type: ignore[misc]
    """Gives the same loss and gradients, sooner. `count` is told how many tokens each batch has."""

    def __init__(self, *args: Any, count: Callable[[int], None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._count = count

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,  # noqa: FBT001, FBT002 -- the library's signature
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """The mean loss over the learnt tokens of all batches of this step."""
        if return_outputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        targets = inputs["labels"][:, 1:]
        learnt = targets != _IGNORED
        with _scored(self.model.get_output_embeddings(), learnt):
            rest = {name: value for name, value in inputs.items() if name != "labels"}
            logits = model(**rest, use_cache=False).logits[0]
        summed = torch.nn.functional.cross_entropy(logits.float(), targets[learnt], reduction="sum")
        if self.model.training:
            self._count(int(inputs["attention_mask"].sum()))
        items = learnt.sum() if num_items_in_batch is None else torch.as_tensor(num_items_in_batch)
        return summed / items.clamp(min=1)


@contextmanager
def _scored(head: torch.nn.Module, learnt: torch.Tensor) -> Iterator[None]:
    """Let the model's last layer see the positions before the learnt tokens only, as one long row."""

    def select(_module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        return (inputs[0][:, :-1][learnt][None],)

    hook = head.register_forward_pre_hook(select)
    try:
        yield
    finally:
        hook.remove()
