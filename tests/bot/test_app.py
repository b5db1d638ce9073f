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
from typing import Any
from urllib.parse import urlencode

import pytest
import uvicorn
from sqlalchemy import text
from sqlmodel import func, select

from bot import app as bot_app
from bot.blocks import endpoint as endpoint_blocks
from bot.client import build
from bot.sandbox import Sandbox
from bot.sandbox.cast import BOT_USER_ID, TEAM_ID
from bot.sandbox.driver import Person
from bot.settings import SlackSettings
from tests.acceptance.player import said
from workers.context import Context
from workers.db import Database
from workers.run_status import RunStatus
from workers.tables import ApiKey, ChatThread, ChatTurn, Dataset, Endpoint, InboundEvent, Run, Task, Upload

CHANNEL = "#finetuning"
BOT = f"<@{BOT_USER_ID}>"
Message = dict[str, Any]
pytestmark = pytest.mark.parametrize("sandbox", [{"delivery": "http", "retry_seconds": (0.1, 0.3, 0.5)}], indirect=True)


@pytest.fixture
def address(sandbox: Sandbox, slack: SlackSettings, context: Context) -> Iterator[str]:
    """The bot's request URL, with the bot behind it; its database waits one second at most."""
    impatient = Database(context.db.url.render_as_string(hide_password=False), busy_seconds=1.0)
    settings = context.settings.model_copy(update={"admins": sandbox.env()["FINETUNE_BOT_ADMINS"]})
    app = bot_app.build(Context(settings, impatient, context.storage, context.providers), slack)
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


def post(url: str, body: bytes, secret: str, **more: Any) -> int:
    """The status of a request, signed as Slack does (or as given)."""
    return answer(url, body, secret, **more)[0]


