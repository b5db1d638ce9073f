"""The demo as a newcomer runs it: the real 135M model learns the recipe task."""

import json
import subprocess
import sys

import pytest


@pytest.mark.real_model
@pytest.mark.timeout(1500)
def test_the_demo_teaches_the_real_model():
    done = subprocess.run(
        [sys.executable, "-m", "bot", "demo", "--json"], capture_output=True, text=True, timeout=1400, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["examples"] == {"train": 101, "test": 40}
    assert figures["base"]["f1"] < 0.1
    assert figures["tuned"]["f1"] >= 0.6
    assert figures["tuned"]["valid_json"] >= 0.9
    assert figures["tokens_per_second"] > 0
    assert len(figures["answers"]) == 3
    assert {"check", "start", "training", "evaluation", "chat", "http", "whole"} <= set(figures["seconds"])
