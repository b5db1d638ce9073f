"""Vendor credentials through Slack: who may, the form, what is told, and where nothing secret ever is."""

import dataclasses
import io
import json
import logging
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
import structlog
from redis import Redis
from slack_sdk import WebClient
from sqlalchemy import inspect, text
from sqlmodel import select

from bot.deliver import deliver
from bot.middleware import People
from bot.sandbox import Sandbox
from bot.sandbox.cast import BOT_USER_ID, TEAM_ID
from bot.sandbox.driver import Person
from providers.registry import build as build_providers
from providers.settings import ProviderSettings
from tests.acceptance.player import has, said
from tests.models_server import ModelsServer
from workers import announcements
from workers.context import Context, open_database
from workers.jobs import runner
from workers.logs import redact
from workers.run_status import RunStatus
from workers.tables import Credential, CredentialStatus, Dataset, HostedModel, LeaseStatus, Run, Task

CHANNEL = "#finetuning"
KEY = "Canary0123456789OfNoKnownShape"
Message = dict[str, Any]
pytestmark = pytest.mark.parametrize("sandbox", [{"delivery": "http"}], indirect=True)


@pytest.fixture
def vendor() -> Iterator[ModelsServer]:
    with ModelsServer(KEY) as server:
        yield server


@pytest.fixture
def connected(context: Context, sandbox: Sandbox, vendor: ModelsServer) -> Iterator[Context]:
    """The context with OpenAI at this machine's vendor, and a database that rings for its tasks."""
    settings = context.settings.model_copy(update={"admins": sandbox.env()["FINETUNE_BOT_ADMINS"]})
    providers = build_providers(ProviderSettings(openai_url=vendor.url))
    ringing = open_database(settings, busy_seconds=5.0)
    yield dataclasses.replace(context, settings=settings, db=ringing, providers=providers)
    ringing.dispose()


@pytest.fixture
def bot(answering: Callable[[Context], AbstractContextManager[None]], connected: Context) -> Iterator[None]:
    """The bot behind its request URL, with this test's vendor."""
    with answering(connected):
        yield


@pytest.fixture
def check(connected: Context, client: WebClient) -> Callable[[], None]:
    """Play the cloud worker and the notifier: carry out what is queued, then send what is wanted."""

    def once() -> None:
        with connected.db.read() as session:
            queued = session.exec(select(Task).where(Task.kind == "check_credential")).all()
        for task in queued:
            runner.carry(connected, task.id or 0, task.attempt)
        with connected.db.write() as session:
            due = announcements.take_due(session, 60.0)
        for claimed in due:
            deliver(connected, client, claimed)

    return once


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """What the processes' logs show, libraries' loggers included."""
    shown = io.StringIO()
    structlog.configure(
        processors=[structlog.processors.format_exc_info, redact, structlog.processors.KeyValueRenderer()],
        logger_factory=structlog.WriteLoggerFactory(shown),
        cache_logger_on_first_use=False,
    )
    with caplog.at_level(logging.INFO):
        yield lambda: shown.getvalue() + caplog.text
    structlog.reset_defaults()


@pytest.fixture
def rey(sandbox: Sandbox) -> Person:
    """A member who is no admin."""
    return Person(sandbox.url, "Rey")


def told(somebody: Person, channel: str = CHANNEL) -> Message:
    """The last thing that only this person was shown."""
    return next(one for one in reversed(somebody.messages(channel)) if one.get("ephemeral"))


def overview(somebody: Person) -> Message:
    assert somebody.command(CHANNEL, "/finetune", "keys")["ok"]
    return told(somebody)


def line(shown: Message, provider: str) -> str:
    """The block that is about a vendor, as text."""
    names = {"openai": "OpenAI", "azure_openai": "Azure OpenAI", "azure_ml": "Azure Machine Learning"}
    return next(
        one["text"]["text"]
        for one in shown["blocks"]
        if one["type"] == "section" and one["text"]["text"].startswith(f"*{names[provider]}*")
    )


