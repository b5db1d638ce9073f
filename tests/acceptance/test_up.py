"""`finetune-bot up`, as somebody types it: it says where it serves once it does, and leaves nothing behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from bot.sandbox import Sandbox
from tests.acceptance.player import CHANNEL, Player, said

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def up(home: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start it on free ports; killed at the end, with whatever it has started."""
    started: list[subprocess.Popen[str]] = []

    def start(**env: str) -> subprocess.Popen[str]:
        ports = {"FINETUNE_BOT_GATEWAY_PORT": free_port(), "FINETUNE_BOT_SERVE_PORT": free_port()}
        command = [sys.executable, "-m", "bot", "up", "--port", "0"]
        whole = {**os.environ, "PYTHONPATH": str(ROOT), "FINETUNE_BOT_HOME": str(home), **ports, **env}
        started.append(subprocess.Popen(command, env=whole, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


def until(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """Read what it prints until a line is as wanted."""
    printed = []
    for line in process.stdout or ():
        if found := re.search(pattern, line):
            return found
        printed.append(line)
    return pytest.fail(f"It ended. It said: {printed} {process.stderr.read() if process.stderr else ''}")


def test_it_serves_where_it_says_and_leaves_nothing_behind(up):
    process = up()
    address = until(process, r"Your local workspace:\s+(http://\S+)")[1]
    with urllib.request.urlopen(address, timeout=10) as page:
        assert b"<html" in page.read()
    player = Player(address)
    player.person.command(CHANNEL, "/finetune", "help")
    assert "Fine-tune a model" in said(player.wait(player.private, "the help")[-1])

    everything = psutil.Process(process.pid).children(recursive=True)
    assert len(everything) >= 9
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert [one for one in everything if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []


def test_with_tokens_it_says_so_once_the_bot_listens(up):
    with Sandbox() as workspace:
        process = up(**workspace.env())
        until(process, "serves your Slack workspace")
        player = Player(workspace.url)
        assert player.person.command(CHANNEL, "/finetune", "help")["ok"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
