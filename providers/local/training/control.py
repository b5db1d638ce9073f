"""What the watcher wants of a trainer: words on its standard input, and the end if the watcher dies.

The pipe closes with the process that holds its other end, however that one dies. A death signal by the
kernel would come when the *thread* that started the trainer ends, which is not the same.
"""

import os
import select
import signal
import sys
import threading
from types import FrameType

from providers.base import ProviderJobStatus
from providers.local.training.run_folder import Reporter

CANCEL = b"cancel\n"
PAUSE = b"pause\n"
_LOOK_SECONDS = 1.0


class Control:
    """Listens on a thread of its own; ends the process itself where there is nothing to save."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._training = False
        self._lock = threading.Lock()
        self._parent = os.getppid()
        self.pause_wanted = threading.Event()

    def start(self) -> None:
        """Begin to listen. SIGTERM means pause; Ctrl-C is for the watcher to interpret."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._on_terminate)
        threading.Thread(target=self._listen, name="control", daemon=True).start()

    def training_begins(self) -> None:
        """From now on a pause waits for a checkpoint."""
        with self._lock:
            self._training = True

    def _on_terminate(self, _number: int, _frame: FrameType | None) -> None:
        self.pause_wanted.set()  # the listening thread acts on it: a handler must not take locks

    def _listen(self) -> None:
        while os.getppid() == self._parent:
            readable, _, _ = select.select([sys.stdin], [], [], _LOOK_SECONDS)
            words = os.read(sys.stdin.fileno(), 4096) if readable else b"-"
            if not words:
                break
            if CANCEL in words:
                self._leave(ProviderJobStatus.CANCELLED)
            if PAUSE in words:
                self.pause_wanted.set()
            if self.pause_wanted.is_set():
                with self._lock:
                    if not self._training:
                        self._leave(ProviderJobStatus.PAUSED)
        os._exit(1)  # the watcher is gone

    def _leave(self, status: ProviderJobStatus) -> None:
        if self._reporter.say(status=status, stage=""):
            os._exit(0)
