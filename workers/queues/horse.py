"""A child process that carries out tasks, one at a time.

    python -m workers.queues.horse          (started by a worker, which holds the other end of its stdin)

Executed, never forked, so that it may use threads, CUDA and anything else. It serves many tasks, because
starting costs more than a poll does. The control socket is its stdin: "<task> <attempt>" asks for work,
"stop" for a prompt end, and its closing means that the worker is gone: then the horse goes too, with
everything that it has started. (A parent-death signal would be quicker than that, and leave orphans.)
"""

import os
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import structlog

from workers.queues.job import Wanted

log = structlog.get_logger()

COMMAND = (sys.executable, "-m", "workers.queues.horse")
"""How a worker starts its horse; secrets travel in the environment, never here."""


class Answer(StrEnum):
    """What the worker hears from its horse."""

    READY = "ready"  # started
    DONE = "done"  # the attempt is over
    GONE = "gone"  # it died
    NOTHING = "nothing"  # nothing yet


class Horse:
    """The worker's end: start it, give it an attempt, listen."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(list(command), stdin=theirs.fileno(), process_group=0)
        self._control = ours
        self._buffer = b""
        self.ready = False
        self.served = 0

    @property
    def pid(self) -> int:
        """Its process id, and its process group's."""
        return self._process.pid

    def give(self, wanted: Wanted) -> None:
        """Hand over an attempt."""
        self.served += 1
        self._say(f"{wanted.task_id} {wanted.attempt}\n")

    def stop(self) -> None:
        """Ask it to end what it does soon."""
        self._say("stop\n")

    def listen(self, seconds: float) -> Answer:
        """Wait for its next word."""
        while b"\n" not in self._buffer:
            if not select.select([self._control], [], [], seconds)[0]:
                return Answer.NOTHING
            try:
                received = self._control.recv(4096)
            except ConnectionError:
                received = b""
            if not received:
                return Answer.GONE
            self._buffer += received
        word, _, self._buffer = self._buffer.partition(b"\n")
        self.ready = True
        return Answer(word.decode())

    def kill(self) -> int:
        """End it and everything in its process group; returns its exit status."""
        self._control.close()
        with suppress(ProcessLookupError):  # it may be gone already, and its group
            os.killpg(self.pid, signal.SIGKILL)
        return self._process.wait()

    def _say(self, line: str) -> None:
        with suppress(ConnectionError):  # it is gone; the next `listen` says so
            self._control.sendall(line.encode())


def serve(control: socket.socket, carry: Callable[[Wanted, threading.Event], None]) -> None:
    """The horse's end: carry out what is asked for, until told to stop or left alone."""
    stopping = threading.Event()
    inbox: queue.SimpleQueue[Wanted | None] = queue.SimpleQueue()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a console's Ctrl-C is the worker's to handle
    signal.signal(signal.SIGTERM, lambda _number, _frame: _stop(stopping, inbox))
    threading.Thread(target=_obey, args=(control, inbox, stopping), name="control", daemon=True).start()
    control.sendall(f"{Answer.READY}\n".encode())
    while (wanted := inbox.get()) is not None:
        carry(wanted, stopping)
        control.sendall(f"{Answer.DONE}\n".encode())


def _obey(control: socket.socket, inbox: "queue.SimpleQueue[Wanted | None]", stopping: threading.Event) -> None:
    """Read the worker's lines. When it is gone, end this process and all that it started."""
    try:
        with control.makefile("r") as lines:
            for line in lines:
                if line.strip() == "stop":
                    _stop(stopping, inbox)
                else:
                    task_id, attempt = line.split()
                    inbox.put(Wanted(int(task_id), int(attempt)))
    finally:  # a worker that died with words of ours unread ends the reading with an error
        os.killpg(0, signal.SIGKILL)


def _stop(stopping: threading.Event, inbox: "queue.SimpleQueue[Wanted | None]") -> None:
    stopping.set()
    inbox.put(None)


def take_control() -> socket.socket:
    """Turn stdin into the control socket, kept from whatever this process starts."""
    control = socket.socket(fileno=os.dup(0))
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    return control


def main() -> None:
    """The process that `COMMAND` starts."""
    control = take_control()
    from workers.jobs import runner
    from workers.logs import configure

    context = runner.context()
    configure(context.settings, "horse")

    def carry(wanted: Wanted, stopping: threading.Event) -> None:
        runner.carry(context, wanted.task_id, wanted.attempt, stopping=stopping, abandon=abandon)

    serve(control, carry)


def abandon() -> None:
    """Another worker has the task and the handler does not notice: end at once, with all that was started."""
    log.error("horse_abandons_lost_task")
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
