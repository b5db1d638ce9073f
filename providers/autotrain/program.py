"""A command that can be ended at any moment with everything it has started, and that never outlives this process."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

log = structlog.get_logger()

LOOK_SECONDS = 0.2
_LEASH = Path(__file__).with_name("leash.py")


class Ended(Exception):
    """Somebody wanted the program to end, and it has."""


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    output: Path,
    stopping: threading.Event,
    look: Callable[[], object] = lambda: None,
) -> int:
    """Run a command in `folder` until it ends; returns its exit status. Its output is appended to the file `output`.

    `look` is called a few times a second, and once more at the end. Raises Ended when `stopping` was set.
    """
    with output.open("ab") as file:
        leash = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LEASH), *command],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
        )
    log.info("program_started", program=Path(command[0]).name, pid=leash.pid)
    try:
        while leash.poll() is None:
            if stopping.wait(LOOK_SECONDS):
                raise Ended
            look()
    finally:
        _end(leash)
    look()
    return leash.returncode


def _end(leash: "subprocess.Popen[bytes]") -> None:
    """End the whole group, also where only the process above it is gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leash.pid, signal.SIGKILL)
    if leash.stdin is not None:
        with suppress(BrokenPipeError):
            leash.stdin.close()
    leash.wait()
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            os.killpg(leash.pid, 0)
        except (ProcessLookupError, PermissionError):
            return
        time.sleep(0.02)  # the kernel is still taking the others down
