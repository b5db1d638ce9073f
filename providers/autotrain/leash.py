"""The process above a command: when its standard input ends, or says anything, everything it has started ends too.

python -I -S leash.py COMMAND [ARGUMENT...]

It must be the leader of a group of its own. Only the standard library, so that it costs a few milliseconds. The exit
status is the command's.
"""

import os
import resource
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

LOOK_SECONDS = 0.2
_NICENESS = 5


def main() -> int:
    """Start the command and stay until it has ended."""
    os.nice(_NICENESS)  # the processor, and the memory when it runs short, are for those that people wait for
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # Linux only
        Path("/proc/self/oom_score_adj").write_text("500")
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    while child.poll() is None:
        readable, _, _ = select.select([sys.stdin], [], [], LOOK_SECONDS)
        if readable:
            os.killpg(0, signal.SIGKILL)  # and this process with it
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)  # what the command may have left behind
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


if __name__ == "__main__":
    sys.exit(main())