def click(somebody: Person, shown: Message, action_id: str, provider: str) -> Message:
    """Click the button of one vendor; all of them have the same action id."""
    block = next(
        one
        for one in shown["blocks"]
        if any(
            e.get("action_id") == action_id and e.get("value") == provider
            for e in [*(one.get("elements") or []), one.get("accessory") or {}]
        )
    )
    return somebody.click(shown, action_id, block_id=block["block_id"])


def form(somebody: Person, provider: str = "openai", shown: Message | None = None) -> Message:
    answer = click(somebody, shown or overview(somebody), "keys_enter", provider)
    assert not answer.get("error"), answer
    for _ in range(200):
        views = somebody.state()["views"]
        if views:
            assert views[-1]["callback_id"] == "keys_form"
            return dict(views[-1])
        threading.Event().wait(0.02)
    return pytest.fail("no form came")


def rows(context: Context) -> list[Credential]:
    with context.db.read() as session:
        return list(session.exec(select(Credential)))


def test_an_admin_enters_a_key_and_reads_that_it_works(
    bot: None, connected: Context, person: Person, check: Callable[[], None]
):
    shown = overview(person)
    assert [line(shown, one).partition(" · ")[2] for one in ("openai", "azure_openai", "azure_ml")] == [
        "not set up"
    ] * 3
    answer = person.submit(form(person), {"api_key": KEY, "organization": "org-1"})
    assert answer["ok"]
    assert person.state()["views"] == []
    assert "being checked" in line(overview(person), "openai")
    check()
    outcome = told(person)
    assert "OpenAI takes these credentials" in outcome["text"]
    assert not has(outcome, "keys_enter")
    assert "✅ works" in line(overview(person), "openai")
    assert "org-1" in json.dumps(overview(person))
    assert [one.status for one in rows(connected)] == [CredentialStatus.WORKING]


def test_a_refused_key_is_told_to_who_entered_it_alone_and_replaced(
    bot: None, connected: Context, person: Person, rey: Person, check: Callable[[], None]
):
    person.submit(form(person), {"api_key": "CanaryWrong"})
    check()
    outcome = told(person)
    assert "cannot be used with these credentials" in outcome["text"]
    assert "OpenAI" in outcome["text"]
    assert "does not work" in line(overview(person), "openai")
    assert not [one for one in rey.messages(CHANNEL) if one.get("bot_id")]
    person.submit(form(person, shown=outcome), {"api_key": KEY})
    check()
    assert "takes these credentials" in told(person)["text"]


def test_a_vendor_that_is_away_is_told_and_asked_again_on_a_click(
    bot: None, connected: Context, person: Person, vendor: ModelsServer, check: Callable[[], None]
):
    vendor.faults = [(503, {"error": {"message": "away"}}, {})] * 4
    person.submit(form(person), {"api_key": KEY})
    for _ in range(4):
        check()
    outcome = told(person)
    assert "could not be asked" in outcome["text"]
    click(person, outcome, "keys_check", "openai")
    replaced = next(one for one in person.messages(CHANNEL) if one["ts"] == outcome["ts"])
    assert "being checked" in line(replaced, "openai")
    check()
    assert "takes these credentials" in told(person)["text"]


def test_what_is_wrong_is_told_at_its_field_and_the_form_stays(bot: None, connected: Context, person: Person):
    view = form(person, "azure_ml")
    values = {
        "tenant_id": "not an id", "client_id": "01234567-89ab-cdef-0123-456789abcdef", "client_secret": "Canary",
        "subscription_id": "01234567-89ab-cdef-0123-456789abcdef", "resource_group": "rg", "workspace": "w s",
    }  # fmt: skip
    answer = person.submit(view, values)
    assert set(answer["errors"]) == {"tenant_id", "workspace"}
    assert rows(connected) == []
    assert person.submit(view, {**values, "tenant_id": values["client_id"], "workspace": "ws"}).get("errors") is None
    assert [one.provider for one in rows(connected)] == ["azure_ml"]


