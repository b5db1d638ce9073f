"""Counting tokens as the vendors count them, offline."""

import statistics
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from workers.dataprep.example import Example

TOKENS_PER_MESSAGE = 3
TOKENS_PER_NAME = 1
TOKENS_PER_EXAMPLE = 3
TARGET_EPOCHS = 3
LEAST_TARGET_EXAMPLES = 100
MOST_TARGET_EXAMPLES = 25_000
MOST_DEFAULT_EPOCHS = 25


@lru_cache(maxsize=4)
def _encoding(name: str) -> Any:
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # of how it opens its vocabularies
        import bpe_openai

        return bpe_openai.get_encoding(name)


def count(text: str, tokenizer: str) -> int:
    """Tokens of a text; text that looks like a special token counts as plain text."""
    return len(_encoding(tokenizer).encode_ordinary(text)) if text else 0


def of_example(example: Example, tokenizer: str) -> tuple[int, int]:
    """Tokens of a whole example, and of its assistant messages' content alone."""
    total = TOKENS_PER_EXAMPLE
    assistant = 0
    for message in example.messages:
        content = count(message.content or "", tokenizer)
        total += TOKENS_PER_MESSAGE + content + count(message.role, tokenizer)
        for key, value in message.extra.items():
            if isinstance(value, str):
                total += count(value, tokenizer) + (TOKENS_PER_NAME if key == "name" else 0)
        if message.role == "assistant":
            assistant += content
    return total, assistant


@dataclass(frozen=True)
class Spread:
    """How a count is spread over the examples. p5 and p95 are the 5th and 95th percentile."""

    total: int = 0
    min: int = 0
    max: int = 0
    mean: float = 0.0
    median: float = 0.0
    p5: float = 0.0
    p95: float = 0.0

    @classmethod
    def of(cls, counts: Sequence[int]) -> "Spread":
        """The spread of these counts; all zero for none."""
        if not counts:
            return cls()
        ordered = sorted(counts)
        return cls(
            total=sum(ordered),
            min=ordered[0],
            max=ordered[-1],
            mean=round(statistics.fmean(ordered), 1),
            median=statistics.median(ordered),
            p5=_percentile(ordered, 0.05),
            p95=_percentile(ordered, 0.95),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def _percentile(ordered: Sequence[int], share: float) -> float:
    """Linear interpolation between the closest ranks, as numpy's default does."""
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return round(ordered[low] + (ordered[high] - ordered[low]) * (place - low), 1)


def default_epochs(examples: int) -> int:
    """The number of epochs that OpenAI's cookbook computes for a dataset of this size."""
    if examples == 0:
        return TARGET_EPOCHS
    if examples * TARGET_EPOCHS < LEAST_TARGET_EXAMPLES:
        return min(MOST_DEFAULT_EPOCHS, LEAST_TARGET_EXAMPLES // examples)
    if examples * TARGET_EPOCHS > MOST_TARGET_EXAMPLES:
        return max(1, MOST_TARGET_EXAMPLES // examples)
    return TARGET_EPOCHS
