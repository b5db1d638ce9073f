"""The trainer: one run, started and watched by `providers.local.adapter`.

python -P -m providers.local.training FOLDER --cache FOLDER

Exit status 0: `status.json` in the run's folder has the outcome; anything else: it broke.
"""

import argparse
import os
import resource
import sys
import uuid
from contextlib import suppress
from pathlib import Path

import structlog

from providers.base import ProviderJobStatus
from providers.errors import ProviderError
from providers.local.training import recipe
from providers.local.training.control import Control
from providers.local.training.run_folder import Reporter, RunFolder

log = structlog.get_logger()

OUT_OF_MEMORY = (
    "This machine ran out of memory during the training. Choose a smaller batch size or shorter examples, "
    "then start again."
)
_NICENESS = 5


def main() -> int:
    """Train what the folder's request says."""
    parser = argparse.ArgumentParser(prog="python -m providers.local.training", description="Train one run.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    arguments = parser.parse_args()
    folder = RunFolder(arguments.folder)
    reporter = Reporter(folder)
    control = Control(reporter)
    control.start()
    _be_modest()
    try:
        recipe.train(folder, arguments.cache, reporter, control)
    except ProviderError as error:
        log.warning("training_failed", error=type(error).__name__, detail=error.detail)
        reporter.say(status=ProviderJobStatus.FAILED, stage="", error=error.user_message)
    except Exception as error:  # noqa: BLE001 -- the process's edge: whatever broke is logged with an id
        _broke(error, reporter)
        return 1
    return 0


def _be_modest() -> None:
    """Leave the processor, and the memory when it runs short, to the processes that people wait for."""
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # Linux only
        Path("/proc/self/oom_score_adj").write_text("500")


def _broke(error: Exception, reporter: Reporter) -> None:
    error_id = uuid.uuid4().hex[:8]
    log.error("trainer_broke", error_id=error_id, exc_info=error)
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower() or "can't allocate" in str(error):
        words = OUT_OF_MEMORY
    else:
        words = f"The trainer broke ({type(error).__name__}, error id {error_id}). The details are in its log."
    reporter.say(status=ProviderJobStatus.FAILED, stage="", error=words)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # taking the libraries down in order takes seconds, and everything is written
