"""Writing a dataset as a provider wants it, to see what cannot be written: before anything starts, if it is small."""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from providers import prices
from providers.base import Method
from providers.capabilities import CAPABILITIES
from workers.context import Context
from workers.dataprep import convert
from workers.dataprep.checks import Severity, vendors
from workers.dataprep.checks.vendors import Demands
from workers.dataprep.convert import Written
from workers.dataprep.example import Example
from workers.dataprep.limits import UnreadableDataset
from workers.errors import InvalidPlan, UserError
from workers.plans import grading
from workers.plans.choices import Choices
from workers.runs import counting, material
from workers.tables import Dataset

MOST_KINDS = 3
"""So many kinds of losses are named."""
OTHERWISE_CHECKED = frozenset({"method_not_supported", "too_few_examples"})
"""What the plan says by itself, of the examples that are left to learn from."""
LOOKED_AT = 50


@dataclass(frozen=True)
class Rehearsal:
    """What came of it; `looked` is False for what is too large to be written while somebody waits."""

    count: int = 0
    left_out: int = 0
    losses: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    looked: bool = True

    def words(self, provider: str) -> str:
        """What a person must know before they start; empty where all of it can be written."""
        vendor = prices.vendor(provider).text
        if not self.looked:
            return (
                "The file is too large to be tried out while you wait. When the run starts, what cannot be written as "
                f"{vendor} wants it is left out, and the run's thread says how much that was and why."
            )
        return "\n".join(filter(None, [losses_in_words(self.count, self.left_out, self.losses, vendor), *self.notes]))


def losses_in_words(count: int, left_out: int, losses: Mapping[str, int], vendor: str) -> str:
    """How many examples are left out, and what is not written of the others; empty for nothing."""
    lines = []
    if left_out:
        lines.append(f"{left_out:,} of {count + left_out:,} examples cannot be written for {vendor} and are left out:")
    elif losses:
        lines.append(f"Not everything can be written for {vendor}:")
    shown = sorted(losses.items(), key=lambda one: -one[1])
    lines += [f"• {number:,} × {words[:300]}" for words, number in shown[:MOST_KINDS]]
    if len(shown) > MOST_KINDS:
        lines.append(f"• and {len(shown) - MOST_KINDS} more kinds")
    return "\n".join(lines)


def rehearse(context: Context, choices: Choices) -> Rehearsal:
    """Write the whole dataset for the chosen provider, if it is small. Raises InvalidPlan where it would refuse it."""
    with context.db.read() as session:
        row = session.get_one(Dataset, choices.dataset_id)
    if not counting.is_small(row):
        return Rehearsal(looked=False)
    demands = Demands()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="finetune-bot-") as folder,
            material.dataset_file(context, choices.dataset_id) as source,
        ):
            read = material.examples(context, choices.dataset_id, source, material.WHILE_WAITING)
            path = Path(folder) / "rehearsal.jsonl"
            written = convert.write(_tallied(read, demands), material.target(choices.provider, choices.method), path)
            size = path.stat().st_size
    except FileNotFoundError:
        raise UserError("The training file is not there any more. Attach it again.") from None
    except UnreadableDataset:
        return Rehearsal(looked=False)
    except UserError as error:
        raise InvalidPlan({"dataset_id": error.user_message}) from error
    notes = _demanded(choices, demands, written, size)
    return Rehearsal(written.count, written.left_out, written.losses, notes)


def with_grader(context: Context, choices: Choices) -> Choices:
    """The choices with a grader where one is needed and none was given: proposed from the dataset's own fields."""
    known = CAPABILITIES.get(choices.provider)
    if (
        choices.method is not Method.RFT
        or known is None
        or "grader" not in known.options
        or "grader" in choices.options
    ):
        return choices
    grader = grading.proposed(_references(context, choices.dataset_id))
    return replace(choices, options={**choices.options, "grader": grader}) if grader else choices


def _references(context: Context, dataset_id: int) -> list[Mapping[str, Any]]:
    """The reference fields of the first examples; empty where the file cannot be read, or not while somebody waits."""
    with context.db.read() as session:
        if session.get_one(Dataset, dataset_id).size > material.MOST_BYTES:
            return []
    try:
        with material.dataset_file(context, dataset_id) as path:
            read = material.examples(context, dataset_id, path, material.WHILE_WAITING)
            return [one.reference for one in islice(read, LOOKED_AT)]
    except (FileNotFoundError, UnreadableDataset, UserError):
        return []


def _tallied(read: Iterator[Example], demands: Demands) -> Iterator[Example]:
    for example in read:
        demands.add(example.line, example)
        yield example


def _demanded(choices: Choices, demands: Demands, written: Written, size: int) -> tuple[str, ...]:
    """What the vendor demands beyond the format. Raises InvalidPlan for what it would refuse."""
    refused: list[str] = []
    notes: list[str] = []
    found = vendors.findings(choices.provider, demands, examples=written.count, size=size, method=str(choices.method))
    for one in found:
        line, first = one.places[0]
        if one.check in OTHERWISE_CHECKED:
            continue
        where = f" (line {line}{', and more' if one.count > 1 else ''})" if line else ""
        (notes if first.severity is Severity.INFO else refused).append(f"{first.words}{where}")
    if refused:
        raise InvalidPlan({"dataset_id": " ".join(refused)})
    vendor = prices.vendor(choices.provider)
    if written.left_out and written.count < vendor.minimum_examples:
        words = losses_in_words(written.count, written.left_out, written.losses, vendor.text)
        least = f"That leaves fewer than the {vendor.minimum_examples} that it wants."
        raise InvalidPlan({"dataset_id": f"{words} {least}"})
    return tuple(notes)