def answer(
    url: str,
    body: bytes,
    secret: str,
    *,
    at: float | None = None,
    signature: str | None = None,
    kind: str = "application/x-www-form-urlencoded",
) -> tuple[int, str]:
    """The status of a request, and what came with it."""
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    headers = {
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": signature if signature is not None else f"v0={digest}",
        "Content-Type": kind,
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


@pytest.fixture
def rey(sandbox: Sandbox) -> Person:
    """Another member of the workspace."""
    return Person(sandbox.url, "Rey")


def run_of(context: Context, somebody: Person) -> int:
    owner = {"team_id": TEAM_ID, "channel_id": somebody.channel_id(CHANNEL), "creator_id": somebody.id}
    with context.db.write() as session:
        dataset = Dataset(
            **owner, name="d.jsonl", sha256="0", storage_key="k", format="openai-chat", method="sft", examples=10,
            trainable=True,
        )  # fmt: skip
        session.add(dataset)
        session.flush()
        run = Run(
            **owner, name="theirs", request_key=somebody.id, dataset_id=dataset.id, provider="local", base_model="m",
            method="sft", plan={}, status=RunStatus.QUEUED,
        )  # fmt: skip
        session.add(run)
        session.flush()
        return run.id or 0


def test_an_admin_cancels_anybodys_run_and_a_member_only_their_own(
    address: str, person: Person, rey: Person, context: Context
):
    mine, theirs = run_of(context, person), run_of(context, rey)
    rey.command(CHANNEL, "/finetune", f"cancel {mine}")
    assert "Only the person who started this, or an admin" in told(rey)
    person.command(CHANNEL, "/finetune", f"cancel {theirs}")  # the first of the cast is admin
    assert "is cancelled" in told(person)
    with context.db.read() as session:
        assert session.get_one(Run, mine).status is RunStatus.QUEUED
        assert session.get_one(Run, theirs).status is RunStatus.CANCELLED


def test_a_run_is_paused_resumed_and_shown_by_its_number(address: str, person: Person, rey: Person, context: Context):
    mine = run_of(context, person)
    person.command(CHANNEL, "/finetune", f"pause {mine}")
    assert "Only a run that trains can be paused" in told(person)
    with context.db.write() as session:
        session.get_one(Run, mine).status = RunStatus.TRAINING
    rey.command(CHANNEL, "/finetune", f"pause {mine}")
    assert "Only the person who started this, or an admin" in told(rey)
    person.command(CHANNEL, "/finetune", f"pause {mine}")
    assert "is asked to pause" in told(person)
    with context.db.write() as session:
        run = session.get_one(Run, mine)
        assert run.pause_requested
        run.status = RunStatus.PAUSED
        run.plan = {"dataset_id": run.dataset_id}
    person.command(CHANNEL, "/finetune", f"pause #{mine}")
    assert "is paused" in told(person)
    person.command(CHANNEL, "/finetune", f"resume {mine}")
    assert "goes on" in told(person)
    rey.command(CHANNEL, "/finetune", f"show {mine}")
    assert "theirs" in told(rey)
    rey.command(CHANNEL, "/finetune", f"show {mine + 1}")
    assert f"There is no run {mine + 1} here" in told(rey)


def test_a_mention_is_answered_once(address: str, person: Person, context: Context, eventually):
    person.fault(kind="redeliver", method="app_mention", times=3)
    mine = run_of(context, person)
    person.say(CHANNEL, f"{BOT} cancel {mine}")
    eventually(lambda: "is cancelled" in told(person))
    time.sleep(0.5)
    assert sum("is cancelled" in said(one) for one in person.messages(CHANNEL)) == 1


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_mention_that_could_not_be_carried_out_comes_again(
    address: str, person: Person, context: Context, eventually
):
    mine = run_of(context, person)
    with context.db.write() as session:  # nobody else can write now
        session.execute(text("SELECT 1"))
        person.say(CHANNEL, f"{BOT} cancel {mine}")
        time.sleep(1.3)
    eventually(lambda: "is cancelled" in told(person))
    with context.db.read() as session:
        assert session.get_one(Run, mine).status is RunStatus.CANCELLED


def test_a_reply_that_is_also_sent_to_the_channel_is_answered(
    address: str, slack: SlackSettings, person: Person, context: Context, endpoint: Message
):
    event = {
        "type": "message", "subtype": "thread_broadcast", "user": person.id, "text": "and here?", "ts": "1999999999.1",
        "thread_ts": endpoint["ts"], "channel": person.channel_id(CHANNEL), "channel_type": "channel",
    }  # fmt: skip
    body = {"type": "event_callback", "team_id": TEAM_ID, "event": event, "event_id": "Ev1", "event_time": 1}
    secret = slack.signing_secret.get_secret_value()
    assert post(address, json.dumps(body).encode(), secret, kind="application/json") == 200
    with context.db.read() as session:
        assert session.exec(select(ChatTurn)).one().question == "and here?"


@pytest.fixture
def endpoint(person: Person, context: Context, slack: SlackSettings) -> Message:
    """An endpoint's message in Slack, and its thread, which the endpoint answers."""
    channel_id = person.channel_id(CHANNEL)
    owner = {"team_id": TEAM_ID, "channel_id": channel_id, "creator_id": person.id}
    with context.db.write() as session:
        target = Endpoint(**owner, name="recipes", provider="stub", model="m")
        session.add(target)
        session.flush()
        drawn = endpoint_blocks.draw(target, "http://127.0.0.1:1")
        ts = str(build(slack).chat_postMessage(channel=channel_id, text=drawn.text, blocks=drawn.blocks)["ts"])
        session.add(ChatThread(**owner, thread_ts=ts, endpoint_id=target.id))
    return next(one for one in person.messages(CHANNEL) if one["ts"] == ts)


def test_keys_are_listed_for_their_maker_and_revoked_from_the_list(
    address: str, person: Person, rey: Person, context: Context, endpoint: Message
):
    for somebody in (person, person, rey):
        assert not somebody.click(endpoint, "endpoint_key").get("error")
    with context.db.read() as session:
        mine = [one for one in session.exec(select(ApiKey)) if one.creator_id == person.id]
    person.click(endpoint, "endpoint_keys")
    shown = [one for one in person.messages(CHANNEL) if one.get("ephemeral")][-1]
    assert all(one.prefix in said(shown) for one in mine)
    assert str(shown["blocks"]).count("key_revoke") == 2

    newest = shown["blocks"][1]["accessory"]
    person.click(shown, "key_revoke", block_id=shown["blocks"][1]["block_id"])
    with context.db.read() as session:
        open_now = {one.id for one in session.exec(select(ApiKey).where(ApiKey.revoked_at == None))}  # noqa: E711 -- SQL
    assert len(open_now) == 2
    assert int(newest["value"]) not in open_now


def test_a_key_that_could_not_be_told_is_revoked(
    address: str, person: Person, context: Context, endpoint: Message, eventually, monkeypatch: pytest.MonkeyPatch
):
    def unheard(*_given: object, **_more: object) -> None:
        raise TimeoutError("Slack does not answer")

    monkeypatch.setattr("bot.listeners.actions.tell", unheard)
    person.click(endpoint, "endpoint_key")
    eventually(lambda: count(context, ApiKey) == 1 and revoked(context))
    eventually(lambda: "That did not work" in told(person))


def revoked(context: Context) -> bool:
    with context.db.read() as session:
        return all(one.revoked_at for one in session.exec(select(ApiKey)))


def told(somebody: Person) -> str:
    """The last thing that only this person was shown."""
    return next((said(one) for one in reversed(somebody.messages(CHANNEL)) if one.get("ephemeral")), "")


def count(context: Context, table: type) -> int:
    with context.db.read() as session:
        return session.exec(select(func.count()).select_from(table)).one()