def test_an_address_that_is_not_azures_is_refused(bot: None, connected: Context, person: Person):
    answer = person.submit(form(person, "azure_openai"), {"endpoint": "https://evil.example", "api_key": KEY})
    assert set(answer["errors"]) == {"endpoint"}
    assert rows(connected) == []


def test_a_secret_is_never_shown_again_and_an_empty_one_stays(
    bot: None, connected: Context, person: Person, check: Callable[[], None]
):
    person.submit(form(person), {"api_key": KEY, "organization": "org-1"})
    check()
    view = form(person)
    assert KEY not in json.dumps(view)
    assert '"org-1"' in json.dumps(view)
    person.submit(view, {"project": "proj_1"})
    row = rows(connected)[0]
    assert connected.vault.open(row.sealed) == {"api_key": KEY, "organization": "org-1", "project": "proj_1"}


def test_forgetting_asks_first_and_takes_the_vendor_away(bot: None, connected: Context, person: Person):
    person.submit(form(person), {"api_key": KEY})
    shown = overview(person)
    assert '"Forget these credentials?"' in json.dumps(shown)
    click(person, shown, "keys_forget", "openai")
    assert rows(connected) == []
    replaced = next(one for one in person.messages(CHANNEL) if one["ts"] == shown["ts"])
    assert "not set up" in line(replaced, "openai")
    person.submit(form(person), {"api_key": KEY})
    assert len(rows(connected)) == 1


def test_what_is_hosted_keeps_the_credentials_and_an_admin_reads_why(bot: None, connected: Context, person: Person):
    where = {"team_id": TEAM_ID, "channel_id": person.channel_id(CHANNEL), "creator_id": person.id}
    values = {"endpoint": "https://ours.openai.azure.com", "api_key": KEY}
    person.submit(form(person, "azure_openai"), values)
    with connected.db.write() as session:
        dataset = Dataset(**where, name="a", sha256="a", storage_key="a", format="openai-chat", method="sft",
                          examples=9, trainable=True)  # fmt: skip
        session.add(dataset)
        session.flush()
        run = Run(**where, name="reci*pes", request_key="k", dataset_id=dataset.id, provider="azure_openai",
                  base_model="m", method="sft", status=RunStatus.EVALUATING)  # fmt: skip
        session.add(run)
        session.flush()
        session.add(HostedModel(**where, run_id=run.id, provider="azure_openai", name="d", model="m",
                                status=LeaseStatus.READY))  # fmt: skip
    shown = overview(person)
    assert "1 run there is not over" in said(shown)
    click(person, shown, "keys_forget", "azure_openai")
    assert "still hosts models of reci*pes (run 1). Without these credentials" in said(told(person))
    moved = person.submit(form(person, "azure_openai"), {**values, "endpoint": "https://theirs.openai.azure.com"})
    assert "must stay “https://ours.openai.azure.com”" in moved["errors"]["endpoint"]
    assert rows(connected)[0].shown == {"endpoint": "https://ours.openai.azure.com"}


def test_others_read_who_may_and_open_nothing(bot: None, sandbox: Sandbox, connected: Context, rey: Person):
    rey.command(CHANNEL, "/finetune", "keys")
    assert "Only an admin of Finetune Bot may see or change vendor credentials. Whoever" in said(told(rey))
    assert rey.id in said(told(rey))
    gil = Person(sandbox.url, "Gil")
    gil.command(CHANNEL, "/finetune", "keys")
    assert "Guests" in said(told(gil))


def test_rights_are_asked_again_on_every_click_and_on_submitting(
    bot: None, connected: Context, person: Person, check: Callable[[], None], monkeypatch: pytest.MonkeyPatch
):
    person.submit(form(person), {"api_key": KEY})
    check()
    shown, view = overview(person), form(person)
    before = rows(connected)[0]
    asked = People.actor
    monkeypatch.setattr(People, "actor", lambda self, *given: dataclasses.replace(asked(self, *given), is_admin=False))
    for action_id in ("keys_enter", "keys_check", "keys_forget"):
        click(person, shown, action_id, "openai")
        assert "Only an admin" in said(told(person))
    person.submit(view, {"api_key": "CanaryOther"})
    direct = person.messages("@bot")[-1]
    assert "Only an admin" in said(direct)
    now = rows(connected)[0]
    assert (now.revision, now.sealed) == (before.revision, before.sealed)


