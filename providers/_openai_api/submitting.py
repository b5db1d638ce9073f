"""From a request to its provider job, the same at OpenAI and at Azure OpenAI."""

from collections.abc import Callable, Mapping
from typing import Any

import structlog

from providers._openai_api.files import Files
from providers._openai_api.jobs import Jobs
from providers.base import ProviderJob, TrainingRequest
from providers.errors import ProviderError, SubmitUnknown

log = structlog.get_logger()

TRAINING_FILE, VALIDATION_FILE = "training_file", "validation_file"
"""The fields of the create call that name files."""


def submit(
    request: TrainingRequest,
    body: Mapping[str, Any],
    files: Files,
    jobs: Jobs,
    about_to_create: Callable[[], None],
    *,
    check: Callable[[], None] | None = None,
) -> ProviderJob:
    """The provider job of this key: the one that there is, or a new one with this body and the request's files.

    `check` is called before anything is uploaded; what it raises is the end of it. Raises Unavailable while the
    vendor still reads the files: a later call goes on where this one was. Files are deleted again where no job will
    come of them.
    """
    known = jobs.find(request.key)
    if known is not None:
        log.info("provider_job_adopted", job_id=known.id, key=request.key)
        return known
    if check is not None:
        check()
    uploaded: dict[str, str] = {}
    try:
        for field, path in ((TRAINING_FILE, request.train_path), (VALIDATION_FILE, request.validation_path)):
            if path is not None:
                uploaded[field] = files.upload(path, file_name(request.key, field))
        files.wait(list(uploaded.values()))
        about_to_create()
        return jobs.create({**body, **uploaded})
    except SubmitUnknown:
        raise  # a job may use them
    except ProviderError as error:
        if not error.retryable:
            files.discard(list(uploaded.values()))
        raise


def file_name(key: str, field: str) -> str:
    """What the name of an uploaded file begins with: the request's key, and what it is for."""
    return f"{key}-{field.removesuffix('_file')}"
