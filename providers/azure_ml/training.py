"""Training in an Azure Machine Learning workspace.

The name of a provider job is made from the request's key, so creating it twice makes one. Azure wants validation data:
where there is no validation file the training file stands in, the job's first event says so, and the "validation loss"
that comes of it is left out.
"""

import hashlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from providers._openai_api import answers
from providers._openai_api.answers import Json
from providers.azure_ml import bodies, catalogue, checks
from providers.azure_ml.history import History
from providers.azure_ml.uploads import NAMES, Uploads
from providers.azure_ml.workspace import CONSOLE, NAME, UNREADABLE, Clock, Workspace, part
from providers.base import (
    AUTO,
    Capabilities,
    ProviderEvent,
    ProviderJob,
    ProviderJobStatus,
    TrainingRequest,
    nobody_objects,
)
from providers.capabilities import CAPABILITIES
from providers.errors import InvalidRequest, NotAllowed, NotFound, ProviderError, SubmitUnknown, Unavailable, Withdrawn

log = structlog.get_logger()

POLL_SECONDS = 4.5
KEY_TAG, DATA_TAG, STANDS_IN_TAG = "finetune-bot-key", "finetune-bot-data", "finetune-bot-validation"
STANDS_IN = "training file"

STATUSES: Mapping[str, tuple[ProviderJobStatus, str]] = {
    "NotStarted": (ProviderJobStatus.PENDING, "waiting to begin"),
    "Starting": (ProviderJobStatus.PENDING, "about to begin"),
    "Provisioning": (ProviderJobStatus.PENDING, "getting machines"),
    "Preparing": (ProviderJobStatus.PENDING, "preparing the machines"),
    "Queued": (ProviderJobStatus.PENDING, "waiting in the vendor's queue"),
    "Running": (ProviderJobStatus.RUNNING, "training"),
    "Finalizing": (ProviderJobStatus.RUNNING, "saving the model"),
    "CancelRequested": (ProviderJobStatus.RUNNING, "about to end"),
    "Completed": (ProviderJobStatus.SUCCEEDED, ""),
    "Failed": (ProviderJobStatus.FAILED, ""),
    "Canceled": (ProviderJobStatus.CANCELLED, ""),
    "NotResponding": (ProviderJobStatus.RUNNING, "the machine does not respond"),
    "Paused": (ProviderJobStatus.PAUSED, ""),
    "Unknown": (ProviderJobStatus.UNKNOWN, ""),
}
"""Azure's words for a state."""
ENDED = frozenset({ProviderJobStatus.SUCCEEDED, ProviderJobStatus.FAILED, ProviderJobStatus.CANCELLED})

_HYPERPARAMETERS = {
    "epochs": "num_train_epochs",
    "batch_size": "per_device_train_batch_size",
    "learning_rate": "learning_rate",
}
"""Our knobs -> Azure's names for models of its catalogue."""
_JOB_NAME = re.compile(r"[A-Za-z0-9][\w-]{0,254}")
_MODEL_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,254}")
_VERSION = re.compile(r"/versions/([\w.-]{1,64})$")


