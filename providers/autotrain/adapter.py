"""Training by AutoTrain on this machine, as the worker sees it: one thread a run, which has its programs on a leash.

The id of a job is the path of its folder. A job is known only to the process that started it, and ends with that:
AutoTrain keeps nothing that another attempt could go on from, so the run starts again from its beginning.
"""

import threading
from collections.abc import Callable
from pathlib import Path

from providers import _model_server
from providers.autotrain import job
from providers.autotrain.environment import Environment
from providers.autotrain.run import Run
from providers.base import Capabilities, ChatProvider, ProviderJob, ProviderJobStatus, TrainingRequest, nobody_objects
from providers.capabilities import CAPABILITIES
from providers.credentials import Credentials
from providers.errors import InvalidRequest, NotFound
from providers.settings import ProviderSettings


class AutoTrainTraining:
    """Starts AutoTrain and tells how it is doing. Safe in threads."""

    def __init__(self, cache: Path, environment: Environment) -> None:
        """`cache` is where base models are unpacked; `environment` is AutoTrain's own, which may not be there yet."""
        self._cache = cache
        self._environment = environment
        self._lock = threading.Lock()
        self._runs: dict[str, Run] = {}

    def capabilities(self) -> Capabilities:
        """SFT and DPO; it cannot pause."""
        return CAPABILITIES["autotrain"]

    def submit(self, request: TrainingRequest, about_to_create: Callable[[], None] = nobody_objects) -> ProviderJob:
        """Start it; the same key again is the same job, whether it still runs or has ended."""
        with self._lock:
            known = next((one for one in self._runs.values() if one.request.key == request.key), None)
            if known is None:
                _check(request)
                about_to_create()
                request.folder.mkdir(parents=True, exist_ok=True)
                known = Run(request, self._environment, self._cache)
                self._runs[str(known.folder)] = known
                known.start()
        return known.seen()

    def find(self, key: str) -> ProviderJob | None:
        """The job that this process started for the key; one started by another process has ended with it."""
        with self._lock:
            known = next((one for one in self._runs.values() if one.request.key == key), None)
        return known.seen() if known is not None else None

    def poll(self, job_id: str, cursor: str = "") -> ProviderJob:
        """What is new since."""
        return self._run(job_id).seen(_after(cursor))

    def cancel(self, job_id: str) -> None:
        """End it without a result, with everything that it has started."""
        self._run(job_id).end(ProviderJobStatus.CANCELLED)

    def pause(self, job_id: str) -> None:
        """Let go of it, as the worker is stopping: nothing is kept, and it starts again from the beginning."""
        self._run(job_id).end(ProviderJobStatus.PAUSED)

    def resume(self, job_id: str) -> None:
        """AutoTrain cannot go on from where it was."""
        self._run(job_id)
        raise InvalidRequest("AutoTrain cannot go on from where it was. Start the run again.")

    def _run(self, job_id: str) -> Run:
        with self._lock:
            known = self._runs.get(job_id)
        if known is None:
            raise NotFound("This training by AutoTrain has ended with the process that started it.")
        return known


def build_training(settings: ProviderSettings, _credentials: Credentials) -> AutoTrainTraining:
    """AutoTrain as this installation has it."""
    ready = Path(settings.autotrain_environment).expanduser() if settings.autotrain_environment else None
    return AutoTrainTraining(
        settings.cache_folder, Environment(settings.cache_folder / "environments", ready_made=ready)
    )


def build_chat(settings: ProviderSettings, _credentials: Credentials) -> ChatProvider:
    """What it has trained answers like any other model of this machine."""
    return _model_server.build(settings)


def _check(request: TrainingRequest) -> None:
    """Whatever can be known to be wrong before anything starts. Raises InvalidRequest."""
    job.check(request.method, request.hyperparameters)
    if not request.train_path.is_file():
        raise InvalidRequest("The training file is not there any more. Attach the dataset again.")


def _after(cursor: str) -> tuple[int, int]:
    """How many metrics and events a cursor has seen."""
    metrics, _, events = (cursor or "0:0").partition(":")
    if not (metrics.isdecimal() and events.isdecimal()):
        raise NotFound("This is no cursor of AutoTrain's training.")
    return int(metrics), int(events)
