"""A program ends with everything that it has started: when asked, and when whoever watches it is gone."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from providers.autotrain import program, settings

NESTED = (
    "sh -c 'sleep 60 & echo $! > {place}/part; mv {place}/part {place}/inner; sleep 60' & echo $! > {place}/outer; "
    "sleep 60; echo never"
)


def gone(*files, seconds=10):
    until = time.monotonic() + seconds
    numbers = [int(file.read_text()) for file in files]
    while time.monotonic() < until:
        if not any(_lives(number) for number in numbers):
            return True
        time.sleep(0.02)
    return False


def _lives(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def run(tmp_path, script, stopping=None, **given):
    return program.run(
        ["sh", "-c", script], environment={"PATH": os.defpath}, folder=tmp_path, output=tmp_path / "log",
        stopping=stopping or threading.Event(), **given,
    )  # fmt: skip


def test_its_output_and_its_exit_status(tmp_path):
    looks = []
    assert run(tmp_path, "echo out; echo err >&2; exit 3", look=lambda: looks.append(1)) == 3
    assert run(tmp_path, "kill -9 $$") == 137
    assert (tmp_path / "log").read_text() == "out\nerr\n"
    assert looks


def test_the_end_takes_all_of_them(tmp_path):
    stopping, began = threading.Event(), time.monotonic()

    def look():
        if (tmp_path / "inner").exists():
            stopping.set()

    with pytest.raises(program.Ended):
        run(tmp_path, NESTED.format(place=tmp_path), stopping, look=look)
    assert time.monotonic() - began < 10
    assert gone(tmp_path / "inner", tmp_path / "outer")
    assert "never" not in (tmp_path / "log").read_text()


def test_what_a_command_leaves_behind_is_ended(tmp_path):
    assert run(tmp_path, f"sleep 60 & echo $! > {tmp_path}/left; exit 0") == 0
    assert gone(tmp_path / "left")


def test_nothing_outlives_a_watcher_that_was_killed(tmp_path):
    script = (
        "import threading; from pathlib import Path; from providers.autotrain import program\n"
        f"program.run(['sh', '-c', {NESTED.format(place=tmp_path)!r}], environment={{'PATH': '/usr/bin:/bin'}},"
        f" folder=Path({str(tmp_path)!r}), output=Path({str(tmp_path / 'log')!r}), stopping=threading.Event())"
    )
    watcher = subprocess.Popen([sys.executable, "-c", script])
    until = time.monotonic() + 20
    while not (tmp_path / "inner").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    watcher.kill()
    watcher.wait()
    assert gone(tmp_path / "inner", tmp_path / "outer")


def test_it_is_told_no_secret_and_has_its_own_programs_first(tmp_path):
    told = {
        "PATH": "/usr/bin", "HOME": "/root", "SLACK_BOT_TOKEN": "xoxb", "HF_TOKEN": "hf", "OPENAI_API_KEY": "sk",
        "FINETUNE_BOT_SECRET": "s", "CUDA_VISIBLE_DEVICES": "1", "PYTHONPATH": "/x", "HTTPS_PROXY": "p",
    }  # fmt: skip
    given = settings.training_environment(tmp_path / "venv", tmp_path, told)
    assert given["PATH"].split(":")[:2] == [str(tmp_path / "venv" / "bin"), "/usr/bin"]
    assert given["CUDA_VISIBLE_DEVICES"] == "1"
    assert (given["ALLOW_REMOTE_CODE"], given["HF_HUB_OFFLINE"], given["PAUSE_ON_FAILURE"]) == ("false", "1", "0")
    assert not {"SLACK_BOT_TOKEN", "HF_TOKEN", "OPENAI_API_KEY", "FINETUNE_BOT_SECRET", "PYTHONPATH"} & set(given)
    installer = settings.installing_environment(told)
    assert installer["HTTPS_PROXY"] == "p"
    assert not {"SLACK_BOT_TOKEN", "HF_TOKEN", "OPENAI_API_KEY", "FINETUNE_BOT_SECRET"} & set(installer)
    assert settings.find_links({"PIP_FIND_LINKS": "/a /b"}) == ["/a", "/b"]
    assert settings.find_links({}) == []
