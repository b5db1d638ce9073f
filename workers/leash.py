"""Nothing outlives the process that started it.

    python -I -S workers/leash.py PARENT_PID COMMAND [ARGUMENT...]

On Linux the kernel kills the command when its parent dies, so the leash only says so and becomes the
command. Elsewhere it stays and watches. Only the standard library, so that it costs a few milliseconds.
"""

import os
import signal
import sys
import time

WATCH_SECONDS = 0.5
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies, where the kernel can (Linux)."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def command(*arguments: str) -> list[str]:
    """The command line that starts `arguments` on a leash held by the calling process."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *arguments]


def run(parent: int, arguments: list[str], *, watch: bool) -> int:
    """Become the command, or stay and watch over it."""
    if watch:
        return _watch(parent, arguments)
    die_with_parent()
    if os.getppid() != parent:
        return 1  # the parent died before it could be watched
    os.execvp(arguments[0], arguments)
    return None


def _watch(parent: int, arguments: list[str]) -> int:
    import subprocess

    child = subprocess.Popen(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: child.send_signal(received))
    while child.poll() is None:
        if os.getppid() != parent:
            child.kill()
        time.sleep(WATCH_SECONDS)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1]), sys.argv[2:], watch=sys.platform != "linux"))
