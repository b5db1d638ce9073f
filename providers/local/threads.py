"""How many threads to compute with while other processes want the processor too.

Threads that share an operation wait for one another. If one of them has to wait for a core, all do, until the
scheduler's next turn: a multiplication of half a millisecond then takes fifteen. One thread that nobody takes
the core from is many times quicker than two that somebody does.
"""

import os
import time
from pathlib import Path

import psutil
import torch

from providers.local.settings import usable_cores

WINDOW_SECONDS = 0.5
"""How long others are watched before a decision."""
GLANCES = 3
GLANCE_SECONDS = 0.001
_LOAD = Path("/proc/loadavg")


class FairThreads:
    """Gives torch as many threads as there are cores that others leave free. For the thread that computes."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._most = usable_cores()
        self._cores = os.cpu_count() or 1
        self._now = self._most
        self._at, self._all, self._own = self._look()
        torch.set_num_threads(self._most)

    def adjust(self) -> int:
        """Look at what others have used since the last look, if that was long enough ago; the number of threads."""
        if time.monotonic() - self._at < WINDOW_SECONDS:
            return self._now
        at, everyone, own = self._look()
        others = max(0.0, (everyone - self._all) - (own - self._own)) / (at - self._at)
        self._at, self._all, self._own = at, everyone, own
        return self._use(share(self._most, self._cores, others))

    def resume(self) -> int:
        """Begin again after idle time: what others did meanwhile is past, who computes at this moment counts."""
        self._at, self._all, self._own = self._look()
        running = others_running()
        return self._now if running is None else self._use(share(self._most, self._cores, running))

    def _use(self, wanted: int) -> int:
        if wanted != self._now:
            torch.set_num_threads(wanted)
            self._now = wanted
        return wanted

    def _look(self) -> tuple[float, float, float]:
        times, own = psutil.cpu_times(), self._process.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # counted as user time already
        return time.monotonic(), sum(times) - idle - guests, own.user + own.system


def others_running() -> int | None:
    """How many threads of others compute at this moment: the fewest of a few glances. None where it is not told."""
    seen = []
    for _ in range(GLANCES):
        time.sleep(GLANCE_SECONDS)
        try:
            seen.append(int(_LOAD.read_text().split()[3].partition("/")[0]) - 1)  # without the one that looks
        except (OSError, ValueError, IndexError):
            return None
    return max(0, min(seen))


def share(most: int, cores: int, others: float) -> int:
    """Threads for this process, if others keep so many of this machine's cores busy."""
    return max(1, min(most, round(cores - others)))
