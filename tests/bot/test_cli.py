"""The console, as it is typed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bot import command_line
from bot.blocks.words import COMMANDS
from bot.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]
GOOD = b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'


def finetune_bot(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
    )


def test_check_says_trainable():
    done = finetune_bot("check", "--json", str(ROOT / "examples/cookbook_recipe_training.jsonl"))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["format"], report["method"], report["examples"]) == ("openai-chat", "sft", 101)
    assert report["findings"] == []
    assert report["tokens"]["total"] == 13_428


def test_check_names_the_line_of_an_error(tmp_path: Path):
    path = tmp_path / "cut.jsonl"
    path.write_bytes(GOOD * 3 + GOOD[:30])
    done = finetune_bot("check", str(path))
    assert done.returncode == 1
    assert "line 4" in done.stdout


@pytest.mark.parametrize("content", [b"", b"<html></html>", b"\x00\x01\x02"])
def test_check_refuses_what_is_no_dataset(tmp_path: Path, content: bytes):
    path = tmp_path / "odd.jsonl"
    path.write_bytes(content)
    done = finetune_bot("check", str(path))
    assert done.returncode == 2
    assert done.stderr.startswith("finetune-bot: ")
    assert "Traceback" not in done.stderr


def test_convert_writes_the_other_format(tmp_path: Path):
    source, target = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    source.write_bytes(GOOD)
    assert finetune_bot("convert", str(source), "--to", "prompt-completion", "-o", str(target)).returncode == 0
    assert json.loads(target.read_text()) == {"prompt": "a", "completion": "b"}
    done = finetune_bot("convert", str(source), "--to", "papyrus", "-o", str(target))
    assert done.returncode == 2
    assert "openai-chat" in done.stderr


def test_the_manifest_asks_for_what_the_bot_uses():
    manifest = json.loads(finetune_bot("manifest").stdout)
    assert manifest["settings"]["socket_mode_enabled"]
    assert "url" not in manifest["features"]["slash_commands"][0]
    assert {"chat:write", "commands", "files:read", "files:write"} <= set(manifest["oauth_config"]["scopes"]["bot"])
    hint = manifest["features"]["slash_commands"][0]["usage_hint"].split(" | ")
    assert {one.split()[0] for one in hint} == {name.split()[0] for name, _ in COMMANDS} | {"resume"}
    assert [one for one in map(command_line.parse, hint) if isinstance(one, command_line.Help)] == [command_line.Help()]
    over_http = json.loads(finetune_bot("manifest", "--url", "https://bot.example/").stdout)
    assert over_http["features"]["slash_commands"][0]["url"] == "https://bot.example/slack/events"
    assert over_http["settings"]["event_subscriptions"]["request_url"] == "https://bot.example/slack/events"


def test_the_doctor_says_what_is_there_and_what_to_do(tmp_path: Path):
    done = finetune_bot("doctor", FINETUNE_BOT_HOME=str(tmp_path / "home"))
    assert done.returncode == 0, done.stdout
    assert "Python" in done.stdout
    assert "finetune-bot manifest" in done.stdout


def test_the_doctor_finds_a_database_that_is_away(tmp_path: Path):
    done = finetune_bot("doctor", FINETUNE_BOT_HOME=str(tmp_path), DATABASE_URL="postgresql://127.0.0.1:9/none")
    assert done.returncode == 1
    assert "MISSING Database" in done.stdout


@pytest.fixture
def tokens(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    """The environment of a bot of this workspace."""
    return {**sandbox.env(), "FINETUNE_BOT_HOME": str(tmp_path / "home")}


def test_the_doctor_asks_slack_about_each_token(tokens: dict[str, str]):
    done = finetune_bot("doctor", **tokens)
    assert done.returncode == 0, done.stdout
    assert "ok      Slack bot token: finetune_bot in" in done.stdout
    assert "ok      Slack connection: Socket Mode" in done.stdout
    over_http = finetune_bot("doctor", **tokens | {"SLACK_APP_TOKEN": ""})
    assert over_http.returncode == 0, over_http.stdout
    assert "http://127.0.0.1:3001/slack/events" in over_http.stdout


WRONG = [
    ({"SLACK_APP_TOKEN": "", "SLACK_SIGNING_SECRET": ""},
     "Set SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (signed HTTP)"),
    ({"SLACK_BOT_TOKEN": ""}, "SLACK_BOT_TOKEN is not set"),
    ({"SLACK_BOT_TOKEN": "xoxb-wrong"}, "Slack refuses SLACK_BOT_TOKEN (invalid_auth)"),
    ({"SLACK_APP_TOKEN": "xapp-wrong"}, "Slack refuses SLACK_APP_TOKEN (invalid_auth)"),
    ({"SLACK_API_URL": "http://127.0.0.1:9/api/"}, "Slack cannot be reached"),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "said"), WRONG)
def test_wrong_tokens_are_named_by_the_doctor_and_start_nothing(tokens: dict[str, str], wrong: dict, said: str):
    examined = finetune_bot("doctor", **tokens | wrong)
    assert examined.returncode == 1
    assert "MISSING Slack" in examined.stdout
    assert said in examined.stdout
    done = finetune_bot("up", **tokens | wrong)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not Path(tokens["FINETUNE_BOT_HOME"], "logs").exists()


def test_serving_without_a_token_says_what_to_set(tmp_path: Path):
    done = finetune_bot("serve", FINETUNE_BOT_HOME=str(tmp_path))
    assert done.returncode == 1
    assert "SLACK_BOT_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr
