"""TRL's trainer, with a loss that scores only the tokens that are learnt.

On a processor TRL scores every position of every example against the whole vocabulary, and throws away all but
the answers'; with a small model that takes longer than everything else together.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from trl.trainer import sft_trainer

from providers.errors import TrainingFailed
from providers.local.training.batches import halves, rows

_IGNORED = -100
TOO_LARGE = (
    "The memory of this machine does not hold a single example, even when activations are computed twice instead of "
    "being kept. Lower the maximum length, hold the base model in nf4, or choose a smaller base model."
)
_Trainer: Any = sft_trainer.SFTTrainer


class LearningTrainer(_Trainer):  # type: ignore[misc]
    """Gives the same loss and gradients, sooner. `count` is told how many tokens each batch has.

    A batch that the memory does not hold is done in halves, which gives the same gradients; `halved` is told once. A
    single example that it does not hold is computed with activations recomputed, of which `recomputed` is told.
    """

    def __init__(
        self,
        *args: Any,
        count: Callable[[int], None],
        halved: Callable[[], None],
        recomputed: Callable[[], None] = lambda: None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._count = count
        self._halved = halved
        self._recomputed = recomputed
        self._cuts = 0
        """How often each batch is cut in two before it is tried."""
        self._done: list[dict[str, Any]] = []
        """The batches of this step whose gradients are there already."""

    @property
    def is_adapted(self) -> bool:
        """Whether an adapter is trained, not all weights."""
        return hasattr(self.model, "peft_config")

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,  # noqa: FBT001, FBT002 -- the library's signature
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """The mean loss over the learnt tokens of all batches of this step."""
        targets = inputs["labels"][:, 1:]
        learnt = targets != _IGNORED
        with _scored(self.model.get_output_embeddings(), learnt):
            rest = {name: value for name, value in inputs.items() if name != "labels"}
            logits = model(**rest, use_cache=False).logits[0]
        summed = torch.nn.functional.cross_entropy(logits.float(), targets[learnt], reduction="sum")
        items = learnt.sum() if num_items_in_batch is None else torch.as_tensor(num_items_in_batch)
        loss = summed / items.clamp(min=1)
        return (loss, {}) if return_outputs else loss

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Look at the validation loss, and leave chance as it was: a look may fall between a checkpoint and a kill."""
        with torch.random.fork_rng():
            figures: dict[str, float] = super().evaluate(*args, **kwargs)
        return figures

    def training_step(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """The gradients of a batch: at once, or where memory is short part by part."""
        mask = inputs.get("attention_mask")
        self._count(inputs["input_ids"].numel() if mask is None else int(mask.sum()))
        if num_items_in_batch is None:
            alone: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
            return alone
        if not any(one.grad is not None for one in self.model.parameters()):
            self._done = []  # a new step begins
        loss = self._in_parts(model, inputs, num_items_in_batch)
        self._done.append(inputs)
        return loss

    def _in_parts(self, model: Any, inputs: dict[str, Any], items: torch.Tensor | int) -> torch.Tensor:
        """The same gradients, however small the parts must be. Raises TrainingFailed if one example is too large."""
        again: Sequence[dict[str, Any]] = ()
        while True:
            try:
                for earlier in again:
                    self._cut(model, earlier, items, self._cuts)
                return self._cut(model, inputs, items, self._cuts)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._spare(max(map(rows, [*self._done, inputs])), error)
            model.zero_grad(set_to_none=True)  # what the batch that broke off has added cannot be told apart
            again = self._done
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _spare(self, most: int, error: Exception) -> None:
        """Need less memory from now on; `most` examples are in the largest batch. Raises TrainingFailed."""
        if most > 1 << self._cuts:
            self._cuts += 1
            self._halved()
        elif not self.model.is_activation_checkpointing:
            self.model.activation_checkpointing_enable({"use_reentrant": False})
            self._recomputed()
        else:
            raise TrainingFailed(TOO_LARGE, detail=str(error)[:300]) from error

    def _cut(self, model: Any, inputs: dict[str, Any], items: torch.Tensor | int, cuts: int) -> torch.Tensor:
        parts = halves(inputs) if cuts else None
        if parts is not None:
            return self._cut(model, parts[0], items, cuts - 1) + self._cut(model, parts[1], items, cuts - 1)
        whole: torch.Tensor = super().training_step(model, inputs, items)
        return whole


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is how torch says that memory is short, on a GPU or a processor."""
    words = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in words or "can't allocate" in words


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
