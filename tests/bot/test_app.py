"""The listening process over signed HTTP: who is let in, what is recorded before an ack, what is done once."""

import hashlib
import hmac
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
import uvicorn
from sqlalchemy import text
from sqlmodel import func, select

from bot import app as bot_app
from bot.sandbox import Sandbox
from bot.sandbox.cast import TEAM_ID
from bot.sandbox.driver import Person
from bot.settings import SlackSettings
from tests.acceptance.player import said
from workers.context import Context
from workers.db import Database
from workers.tables import InboundEvent, Task, Upload

CHANNEL = "#finetuning"
pytestmark = pytest.mark.parametrize("sandbox", [{"delivery": "http", "retry_seconds": (0.1, 0.3, 0.5)}], indirect=True)


@pytest.fixture
def address(sandbox: Sandbox, slack: SlackSettings, context: Context) -> Iterator[str]:
    """The bot's request URL, with the bot behind it; its database waits one second at most."""
    impatient = Database(context.db.url.render_as_string(hide_password=False), busy_seconds=1.0)
    app = bot_app.build(Context(context.settings, impatient, context.storage, context.providers), slack)
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(bot_app.http_app(app), log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}{bot_app.PATH}"
    sandbox.request_url = url
    yield url
    server.should_exit = True
    thread.join()
    listener.close()
    app.listener_runner.listener_executor.shutdown(wait=True)
    impatient.dispose()


def post(url: str, body: bytes, secret: str, *, at: float | None = None, signature: str | None = None) -> int:
    """The status of a request, signed as Slack does (or as given)."""
    return answer(url, body, secret, at=at, signature=signature)[0]


def answer(
    url: str, body: bytes, secret: str, *, at: float | None = None, signature: str | None = None
) -> tuple[int, str]:
    """The status of a request, and what came with it."""
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    headers = {
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": signature if signature is not None else f"v0={digest}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as given:
            return int(given.status), given.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""
    except urllib.error.URLError:  # hung up on in the middle of a body that is too large
        return 413, ""


def command(words: str, trigger: str = "1.2.abc") -> bytes:
    fields = {
        "command": "/finetune",
        "text": words,
        "team_id": TEAM_ID,
        "user_id": "U0TUNER0001",
        "trigger_id": trigger,
    }
    return urlencode({**fields, "channel_id": "C0FINETUNE1", "response_url": "http://127.0.0.1:9/none"}).encode()


def recorded(context: Context) -> int:
    with context.db.read() as session:
        return session.exec(select(func.count()).select_from(InboundEvent)).one()


def test_a_command_is_answered(address: str, person: Person):
    assert person.command(CHANNEL, "/finetune", "help")["ok"]
    told = [one for one in person.messages(CHANNEL) if one.get("ephemeral")]
    assert "Fine-tune a model in four steps" in said(told[-1])


@pytest.mark.parametrize("forged", ["wrong", "none", "old", "other body"])
def test_forged_requests_are_refused_and_change_nothing(
    address: str, slack: SlackSettings, context: Context, forged: str
):
    secret = slack.signing_secret.get_secret_value()
    body = command("status")
    status = {
        "wrong": lambda: post(address, body, "not the secret"),
        "none": lambda: post(address, body, secret, signature=""),
        "old": lambda: post(address, body, secret, at=time.time() - 3600),
        "other body": lambda: post(
            address, body, secret, signature="v0=" + hmac.new(secret.encode(), b"x", hashlib.sha256).hexdigest()
        ),
    }[forged]()
    assert status == 401
    assert recorded(context) == 0


def test_a_replayed_request_is_carried_out_once(address: str, slack: SlackSettings):
    secret = slack.signing_secret.get_secret_value()
    answers = [answer(address, command("help", trigger="7.7.same"), secret) for _ in range(3)]
    assert [status for status, _ in answers] == [200, 200, 200]
    assert "Fine-tune a model in four steps" in answers[0][1]
    assert [said for _, said in answers[1:]] == ["", ""]


def test_an_error_after_the_ack_does_not_take_it_back(address: str, person: Person, eventually):
    """Bolt forgets an ack if the listener fails within ten milliseconds of it."""
    for _ in range(10):
        person.fault(kind="ratelimited", method="views.open", times=1)
        assert person.command(CHANNEL, "/finetune", "start")["ok"]
    eventually(lambda: sum("Slack is busy" in said(one) for one in person.messages(CHANNEL)) == 10)


@pytest.mark.parametrize("body", [b"", b"payload=%7Bnot-json", b"\xff\xfe\x00", b"payload=" + b"x" * 2_000_000])
def test_nonsense_is_refused_without_a_crash(address: str, slack: SlackSettings, body: bytes, person: Person):
    assert post(address, body, slack.signing_secret.get_secret_value()) >= 400
    assert person.command(CHANNEL, "/finetune", "help")["ok"]


def test_a_redelivered_file_is_received_once(address: str, person: Person, context: Context, eventually):
    person.fault(kind="redeliver", method="message", times=3)
    person.say(CHANNEL, "data", files=[("d.jsonl", b"{}")])
    eventually(lambda: count(context, Upload) == 1)
    time.sleep(1.0)
    assert count(context, Upload) == 1
    assert count(context, Task) == 1


def test_pictures_are_nobodys_business_unless_the_bot_is_addressed(
    address: str, person: Person, context: Context, eventually
):
    person.say(CHANNEL, "look", files=[("cat.png", b"\x89PNG\r\n\x1a\n")])
    person.say(CHANNEL, "data", files=[("d.jsonl", b"{}")])
    eventually(lambda: count(context, Upload) == 1)
    person.say("@bot", "is this data?", files=[("dog.png", b"\x89PNG\r\n\x1a\n")])
    eventually(lambda: count(context, Upload) == 2)


def test_guests_and_outsiders_are_refused(address: str, sandbox: Sandbox, context: Context):
    for name in ("Gil", "Olga"):
        stranger = Person(sandbox.url, name)
        stranger.command(CHANNEL, "/finetune", "status")
        told = [one for one in stranger.messages(CHANNEL) if one.get("ephemeral")]
        assert "Guests and people from other organisations" in said(told[-1])
        stranger.say(CHANNEL, "data", files=[("d.jsonl", b"{}")])
    time.sleep(0.5)
    assert count(context, Upload) == 0


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_what_cannot_be_recorded_is_not_acked_and_comes_again(
    address: str, person: Person, context: Context, eventually
):
    with context.db.write() as session:  # nobody else can write now
        session.execute(text("SELECT 1"))
        assert not person.command(CHANNEL, "/finetune", "status")["ok"]
        person.say(CHANNEL, "data", files=[("late.jsonl", b"{}")])
        time.sleep(1.3)
    eventually(lambda: count(context, Upload) == 1)


def test_a_click_on_a_stale_button_is_refused_in_words(address: str, slack: SlackSettings, person: Person):
    payload = {
        "type": "block_actions",
        "team": {"id": TEAM_ID},
        "user": {"id": person.id},
        "channel": {"id": person.channel_id(CHANNEL)},
        "trigger_id": "9.9.x",
        "actions": [{"action_id": "run_cancel", "block_id": "b", "value": "777", "type": "button", "action_ts": "1"}],
    }
    body = urlencode({"payload": json.dumps(payload)}).encode()
    assert post(address, body, slack.signing_secret.get_secret_value()) == 200
    told = [one for one in person.messages(CHANNEL) if one.get("ephemeral")]
    assert "There is no run 777 here" in said(told[-1])


def count(context: Context, table: type) -> int:
    with context.db.read() as session:
        return session.exec(select(func.count()).select_from(table)).one()
