"""What an answer is rewarded with: its score against the dataset's reference, from 0 to 1.

The measure is that of evaluations (`providers.scoring`), chosen by the shape that all references have: the F1 of a
JSON list's members or of a record's fields, a label, a number, a text's words. An answer is parsed and compared, never
executed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from providers.scoring import metrics, shape
from providers.scoring.shape import Shape


@dataclass(frozen=True)
class Reward:
    """The reward of one dataset's answers."""

    shape: Shape

    @classmethod
    def of(cls, references: Sequence[str]) -> "Reward":
        """The reward that suits these references."""
        return cls(shape.of(references))

    @property
    def measure(self) -> str:
        """The name of the metric that it is."""
        return metrics.MAIN[self.shape]

    def __call__(self, answer: str, reference: str) -> float:
        """The answer's worth, from 0 to 1."""
        return float(metrics.score(self.shape, answer.strip(), reference)[self.measure])
