"""One run from top to bottom, on a thread of its own; ending it ends whatever program it has under way."""

import json
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from providers.autotrain import job, program
from providers.autotrain.environment import Environment
from providers.autotrain.log import LogReader, why
from providers.autotrain.settings import project_environment, training_environment
from providers.base import MetricPoint, ProviderEvent, ProviderJob, ProviderJobStatus, TrainingRequest
from providers.errors import ProviderError, TrainingFailed

log = structlog.get_logger()

PROJECT_FOLDER = Path(__file__).resolve().parents[2]
RESULTS = ("adapter_model.safetensors", "model.safetensors")
"""One of these is there when AutoTrain has succeeded, whatever its exit status."""
UNWATCHED = (
    "AutoTrain watches nothing while it trains on files of one's own: the examples to be watched are left out of the "
    "training, and no validation loss is shown."
)
PACKED = "AutoTrain joins the examples to blocks of {block} tokens, and learns every token of them, questions too."
FINAL = frozenset(
    {
        ProviderJobStatus.SUCCEEDED,
        ProviderJobStatus.FAILED,
        ProviderJobStatus.CANCELLED,
        ProviderJobStatus.PAUSED,
    }
)


@dataclass
class Run:
    """A training that this process carries out. Read it with `seen`, from any thread."""

    request: TrainingRequest
    environment: Environment
    cache: Path
    _now: ProviderJob = field(init=False)
    _metrics: list[MetricPoint] = field(default_factory=list)
    _events: list[ProviderEvent] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _ends_as: ProviderJobStatus = ProviderJobStatus.CANCELLED

    def __post_init__(self) -> None:
        """It has not begun yet: `start` does that."""
        self._now = ProviderJob(str(self.folder), ProviderJobStatus.PENDING, stage="starting")

    @property
    def folder(self) -> Path:
        """The run's own folder."""
        return self.request.folder.resolve()

    def start(self) -> None:
        """Begin. The thread ends with this process, and its programs with it."""
        threading.Thread(target=self._work, name="autotrain", daemon=True).start()

    def end(self, status: ProviderJobStatus) -> None:
        """Ask it to end without a result, and to say so."""
        with self._lock:
            if not self._stopping.is_set():
                self._ends_as = status
        self._stopping.set()

    def seen(self, after: tuple[int, int] = (0, 0)) -> ProviderJob:
        """Where it stands, with the metrics and events after these numbers of them."""
        with self._lock:
            metrics, events = self._metrics[after[0] :], self._events[after[1] :]
            cursor = f"{len(self._metrics)}:{len(self._events)}"
            return replace(self._now, metrics=metrics, events=events, cursor=cursor)

    def _say(self, **changes: object) -> None:
        with self._lock:
            if self._now.status in FINAL:
                return
            status = changes.get("status", self._now.status)
            words = status.value if isinstance(status, ProviderJobStatus) else ""
            self._now = replace(self._now, **changes, vendor_status=words)  # type: ignore[arg-type]

    def _stage(self, words: str) -> None:
        self._say(stage=words)

    def _tell(self, words: Sequence[str]) -> None:
        with self._lock:
            for one in words:
                name = f"autotrain-{len(self._events)}"
                self._events.append(ProviderEvent(name, time.time(), "warning", one))

    def _work(self) -> None:
        try:
            self._train()
        except program.Ended:
            self._say(status=self._ends_as, stage="")
        except ProviderError as error:
            log.warning("autotrain_failed", error=type(error).__name__, folder=str(self.folder))
            self._say(status=ProviderJobStatus.FAILED, stage="", error=error.user_message)
        except Exception as error:
            error_id = uuid.uuid4().hex[:8]
            log.exception("autotrain_broke", error_id=error_id)
            words = (
                f"Running AutoTrain broke ({type(error).__name__}, error id {error_id}). The details are in the log."
            )
            self._say(status=ProviderJobStatus.FAILED, stage="", error=words)

    def _train(self) -> None:
        """The whole recipe."""
        request, folder = self.request, self.folder
        self._say(status=ProviderJobStatus.RUNNING)
        place = self.environment.ensure(self._stage, self._stopping)

        self._stage("reading the examples")
        words = ["--method", str(request.method), "--train", str(request.train_path.resolve())]
        self._portable("write", *words)
        facts = job.Facts.from_json(json.loads((folder / "written.json").read_text()))
        made = job.write(
            request.method,
            request.seed,
            request.hyperparameters,
            facts,
            base=str(folder / "base"),
            data=str(folder / "data"),
        )
        (folder / "job.yml").write_text(made.text)
        notes = [PACKED.format(block=made.block)] if request.method == "sft" else []
        self._tell([*facts.warnings, *notes, *([UNWATCHED] if request.validation_path else [])])

        self._stage("loading AutoTrain")
        reader = LogReader(folder / "autotrain.log", made.tokens_a_step)
        self._say(total_epochs=float(request.hyperparameters.get("epochs", 3)))
        code = program.run(
            [str(place / "bin" / "autotrain"), "--config", "job.yml"],
            environment=training_environment(place, folder),
            folder=folder,
            output=reader.path,
            stopping=self._stopping,
            look=lambda: self._follow(reader),
        )
        while self._follow(reader):
            pass
        trained = folder / job.PROJECT
        if reader.errors or not reader.step or not any((trained / one).is_file() for one in RESULTS):
            log.warning("autotrain_without_model", code=code, step=reader.step, folder=str(folder))
            raise TrainingFailed(why(reader, code))

        self._stage("saving")
        self._portable("adopt", "--trained", str(trained))
        self._say(
            status=ProviderJobStatus.SUCCEEDED,
            stage="",
            eta_seconds=None,
            tuned_model=str(folder / "model"),
            trained_tokens=made.tokens_a_step * reader.step,
        )

    def _follow(self, reader: LogReader) -> bool:
        """Take over what AutoTrain has logged since. Whether that was anything."""
        now = time.monotonic()
        before, points = reader.offset, reader.read(now)
        with self._lock:
            self._metrics += points
        changes: dict[str, object] = {"step": reader.step, "total_steps": reader.total}
        if reader.stage:
            changes["stage"] = reader.stage
        self._say(**changes, eta_seconds=reader.eta(now) if reader.stage == "training" else None)
        return reader.offset > before

    def _portable(self, act: str, *words: str) -> None:
        """Have the room that knows models write ours, or adopt AutoTrain's. Raises TrainingFailed."""
        output = self.folder / f"{act}.log"
        output.unlink(missing_ok=True)
        given = ["--base-model", self.request.base_model, "--cache", str(self.cache.resolve()), *words]
        command = [sys.executable, "-P", "-m", "providers.local.portable", act, *given, str(self.folder)]
        code = program.run(
            command,
            environment={**project_environment(), "PYTHONPATH": str(PROJECT_FOLDER)},
            folder=self.folder,
            output=output,
            stopping=self._stopping,
        )
        if code:
            problem = _problem(output)
            log.warning("portable_failed", act=act, code=code, log=str(output))
            raise TrainingFailed(problem or "The base model or the examples could not be read on this machine.")


def _problem(output: Path) -> str:
    """What people are told of a problem that `providers.local.portable` has named."""
    for line in reversed(output.read_text(errors="replace").splitlines()):
        if line.startswith('{"problem": '):
            said: Mapping[str, str] = json.loads(line)
            return said["problem"]
    return ""
