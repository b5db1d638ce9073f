"""What of a plan's test was also learnt from, found before anything starts."""

from dataclasses import dataclass

from workers.context import Context
from workers.dataprep.limits import UnreadableDataset
from workers.errors import InvalidPlan, UserError
from workers.plans.choices import Choices
from workers.runs import material
from workers.tables import Dataset

MOST_SECONDS = 1.0
"""What is expected to take longer is not compared while somebody waits; the run itself does it, however long."""
SECONDS_PER_EXAMPLE = 4e-5
SECONDS_PER_TOKEN = 4e-7
"""On a small machine with other work to do."""


@dataclass(frozen=True)
class Leaks:
    """What a person should know of a plan's files; `left_out` of the test's examples were learnt from."""

    words: str = ""
    left_out: int = 0


def look(context: Context, choices: Choices) -> Leaks:
    """Compare the test and the validation file with the training file.

    Raises InvalidPlan where nothing of one is left, UserError where a file is gone.
    """
    both = choices.test_dataset_id is not None and choices.validation_dataset_id is not None
    seconds = MOST_SECONDS / 2 if both else MOST_SECONDS
    tested, of_test = _of_one(context, choices.dataset_id, choices.test_dataset_id, "test", seconds)
    _, of_watched = _of_one(context, choices.dataset_id, choices.validation_dataset_id, "validation", seconds)
    return Leaks("\n".join(filter(None, (of_test, of_watched))), tested)


def _of_one(context: Context, dataset_id: int, other_id: int | None, what: str, seconds: float) -> tuple[int, str]:
    if other_id is None:
        return 0, ""
    with context.db.read() as session:
        files = [session.get_one(Dataset, one) for one in (dataset_id, other_id)]
    later = (
        f"The {what} file and the training file are too large to be compared while you wait. The run compares them "
        f"when it starts, leaves out of the {what} what was also learnt from, and says how much that was."
    )
    if sum(map(_seconds, files)) > seconds or max(one.size for one in files) > material.MOST_BYTES:
        return 0, later
    try:
        found = material.compare(context, dataset_id, other_id, material.WHILE_WAITING)
    except UnreadableDataset:
        return 0, later
    except FileNotFoundError:
        raise UserError(f"The training file or the {what} file is not there any more. Attach it again.") from None
    if found.count and found.count == found.tested:
        said = f"All of the {what} file was learnt from: {found.words}. It proves nothing."
        raise InvalidPlan({f"{what}_dataset_id": said})
    if not found.count:
        return 0, ""
    return found.count, (
        f"{files[1].name}: {found.words}. They are left out of the {what}, as a model must be tested on what it has "
        "not seen. To test on them, take them out of the training file, attach it again, and start from there."
    )


def _seconds(row: Dataset) -> float:
    """About how long a dataset takes to be read and compared, by its report."""
    tokens = int((row.report.get("tokens") or {}).get("total") or 0)
    return row.examples * SECONDS_PER_EXAMPLE + tokens * SECONDS_PER_TOKEN
