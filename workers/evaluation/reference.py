"""What an example's answer is compared with."""

from providers.scoring import reference
from workers.dataprep.example import Example


def of(example: Example) -> str:
    """The answer that it ends with; of a prompt with reference fields the one that is the answer."""
    return example.answer if example.turns else reference.of(example.reference)
