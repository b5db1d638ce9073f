"""python -m benchmarks [dataset] [acks] [remote] [training] [chat] [demo]      (all, unless named)

Each prints one line of JSON with its figures and the ratio to its baseline, and whether the ratio is good enough.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

from benchmarks import acks, chat, dataset, demo, remote, training

ALL: dict[str, Callable[[], dict[str, Any]]] = {
    "dataset": dataset.measure,
    "acks": acks.measure,
    "remote": remote.measure,
    "training": training.measure,
    "chat": chat.measure,
    "demo": demo.measure,
}


def main() -> None:
    """Run what was named. Exit status 1: a ratio is worse than it may be."""
    good = True
    for name in sys.argv[1:] or ALL:
        figures = ALL[name]()
        good = good and bool(figures["good"])
        print(json.dumps({"benchmark": name, **figures}), flush=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