def test_outside_the_bots_channels_the_outcome_comes_directly(
    bot: None, connected: Context, person: Person, check: Callable[[], None]
):
    assert person.command("#planning", "/finetune", "keys")["ok"]
    shown = told(person, "#planning")
    person.submit(form(person, shown=shown), {"api_key": KEY})
    check()
    assert any("takes these credentials" in one["text"] for one in person.messages("@bot"))


def test_a_mention_shows_them_to_the_admin_alone(
    bot: None, connected: Context, person: Person, rey: Person, eventually
):
    person.say(CHANNEL, f"<@{BOT_USER_ID}> keys")
    eventually(lambda: any(one.get("ephemeral") for one in person.messages(CHANNEL)))
    assert "not set up" in line(told(person), "openai")
    assert not [one for one in rey.messages(CHANNEL) if one.get("bot_id")]


def test_no_secret_leaves_the_vault(
    bot: None, connected: Context, person: Person, vendor: ModelsServer, check: Callable[[], None],
    logged: Callable[[], str],
):  # fmt: skip
    """Into the database, the queue, Slack and the logs goes nothing of what was entered."""
    secrets = {"api_key": KEY, "webhook_secret": "whsecCanary42"}
    person.submit(form(person), secrets)
    check()
    person.submit(form(person), {"api_key": "CanaryRefused99"})
    check()
    azure = {
        "endpoint": "https://ours.openai.azure.com", "tenant_id": "01234567-89ab-cdef-0123-456789abcdef",
        "client_id": "11234567-89ab-cdef-0123-456789abcdef", "client_secret": "Canary~Entra",
    }  # fmt: skip
    person.submit(form(person, "azure_openai"), {**azure, "tenant_id": "wrong"})
    form(person)
    assert vendor.asked[0][1] == f"Bearer {KEY}"
    with connected.db.read() as session:
        database = "\n".join(
            str(tuple(row))
            for table in inspect(connected.db.engine).get_table_names()
            for row in session.execute(text(f'SELECT * FROM "{table}"'))
        )
    assert "save_credentials" in database
    with Redis.from_url(connected.settings.redis) as redis:
        queue = "\n".join(str(key) + everything(redis, key) for key in redis.keys())
    assert "check_credential" not in queue  # ids only
    assert "workers.jobs.runner.carry_out" in queue
    calls = json.dumps(person.journal(kind="call"))
    assert "keys_form" in calls
    metadata = json.dumps([one.get("private_metadata") for one in person.state()["views"]])
    seen = {"database": database, "queue": queue, "Slack": calls, "metadata": metadata, "log": logged()}
    assert [name for name, content in seen.items() if "Canary" in content] == []


def everything(redis: Redis, key: bytes) -> str:
    """What is under a key, as text; RQ keeps a job's arguments compressed."""
    match redis.type(key):
        case b"hash":
            return "".join(str(name) + unpacked(value) for name, value in redis.hgetall(key).items())
        case b"list":
            return str(redis.lrange(key, 0, -1))
        case b"set":
            return str(redis.smembers(key))
        case b"zset":
            return str(redis.zrange(key, 0, -1))
        case b"stream":
            return str(redis.xrange(key))
    return str(redis.get(key))


def unpacked(value: bytes) -> str:
    try:
        return str(zlib.decompress(value))
    except zlib.error:
        return str(value)


def test_credentials_belong_to_their_workspace(bot: None, connected: Context, person: Person):
    person.submit(form(person), {"api_key": KEY})
    assert [one.team_id for one in rows(connected)] == [TEAM_ID]
