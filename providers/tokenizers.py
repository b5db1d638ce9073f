"""Which tokenizer counts for which model: the model's own where it can be had, else an estimate that says so."""

from dataclasses import dataclass
from pathlib import Path

from providers import prices
from providers.local import tokenizer_file

ESTIMATE = "o200k_base"
"""What counts where a model's own tokenizer is not at hand."""


@dataclass(frozen=True)
class Tokenizer:
    """`name` is "o200k_base", "cl100k_base" or "file:/path/to/tokenizer.json"; not `exact`: only an estimate."""

    name: str
    exact: bool


def tokenizer_of(provider: str, model: str, cache: Path) -> Tokenizer:
    """What to count with for this model; `cache` is where base models are unpacked."""
    if provider in {"local", "autotrain"}:
        path = tokenizer_file.find(model, cache)
        return Tokenizer(f"file:{path}", exact=True) if path is not None else Tokenizer(ESTIMATE, exact=False)
    known = prices.facts_of(model).tokenizer
    return Tokenizer(known or ESTIMATE, exact=bool(known))
