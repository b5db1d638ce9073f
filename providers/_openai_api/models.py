"""What may be asked at the vendor: models listed, checkpoints of a job, and the deletion of a tuned model."""

from collections.abc import Sequence
from datetime import date

import httpx2
from openai import OpenAI

from providers._openai_api import answers
from providers._openai_api.answers import Json, Raw
from providers._openai_api.errors import Vendor, translated
from providers.base import Checkpoint, OfferedModel
from providers.errors import InvalidRequest, NotFound

MOST_MODELS = 5000
MOST_PAGES = 10

_ASK = httpx2.Timeout(20.0, connect=5.0)


def listed(client: OpenAI, vendor: Vendor) -> list[Json]:
    """The models that these credentials may use, as the vendor describes them."""
    with translated(vendor, "list of models"):
        raw = client.with_options(max_retries=0).models.with_raw_response.list(timeout=_ASK)
    return [one for one in answers.items(answers.read(raw, vendor))[:MOST_MODELS] if answers.identifier(one, "id")]


def offered(client: OpenAI, vendor: Vendor) -> list[OfferedModel]:
    """The same, with the day that each shuts down where the vendor says so; names in order."""
    found = {}
    for one in listed(client, vendor):
        name = answers.text(one, "id")
        found[name] = OfferedModel(name, shutdown=_day(answers.text(one, "shutdown_date")), tuned=is_tuned(name))
    return [found[name] for name in sorted(found)]


def is_tuned(name: str) -> bool:
    """Whether this is the name of a tuned model, and not of a base model."""
    return name.startswith("ft:") or ".ft-" in name


def checkpoints(client: OpenAI, vendor: Vendor, job_id: str) -> Sequence[Checkpoint]:
    """The checkpoints of a provider job that can be asked, oldest first."""
    if not job_id:
        raise NotFound(f"{vendor.name} has no training without an id.")
    jobs = client.with_options(max_retries=0).fine_tuning.jobs

    def ask(query: Json) -> Raw:
        return jobs.checkpoints.with_raw_response.list(job_id, extra_query=dict(query), timeout=_ASK)

    found = {}
    with translated(vendor, "training"):
        for one in answers.pages(ask, vendor, limit=100, most=MOST_PAGES):
            checkpoint = _checkpoint(one)
            if checkpoint is not None:
                found[checkpoint.step] = checkpoint
    return [found[step] for step in sorted(found)]


def delete_model(client: OpenAI, vendor: Vendor, model: str) -> None:
    """Delete a tuned model for ever; one that is not there is deleted already. A base model is refused."""
    if not is_tuned(model):
        raise InvalidRequest(f"{model[:100]} is not a tuned model, so it is not ours to delete.")
    try:
        with translated(vendor, "model"):
            client.with_options(max_retries=0).models.with_raw_response.delete(model, timeout=_ASK)
    except NotFound:
        return


def _checkpoint(data: Json) -> Checkpoint | None:
    model, step = answers.identifier(data, "fine_tuned_model_checkpoint"), answers.whole(data, "step_number")
    if not model or step is None:
        return None
    figures = answers.inside(data, "metrics")

    def figure(*names: str) -> float | None:
        return next((one for name in names if (one := answers.number(figures, name)) is not None), None)

    return Checkpoint(
        model=model,
        step=step,
        loss=figure("train_loss"),
        validation_loss=figure("full_valid_loss", "valid_loss"),
        accuracy=figure("train_mean_token_accuracy"),
        validation_accuracy=figure("full_valid_mean_token_accuracy", "valid_mean_token_accuracy"),
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
