"""A provider that only pretends: it trains nothing and answers like a parrot, the same way every time.

For tests and for trying the flow. Its jobs are files in a folder, so they outlive the process; each poll
moves a running job on by one stretch of steps.
"""

import hashlib
import json
import math
import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from providers.base import (
    Capabilities,
    ChatChunk,
    ChatRequest,
    Method,
    MetricPoint,
    ProviderJob,
    ProviderJobStatus,
    TrainingRequest,
    nobody_objects,
)
from providers.credentials import Credentials
from providers.errors import InvalidRequest, NotFound
from providers.settings import ProviderSettings

BASE_MODEL = "stub-1"
POLLS = 5
"""A job is done after so many polls."""
STEPS_A_POLL = 4
MODEL_FILE = "model.json"

_ENDED = frozenset({ProviderJobStatus.SUCCEEDED, ProviderJobStatus.CANCELLED})


@dataclass(frozen=True)
class _State:
    """What a job's file holds."""

    key: str
    folder: str
    base_model: str
    status: ProviderJobStatus = ProviderJobStatus.RUNNING
    polls: int = 0
    epochs: float = 3.0
    learning_rate: float = 5e-4


class StubTraining:
    """Pretends to train. State lives in `folder`; only one process should poll a job."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def capabilities(self) -> Capabilities:
        """It can pretend every method."""
        return Capabilities(methods=frozenset(Method), dataset_format="openai-chat", can_pause=True)

    def submit(self, request: TrainingRequest, about_to_create: Callable[[], None] = nobody_objects) -> ProviderJob:
        """Begin to pretend; a key that is known already is the same job."""
        known = self.find(request.key)
        if known is not None:
            return known
        if request.base_model != BASE_MODEL:
            raise InvalidRequest(f"The pretending provider has the one model {BASE_MODEL}, not {request.base_model}.")
        if not request.train_path.is_file():
            raise InvalidRequest("The training file is not there any more. Attach the dataset again.")
        job_id = _job_id(request.key)
        wanted = request.hyperparameters
        about_to_create()
        self._write(
            job_id,
            _State(
                key=request.key,
                folder=str(request.folder),
                base_model=request.base_model,
                epochs=float(wanted.get("epochs", 3)),
                learning_rate=float(wanted.get("learning_rate", 5e-4)),
            ),
        )
        return self._seen(job_id, 0)

    def find(self, key: str) -> ProviderJob | None:
        """The job of this key, without moving it on."""
        job_id = _job_id(key)
        if not self._path(job_id).exists():
            return None
        return self._seen(job_id, 0)

    def poll(self, job_id: str, cursor: str = "") -> ProviderJob:
        """Move the job on, then show it with the metrics after `cursor`."""
        state = self._read(job_id)
        if state.status is ProviderJobStatus.RUNNING:
            polls = state.polls + 1
            done = polls >= POLLS
            status = ProviderJobStatus.SUCCEEDED if done else ProviderJobStatus.RUNNING
            if done:
                _write_model(state)
            self._write(job_id, replace(state, polls=polls, status=status))
        return self._seen(job_id, int(cursor or 0))

    def cancel(self, job_id: str) -> None:
        """Stop pretending, unless it is over."""
        self._change(job_id, ProviderJobStatus.CANCELLED)

    def pause(self, job_id: str) -> None:
        """Stand still until `resume`."""
        self._change(job_id, ProviderJobStatus.PAUSED)

    def resume(self, job_id: str) -> None:
        """Go on after a pause."""
        self._change(job_id, ProviderJobStatus.RUNNING)

    def _change(self, job_id: str, status: ProviderJobStatus) -> None:
        state = self._read(job_id)
        if state.status not in _ENDED:
            self._write(job_id, replace(state, status=status))

    def _seen(self, job_id: str, after: int) -> ProviderJob:
        state = self._read(job_id)
        step, total = state.polls * STEPS_A_POLL, POLLS * STEPS_A_POLL
        succeeded = state.status is ProviderJobStatus.SUCCEEDED
        return ProviderJob(
            id=job_id,
            status=state.status,
            vendor_status=state.status.value,
            stage="pretending to train" if state.status is ProviderJobStatus.RUNNING else "",
            step=step,
            total_steps=total,
            total_epochs=state.epochs,
            eta_seconds=None if state.status in _ENDED else float(POLLS - state.polls),
            tuned_model=str(_model_folder(state)) if succeeded else None,
            metrics=tuple(_metric(state, one) for one in range(after + 1, step + 1)),
            cursor=str(max(step, after)),
        )

    def _path(self, job_id: str) -> Path:
        if not re.fullmatch(r"stub-[0-9a-f]{16}", job_id):
            raise NotFound("The pretending provider has no such job.")
        return self._folder / f"{job_id}.json"

    def _read(self, job_id: str) -> _State:
        try:
            data = json.loads(self._path(job_id).read_text())
        except FileNotFoundError:
            raise NotFound("The pretending provider has no such job.") from None
        return _State(**{**data, "status": ProviderJobStatus(data["status"])})

    def _write(self, job_id: str, state: _State) -> None:
        path = self._path(job_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(state)))
        partial.replace(path)


class StubChat:
    """Repeats the question, word by word."""

    def stream(self, request: ChatRequest) -> Iterator[ChatChunk]:
        """Yield the last question's words; a tuned model says its name first."""
        question = next((one.content for one in reversed(request.messages) if one.role == "user"), "")
        words = re.findall(r"\s*\S+", question if request.model == BASE_MODEL else f"{request.model}: {question}")
        said = words[: request.max_tokens]
        for word in said:
            yield ChatChunk(text=word)
        yield ChatChunk(
            finish_reason="stop" if len(said) == len(words) else "length",
            prompt_tokens=sum(len(one.content.split()) for one in request.messages),
            completion_tokens=len(said),
        )

    def models(self) -> Sequence[str]:
        """The one base model; whatever name is asked for is answered all the same."""
        return [BASE_MODEL]


def build_training(settings: ProviderSettings, _credentials: Credentials) -> StubTraining:
    """The pretending trainer of this installation."""
    return StubTraining(settings.stub_folder)


def build_chat(_settings: ProviderSettings, _credentials: Credentials) -> StubChat:
    """The pretending model."""
    return StubChat()


def _job_id(key: str) -> str:
    return f"stub-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _metric(state: _State, step: int) -> MetricPoint:
    """A loss that falls, a little unevenly, and always alike for one key and step."""
    noise = random.Random(f"{state.key}:{step}").uniform(-0.05, 0.05)  # noqa: S311 -- a made-up loss curve
    share = step / (POLLS * STEPS_A_POLL)
    return MetricPoint(
        step=step,
        epoch=round(share * state.epochs, 4),
        loss=round(0.4 + 2.0 * math.exp(-4 * share) + noise, 4),
        learning_rate=state.learning_rate * (1 - share),
        tokens_per_second=1000.0,
    )


def _model_folder(state: _State) -> Path:
    return Path(state.folder) / "model"


def _write_model(state: _State) -> None:
    folder = _model_folder(state)
    with suppress(FileExistsError):
        folder.mkdir(parents=True)
    (folder / MODEL_FILE).write_text(json.dumps({"base_model": state.base_model}))
