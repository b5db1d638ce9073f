"""Tasks for a real worker and its real horse to carry out, as processes of their own.

python errands.py worker [grace]      the worker; it starts the horse
python errands.py horse

Each errand writes a line "<task> <attempt> <pid>" into `starts` in the installation's home when it begins,
and its effect is a row named "effect:<task>".
"""

import os
import subprocess
import sys
import time

from workers.bootstrap import mark_ready
from workers.errors import RetryLater
from workers.jobs.kinds import KINDS, Kind
from workers.logs import configure
from workers.queues import horse
from workers.queues.connection import QueueName
from workers.queues.executing import ExecutingWorker
from workers.queues.signing import installation_key
from workers.settings import Settings
from workers.tables import InboundEvent


def quick(context, lease):
    _note_start(context, lease)
    _finish(lease)


def patient(context, lease):
    """Waits until there is a file `go`, beside a child that would live for a minute; may be asked to stop."""
    child = subprocess.Popen(["sleep", "60"])
    _note_start(context, lease, child.pid)
    while not (context.settings.folder / "go").exists():
        if lease.stopping.wait(0.05):
            raise RetryLater("asked to stop", 0)
    child.kill()
    child.wait()
    _finish(lease)


def stubborn(context, lease):
    """Waits until there is a file `go`, whatever it is asked."""
    _note_start(context, lease)
    while not (context.settings.folder / "go").exists():
        time.sleep(0.05)
    _finish(lease)


def broken(context, lease):
    _note_start(context, lease)
    raise ValueError("xoxb-1234567890-canary")


def _note_start(context, lease, *more):
    with (context.settings.folder / "starts").open("a") as file:
        file.write(" ".join(map(str, (lease.task_id, lease.task.attempt, os.getpid(), *more))) + "\n")


def _finish(lease):
    with lease.finish() as session:
        session.add(InboundEvent(key=f"effect:{lease.task_id}", team_id="T1"))


def main():
    for function in (quick, patient, stubborn, broken):
        KINDS[function.__name__] = Kind(QueueName.CPU, f"errands:{function.__name__}")
    if sys.argv[1] == "horse":
        horse.main()
        return
    from workers.__main__ import stop_on_signals

    settings = Settings()
    configure(settings, "worker-cpu")
    key = installation_key(settings.folder)
    command = (sys.executable, __file__, "horse")
    worker = ExecutingWorker(settings, QueueName.CPU, key, command=command, grace=float(sys.argv[2]))
    mark_ready(settings, f"worker-{os.getpid()}")
    worker.run(stop_on_signals())


if __name__ == "__main__":
    main()
