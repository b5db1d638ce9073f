"""Training on this machine, as the worker sees it: one process a run, started here and watched through files.

The id of a job is the path of its folder. A trainer reads its wishes from a pipe and ends when that closes,
so it never outlives the process that started it.
"""

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import structlog

from providers import _model_server
from providers.base import Capabilities, ChatProvider, ProviderJob, ProviderJobStatus, TrainingRequest, nobody_objects
from providers.credentials import Credentials
from providers.errors import InvalidRequest, NotFound, Unavailable
from providers.local import base_models
from providers.local.settings import trainer_environment
from providers.local.training import methods
from providers.local.training.control import CANCEL, PAUSE
from providers.local.training.knobs import Knobs
from providers.local.training.run_folder import FINAL, RunFolder, Status
from providers.settings import ProviderSettings

log = structlog.get_logger()

KEPT_CHECKPOINTS = 2
_KILLED = (
    "The trainer was killed, most likely because this machine ran out of memory. Choose a smaller batch size or "
    "shorter examples, then start again."
)


class LocalTraining:
    """Starts trainers and tells how they are doing. Safe in threads."""

    def __init__(self, cache: Path) -> None:
        """`cache` is where base models are unpacked."""
        self._cache = cache
        self._lock = threading.Lock()
        self._trainers: dict[str, subprocess.Popen[bytes]] = {}
        self._folders: dict[str, Path] = {}

    def capabilities(self) -> Capabilities:
        """Supervised fine-tuning; can pause; needs this machine's own queue."""
        return Capabilities(methods=methods.KNOWN, dataset_format="openai-chat", can_pause=True)

    def submit(self, request: TrainingRequest, about_to_create: Callable[[], None] = nobody_objects) -> ProviderJob:
        """Start the trainer; the same key again is the same job, whether it still runs or has ended."""
        _check(request)
        base_models.check(request.base_model, self._cache)
        folder = RunFolder(request.folder.resolve())
        with self._lock:
            if not _is_there(folder, request.key):
                about_to_create()
                folder.path.mkdir(parents=True, exist_ok=True)
                folder.write_request(request)
                folder.write_status(Status())
                self._start(folder)
            self._folders[request.key] = folder.path
        return self.poll(str(folder.path))

    def find(self, key: str) -> ProviderJob | None:
        """The job that this process started for the key; one started by another process has ended with it."""
        path = self._folders.get(key)
        if path is None or not RunFolder(path).request_file.is_file():
            return None
        return self.poll(str(path))

    def poll(self, job_id: str, cursor: str = "") -> ProviderJob:
        """What the trainer has written since; removes its older checkpoints."""
        folder = RunFolder.open(job_id)
        with self._lock:
            trainer = self._trainers.get(job_id)
            code = trainer.poll() if trainer is not None else None
        alive = code is None if trainer is not None else folder.is_alive()
        news = folder.news(_offset(cursor))
        status = folder.read_status()  # read after the process was looked at: nothing it wrote is missed
        if not alive and status.status not in FINAL:
            killed = code is None or code < 0
            ended = ProviderJobStatus.INTERRUPTED if killed else ProviderJobStatus.FAILED
            status = replace(status, status=ended, stage="", error=_how_it_ended(code, folder))
        elif alive and status.status in FINAL:
            status = replace(status, status=ProviderJobStatus.RUNNING, stage="ending")
        elif trainer is not None and not alive:
            self._release(job_id)
        folder.prune(KEPT_CHECKPOINTS)
        return ProviderJob(
            id=job_id,
            status=status.status,
            vendor_status=status.status.value,
            stage=status.stage,
            step=status.step,
            total_steps=status.total_steps,
            total_epochs=status.total_epochs,
            eta_seconds=status.eta_seconds,
            tuned_model=str(folder.model_folder) if status.status is ProviderJobStatus.SUCCEEDED else None,
            trained_tokens=status.trained_tokens,
            error=status.error,
            metrics=news.metrics,
            events=news.events,
            cursor=str(news.cursor),
            checkpoints=folder.checkpoints(),
        )

    def cancel(self, job_id: str) -> None:
        """Ask the trainer to end without a result."""
        self._tell(job_id, CANCEL)

    def pause(self, job_id: str) -> None:
        """Ask the trainer to keep a checkpoint and end."""
        self._tell(job_id, PAUSE)

    def resume(self, job_id: str) -> None:
        """Start a paused job's trainer again, from its newest checkpoint."""
        folder = RunFolder.open(job_id)
        if self.poll(job_id).status is not ProviderJobStatus.PAUSED:
            raise InvalidRequest("This training is not paused.")
        request = folder.read_request()
        newest = next(reversed(folder.checkpoints()), request.resume_from)
        with self._lock:
            folder.write_request(replace(request, resume_from=newest))
            folder.write_status(replace(folder.read_status(), status=ProviderJobStatus.PENDING, stage="starting"))
            self._start(folder)

    def _start(self, folder: RunFolder) -> None:
        held = folder.lock()
        if held is None:
            raise Unavailable("Another trainer still works in this training's folder.")
        module = ["-P", "-m", "providers.local.training", str(folder.path), "--cache", str(self._cache)]
        with held, folder.log_file.open("ab") as output:
            trainer = subprocess.Popen(
                [sys.executable, *module],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder.path,
                env=trainer_environment(self._cache),
                pass_fds=[held.fileno()],
            )
        self._trainers[str(folder.path)] = trainer
        log.info("trainer_started", pid=trainer.pid, folder=str(folder.path))

    def _release(self, job_id: str) -> None:
        """Close the pipe of a trainer that has ended."""
        with self._lock:
            trainer = self._trainers.pop(job_id, None)
        if trainer is not None and trainer.stdin is not None:
            trainer.stdin.close()

    def _tell(self, job_id: str, words: bytes) -> None:
        folder = RunFolder.open(job_id)
        with self._lock:
            trainer = self._trainers.get(job_id)
            if trainer is None or trainer.stdin is None:
                if folder.is_alive():
                    raise Unavailable("Another process watches this training; ask there.")
                return  # it has ended already
            try:
                trainer.stdin.write(words)
                trainer.stdin.flush()
            except BrokenPipeError:
                log.info("trainer_had_ended", folder=job_id)


