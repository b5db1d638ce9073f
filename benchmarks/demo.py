"""The whole demo, beside a plain TRL script that trains on the same data on the same machine in the same run."""

import json
import subprocess
import sys
import time
from typing import Any

MOST_RATIO = 1.6


def measure() -> dict[str, Any]:
    """Seconds of both, and their ratio."""
    plain, plain_figures = _timed("-m", "benchmarks.plain_trl")
    demo, demo_figures = _timed("-m", "bot", "demo", "--json")
    return {
        "plain_seconds": round(plain, 1),
        "demo_seconds": round(demo, 1),
        "ratio": round(demo / plain, 3),
        "plain": plain_figures,
        "demo": {name: demo_figures[name] for name in ("seconds", "tokens_per_second", "base", "tuned")},
        "good": demo / plain <= MOST_RATIO,
    }


def _timed(*arguments: str) -> tuple[float, dict[str, Any]]:
    began = time.monotonic()
    done = subprocess.run([sys.executable, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return time.monotonic() - began, figures
