"""The files by which a trainer and its watcher speak, all in one run's folder.

request.json     what to do
status.json      where it stands; replaced whole, so a reader never sees half of it
news.jsonl       a line for each step's figures and for each event; only ever appended to
timing.json      the seconds of each step, and of our own bookkeeping
trainer.log      what the trainer's libraries print
trainer.lock     locked while the trainer lives, whatever happens to its watcher
checkpoints/     checkpoint-N, each with a file `complete` once it is
model/           the adapter; appears whole, at the end
judged.json      how held-out answers were told apart before and after, for methods that can say
"""

import fcntl
import json
import shutil
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from providers.base import Method, MetricPoint, ProviderEvent, ProviderJobStatus, TrainingRequest
from providers.errors import NotFound

COMPLETE = "complete"
JUDGED_FILE = "judged.json"
FINAL = frozenset(
    {
        ProviderJobStatus.SUCCEEDED,
        ProviderJobStatus.FAILED,
        ProviderJobStatus.CANCELLED,
        ProviderJobStatus.PAUSED,
    }
)
"""What a trainer writes last, before it exits."""
_LONGEST_NEWS = 1 << 20
"""At most so many bytes of news are read at once; the rest comes with the next poll."""


@dataclass(frozen=True)
class Status:
    """Where a trainer stands."""

    status: ProviderJobStatus = ProviderJobStatus.PENDING
    stage: str = "starting"
    step: int = 0
    total_steps: int | None = None
    total_epochs: float | None = None
    eta_seconds: float | None = None
    trained_tokens: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class News:
    """What was appended after a cursor."""

    metrics: Sequence[MetricPoint]
    events: Sequence[ProviderEvent]
    cursor: int


@dataclass(frozen=True)
class RunFolder:
    """One run's folder."""

    path: Path

    @classmethod
    def open(cls, job_id: str) -> "RunFolder":
        """The folder of a job that was submitted. Raises NotFound."""
        folder = cls(Path(job_id))
        if not folder.path.is_absolute() or not folder.request_file.is_file():
            raise NotFound("This training's folder is not there any more.")
        return folder

    @property
    def request_file(self) -> Path:
        """What to do."""
        return self.path / "request.json"

    @property
    def log_file(self) -> Path:
        """What the trainer's libraries print."""
        return self.path / "trainer.log"

    @property
    def checkpoints_folder(self) -> Path:
        """Where checkpoints are written."""
        return self.path / "checkpoints"

    @property
    def model_folder(self) -> Path:
        """Where the trained adapter appears."""
        return self.path / "model"

    def write_request(self, request: TrainingRequest) -> None:
        """Keep the request for the trainer."""
        data = {name: str(value) if isinstance(value, Path) else value for name, value in vars(request).items()}
        _replace(self.request_file, {**data, "hyperparameters": dict(request.hyperparameters)})

    def read_request(self) -> TrainingRequest:
        """The request as it was written."""
        data = json.loads(self.request_file.read_text())
        paths = {
            name: Path(data[name]) if data.get(name) is not None else None
            for name in ("train_path", "folder", "validation_path", "test_path", "resume_from")
        }
        return TrainingRequest(**{**data, **paths, "method": Method(data["method"])})

    @property
    def judged_file(self) -> Path:
        """How the model told held-out answers apart before and after, where the method can say."""
        return self.path / JUDGED_FILE

    def write_judged(self, base: Sequence[float], tuned: Sequence[float]) -> None:
        """Keep for each held-out example how well it was judged before and after."""
        _replace(self.judged_file, {"base": list(base), "tuned": list(tuned)})

    def write_status(self, status: Status) -> None:
        """Say where the training stands."""
        _replace(self.path / "status.json", asdict(status))

    def read_status(self) -> Status:
        """Where the training stands; pending before the trainer has said anything."""
        try:
            data = json.loads((self.path / "status.json").read_text())
        except FileNotFoundError:
            return Status()
        return Status(**{**data, "status": ProviderJobStatus(data["status"])})

    def write_timing(self, steps: Sequence[float], bookkeeping: float) -> None:
        """Keep the seconds of each step, and of all callbacks of ours."""
        _replace(self.path / "timing.json", {"seconds": list(steps), "bookkeeping": bookkeeping})

    def append(self, news: MetricPoint | ProviderEvent) -> None:
        """Add a line of news, at once."""
        kind = "metric" if isinstance(news, MetricPoint) else "event"
        with (self.path / "news.jsonl").open("ab") as file:
            file.write(json.dumps({kind: asdict(news)}).encode() + b"\n")

    def news(self, cursor: int = 0) -> News:
        """The complete lines after the byte `cursor`."""
        try:
            with (self.path / "news.jsonl").open("rb") as file:
                file.seek(cursor)
                data = file.read(_LONGEST_NEWS)
        except FileNotFoundError:
            return News((), (), 0)
        data = data[: data.rfind(b"\n") + 1]
        lines = [json.loads(line) for line in data.splitlines()]
        metrics = [MetricPoint(**one["metric"]) for one in lines if "metric" in one]
        events = [ProviderEvent(**one["event"]) for one in lines if "event" in one]
        return News(metrics, events, cursor + len(data))

    def checkpoints(self) -> list[Path]:
        """The complete checkpoints, oldest first."""
        found = [path.parent for path in self.checkpoints_folder.glob(f"checkpoint-*/{COMPLETE}")]
        return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))

    def prune(self, keep: int) -> None:
        """Remove all complete checkpoints but the newest. Only for the one who hands them out."""
        for path in self.checkpoints()[:-keep]:
            (path / COMPLETE).unlink()
            shutil.rmtree(path)

    def lock(self) -> IO[bytes] | None:
        """The locked file that says "the trainer lives", to be handed to it; None if one lives already."""
        file = (self.path / "trainer.lock").open("wb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        return file

    def is_alive(self) -> bool:
        """Whether a trainer works in this folder."""
        file = self.lock()
        if file is None:
            return True
        file.close()
        return False


class Reporter:
    """The trainer's own pen, for several threads. A final status is the last: whatever comes later is ignored."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._now = Status()
        self._lock = threading.Lock()

    def say(self, **changes: Any) -> bool:
        """Replace the named fields of the status. False: the final status had been written already."""
        with self._lock:
            if self._now.status in FINAL:
                return False
            self._now = replace(self._now, **changes)
            self._folder.write_status(self._now)
            return True

    def stage(self, words: str) -> None:
        """Say what is being done now."""
        self.say(stage=words)


def _replace(path: Path, data: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("w") as file:
        json.dump(data, file)
    partial.replace(path)