def build_training(settings: ProviderSettings, _credentials: Credentials) -> LocalTraining:
    """The trainer of this installation."""
    return LocalTraining(settings.cache_folder)


def build_chat(settings: ProviderSettings, _credentials: Credentials) -> ChatProvider:
    """The chat with this installation's model server."""
    return _model_server.build(settings)


def _check(request: TrainingRequest) -> None:
    """Whatever can be known to be wrong before anything starts. Raises InvalidRequest."""
    Knobs.read(request.hyperparameters)
    methods.learning(request.method)
    for path in filter(None, (request.train_path, request.validation_path)):
        if not path.is_file():
            raise InvalidRequest("The training file is not there any more. Attach the dataset again.")
    if request.resume_from is not None and not (request.resume_from / "trainer_state.json").is_file():
        raise InvalidRequest("The checkpoint to go on from is not complete.")


def _is_there(folder: RunFolder, key: str) -> bool:
    """Whether this key's job was started in this folder and lives, or has ended with a word about how."""
    if not folder.request_file.is_file() or folder.read_request().key != key:
        return False
    return folder.is_alive() or folder.read_status().status in FINAL


def _offset(cursor: str) -> int:
    if not cursor:
        return 0
    if not cursor.isdecimal():
        raise NotFound("This is no cursor of local training.")
    return int(cursor)


def _how_it_ended(code: int | None, folder: RunFolder) -> str:
    """Why a trainer is gone without having said so."""
    log.warning("trainer_gone", code=code, folder=str(folder.path))
    if code == -9:
        return _KILLED
    if code is not None and code < 0:
        return f"The trainer was ended by signal {-code}. Start it again; if that repeats, look into its log."
    return "The trainer ended without saying why. Start it again; if that repeats, look into its log."
