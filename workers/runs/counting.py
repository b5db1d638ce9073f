"""A dataset's tokens as the chosen model counts them, where its report counted otherwise and it is small."""

import structlog

from providers.tokenizers import tokenizer_of
from workers.context import Context
from workers.dataprep import tokens
from workers.dataprep.limits import UnreadableDataset
from workers.dataprep.sketches import batches
from workers.errors import UserError
from workers.plans.billing import Count, counted_with
from workers.plans.choices import Choices
from workers.runs import material
from workers.tables import Dataset

MOST_EXAMPLES = 2_000
MOST_TOKENS = 300_000
"""By the report, about 1 MB of text: half a second. More is not counted while somebody waits."""

log = structlog.get_logger()


def recount(context: Context, choices: Choices) -> Count | None:
    """All of the dataset's tokens by the model's own tokenizer.

    None where the report counted with it, where it is not at hand, or where that would take too long.
    """
    known = tokenizer_of(choices.provider, choices.base_model, context.settings.cache_folder)
    with context.db.read() as session:
        row = session.get_one(Dataset, choices.dataset_id)
    if not known.exact or counted_with(row.report) == known.name or not is_small(row):
        return None
    try:
        with material.dataset_file(context, choices.dataset_id) as path:
            read = material.examples(context, choices.dataset_id, path, material.WHILE_WAITING)
            total = sum(one.total for batch in batches(read) for one in tokens.of_examples(batch, known.name))
    except (FileNotFoundError, UnreadableDataset, UserError) as error:
        log.warning("not_recounted", dataset_id=choices.dataset_id, error=str(error))
        return None
    return Count(total, known.name)


def is_small(row: Dataset) -> bool:
    """Whether a dataset can be read whole while somebody waits."""
    total = int((row.report.get("tokens") or {}).get("total") or 0)
    return row.examples <= MOST_EXAMPLES and total <= MOST_TOKENS and row.size <= material.MOST_BYTES
