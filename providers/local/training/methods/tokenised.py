"""What TRL's trainers of pairs and of labelled answers share here: examples that are tokenised already, and counted."""

from typing import Any

from providers.local.training.methods.base import Kit


class Tokenised:
    """Beside one of TRL's trainers, before it among the bases. `Kit.count` is told how many tokens each batch has."""

    def __init__(self, *args: Any, kit: Kit, **kwargs: Any) -> None:
        self._count = kit.count
        super().__init__(*args, **kwargs)

    def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
        return dataset

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """TRL's, counted."""
        if model.training:
            self._count(int(inputs["attention_mask"].sum()))
        base: Any = super()
        return base.compute_loss(model, inputs, *args, **kwargs)