class AzureMLTraining:
    """Trains in a workspace. Safe in threads."""

    def __init__(self, workspace: Workspace) -> None:
        """`workspace` is where."""
        self._workspace = workspace
        self._uploads = Uploads(workspace)
        self._history = History(workspace)

    def capabilities(self) -> Capabilities:
        """Supervised fine-tuning."""
        return CAPABILITIES["azure_ml"]

    def submit(self, request: TrainingRequest, about_to_create: Callable[[], None] = nobody_objects) -> ProviderJob:
        """Upload the files and create the job, unless this key has one already."""
        checks.refuse(request, self.capabilities())
        name, data = job_name(request.key), _digest(request)
        known = self._workspace.look(_path(name), thing="training")
        if known is not None:
            theirs = answers.text(answers.inside(answers.inside(known, "properties"), "tags"), DATA_TAG)
            if theirs != data:
                raise InvalidRequest(
                    "The workspace has a training of the same name and with other data, of another installation. "
                    "Give each installation a workspace of its own."
                )
            log.info("provider_job_adopted", job_id=name, key=request.key)
            return self._job(name, known)
        body = self._body(request, name, data)
        try:
            about_to_create()
            return self._create(request.key, name, body)
        except (InvalidRequest, NotAllowed, NotFound, Withdrawn):
            self._uploads.discard(name, Clock(POLL_SECONDS))
            raise

    def find(self, key: str) -> ProviderJob | None:
        """The job of this key, if the workspace has it."""
        name = job_name(key)
        known = self._workspace.look(_path(name), thing="training")
        return None if known is None else self._job(name, known)

    def poll(self, job_id: str, cursor: str = "") -> ProviderJob:
        """The job now, with its new metrics as far as they can be had. Its files are deleted when it has ended."""
        clock = Clock(POLL_SECONDS)
        if not _JOB_NAME.fullmatch(job_id) or not (cursor or "0").isdecimal():
            raise NotFound(f"{NAME} has no such training.")
        after = int(cursor or 0)
        data = self._workspace.get(_path(job_id), thing="training", clock=clock)
        job = self._job(job_id, data)
        stands_in = _tags(data).get(STANDS_IN_TAG) == STANDS_IN
        begun = job.status not in {ProviderJobStatus.PENDING, ProviderJobStatus.UNKNOWN}
        points = self._history.points(job_id, after, clock) if begun else []
        if stands_in:
            points = [replace(one, validation_loss=None) for one in points]
        if job.status is ProviderJobStatus.FAILED and job.error is None:
            why = self._history.reason(job_id, clock) or "Azure says no more than that it failed."
            job = replace(job, error=f"{why} Its logs: {CONSOLE}")
        if job.status in ENDED:
            self._uploads.discard(job_id, clock)
        step = max([after, *(one.step for one in points)])
        events = (_stand_in_event(job_id),) if stands_in and not cursor else ()
        return replace(job, step=step, metrics=tuple(points), events=events, cursor=str(step))

    def cancel(self, job_id: str) -> None:
        """Ask for the end; a job that has ended stays as it is."""
        try:
            self._workspace.post(f"{_path(job_id)}/cancel", thing="training")
        except (InvalidRequest, Unavailable):  # also the answer for one that is at its end
            if self._job(job_id, self._workspace.get(_path(job_id), thing="training")).status not in ENDED:
                raise

    def pause(self, job_id: str) -> None:
        """Not possible."""
        raise InvalidRequest(f"{NAME} cannot pause a training. It can be ended: {job_id}")

    def resume(self, job_id: str) -> None:
        """Not possible."""
        raise InvalidRequest(f"{NAME} cannot pause a training, nor let it go on: {job_id}")

    def _body(self, request: TrainingRequest, name: str, data: str) -> Json:
        bodies.prepare()  # if it is not installed, that is said before anything is uploaded
        openai = checks.is_openai(request)
        model = catalogue.address(self._workspace, request.base_model, openai=openai)
        train = self._uploads.put(name, NAMES[0], request.train_path)
        tags = {KEY_TAG: request.key, DATA_TAG: data}
        if request.validation_path is None:
            validation, tags[STANDS_IN_TAG] = train, STANDS_IN
        else:
            validation = self._uploads.put(name, NAMES[1], request.validation_path)
        chosen: dict[str, Any] = {knob: value for knob, value in request.hyperparameters.items() if value != AUTO}
        given: dict[str, Any] = {
            "name": name,
            "model": model,
            "train": train,
            "validation": validation,
            "result": _result_name(request),
            "shown": request.suffix[:100] or name,
            "tags": tags,
        }
        if openai:
            return bodies.openai_job(epochs=chosen.get("epochs"), batch_size=chosen.get("batch_size"), **given)
        return bodies.custom_job(
            hyperparameters={_HYPERPARAMETERS[knob]: checks.in_words(value) for knob, value in chosen.items()},
            instance_types=request.options.get("instance_types") or (),
            job_tier=str(request.options.get("job_tier") or ""),
            **given,
        )

    def _create(self, key: str, name: str, body: Json) -> ProviderJob:
        try:
            job = self._job(name, self._workspace.put(_path(name), body, thing="base model"))
        except Unavailable as error:  # also what is answered and cannot be read
            return self._adopted(key, error)
        log.info("provider_job_created", job_id=name, key=key)
        return job

    def _adopted(self, key: str, lost: Unavailable) -> ProviderJob:
        """The job whose creation was not answered. Raises SubmitUnknown if it is not to be seen (yet)."""
        try:
            found = self.find(key)
        except ProviderError as error:
            log.warning("look_up_failed", key=key, error=type(error).__name__, detail=error.detail)
            found = None
        if found is not None:
            return found
        raise SubmitUnknown(f"{NAME} did not say whether it took the training. It is looked for.", detail=lost.detail)

    def _job(self, name: str, data: Json) -> ProviderJob:
        inside = answers.inside(data, "properties")
        said = answers.text(inside, "status")
        if not inside:
            raise Unavailable(UNREADABLE)
        status, stage = STATUSES.get(said, (ProviderJobStatus.UNKNOWN, ""))
        model = error = None
        if status is ProviderJobStatus.SUCCEEDED:
            model = _tuned_model(inside)
            stage = "" if model else "waiting for the model's name"
        knobs = answers.inside(answers.inside(inside, "fineTuningDetails"), "hyperParameters")
        return ProviderJob(
            id=name,
            status=status,
            vendor_status=self._workspace.vendor.clean(said, 40),
            stage=stage,
            total_epochs=answers.number(knobs, "num_train_epochs") or answers.number(knobs, "nEpochs"),
            tuned_model=model,
            error=error,
        )


def job_name(key: str) -> str:
    """The name of the provider job of this request."""
    return f"ftb-{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def _path(name: str) -> str:
    return f"/jobs/{part(name)}"


def _tags(data: Json) -> Json:
    return answers.inside(answers.inside(data, "properties"), "tags")


def _digest(request: TrainingRequest) -> str:
    """What tells this training from another of the same name."""
    if not request.train_path.is_file():
        raise InvalidRequest("The training file is not there any more. Attach the dataset again.")
    digest = hashlib.sha256(f"{request.base_model}\n".encode())
    with request.train_path.open("rb") as file:
        digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]


def _result_name(request: TrainingRequest) -> str:
    """A name that no other model of the workspace has: so its first version is this training's."""
    words = re.sub(r"[^A-Za-z0-9-]+", "-", request.suffix).strip("-")[:40] or "tuned"
    return f"{words}-{hashlib.sha256(request.key.encode()).hexdigest()[:8]}"


def _tuned_model(inside: Json) -> str | None:
    """NAME:VERSION of the model that the job has registered."""
    output = answers.inside(answers.inside(inside, "outputs"), "registered_model")
    name = answers.text(output, "assetName")
    found = _VERSION.search(answers.text(output, "uri"))
    version = answers.text(output, "assetVersion") or (found[1] if found else "") or "1"
    return f"{name}:{version}" if _MODEL_NAME.fullmatch(name) and _MODEL_NAME.fullmatch(version) else None


def _stand_in_event(job_id: str) -> ProviderEvent:
    return ProviderEvent(
        id=f"{job_id}-validation",
        at=time.time(),
        level="info",
        message=f"{NAME} wants validation data and there is none: the training file stands in, and the validation "
        "loss that comes of it is not shown.",
    )
