"""Logs tell what happened, and never a secret, whoever wrote it."""

import json
import subprocess
import sys

import pytest

from workers.logs import REDACTED, redacted

SECRETS = {
    "bot token": "xoxb-1234-5678-Canary",
    "refresh token": "xoxe.xoxp-1-Canary",
    "app token": "xapp-1-A0-99-Canary",
    "vendor's key": "sk-proj-Canary1234",
    "our key": "ftb-Canary1234",
    "hub token": "hf_Canary1234567",
    "webhook": "https://hooks.slack.com/services/T1/B1/Canary",
    "response url of a command": "https://hooks.slack.com/commands/T1/123/Canary",
    "response url of a click": "https://hooks.slack.com/actions/T1/123/Canary",
    "socket": "wss://wss-primary.slack.com/link/?ticket=Canary-1234&app_id=A1",
    "socket, ticket last": "wss://wss-primary.slack.com/link/?app_id=A1&ticket=Canary",
    "password in a URL": "postgresql://user:Canary@db/finetune",
    "bearer": "Authorization: Bearer Canary-abc.def",
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_what_looks_like_a_secret_is_redacted(secret):
    for value in (secret, f"before {secret} after", [secret], {"detail": (secret,)}, ValueError(secret)):
        assert "Canary" not in str(redacted(value))


def test_what_is_named_like_a_secret_is_redacted():
    assert redacted({"bot_token": "plain", "api_key": "plain", "signing_secret": "plain", "tokens": 12}) == {
        "bot_token": REDACTED, "api_key": REDACTED, "signing_secret": REDACTED, "tokens": 12,
    }  # fmt: skip


@pytest.mark.parametrize("harmless", ["task-12 failed", "sk", "https://example.org/a:b", "recipes-v1", "disk-full"])
def test_harmless_words_stay(harmless):
    assert redacted(harmless) == harmless


PROGRAM = """
import logging, structlog
from workers.logs import configure
from workers.settings import Settings
configure(Settings(log_format={log_format!r}), "notifier")
log = structlog.get_logger()
log.info("started", url="redis://u:Canary@h/0", slack_token="Canary", answer=12)
logging.getLogger("slack_bolt.App").warning("no answer for %s", "xoxb-1-Canary")
logging.getLogger("slack_sdk").warning("lost %s", "wss://wss-primary.slack.com/link/?ticket=Canary&app_id=A1")
logging.getLogger("slack_sdk").error("no answer of %s", "https://hooks.slack.com/actions/T1/1/Canary")
for logger in (log, logging.getLogger("sqlalchemy")):
    try:
        raise ValueError("sk-Canary12345")
    except ValueError:
        logger.exception("crashed")
logging.getLogger("urllib3").info("chatter")
"""


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_secret_leaves_a_process_by_its_log(log_format):
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(log_format=log_format)], capture_output=True, text=True, check=True
    )
    assert run.stdout == ""
    assert "Canary" not in run.stderr
    assert "Traceback" in run.stderr
    assert "chatter" not in run.stderr
    if log_format == "json":
        lines = [json.loads(line) for line in run.stderr.splitlines()]
        assert [one["event"] for one in lines] == [
            "started",
            f"no answer for {REDACTED}",
            f"lost wss://wss-primary.slack.com/link/?ticket={REDACTED}&app_id=A1",
            f"no answer of https://hooks.slack.com/{REDACTED}",
            "crashed",
            "crashed",
        ]
        assert {one["process"] for one in lines} == {"notifier"}
        assert (lines[0]["answer"], lines[0]["slack_token"]) == (12, REDACTED)
