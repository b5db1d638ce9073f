"""The same bot process where Slack reaches it by signed HTTP instead of Socket Mode."""

import os
import shutil
import socket
import tempfile
from pathlib import Path

from bot.launch import Installation
from bot.sandbox import Sandbox
from tests.acceptance.conftest import examples
from tests.acceptance.player import CHANNEL, Player, said


def test_a_file_and_a_command_over_http():
    home = Path(tempfile.mkdtemp(prefix="ftb-"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {"FINETUNE_BOT_HTTP_PORT": str(port)}
    assert "SLACK_APP_TOKEN" not in os.environ
    with Sandbox(delivery="http", request_url=f"http://127.0.0.1:{port}/slack/events") as sandbox:
        with Installation(home, free_ports=True, env=env, sandbox=sandbox) as installation:
            player = Player(installation.sandbox_url, logs=installation.logs)
            report = player.report(player.attach(("over_http.jsonl", examples(12))))
            assert "Ready to train" in said(report)
            player.person.command(CHANNEL, "/finetune", "start")
            assert "over_http.jsonl" in str(player.view("start_form"))
    shutil.rmtree(home)
