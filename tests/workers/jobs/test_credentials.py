"""The harmless call: it is made with the saved credentials, bounded, repeated while a vendor is away, and told."""

import dataclasses
import io
import time
from collections.abc import Iterator

import pytest
import structlog
from sqlalchemy import inspect, text
from sqlmodel import select

from providers.registry import build
from providers.settings import ProviderSettings
from tests.models_server import ModelsServer
from workers import credentials
from workers.context import Context
from workers.jobs import credentials as job
from workers.jobs import runner
from workers.jobs.credentials import HIDDEN, CheckBroke, ask
from workers.logs import redact
from workers.rights import Actor
from workers.tables import Announcement, Credential, CredentialStatus, Task, TaskStatus

ADMIN = Actor("T1", "U1", "C1", is_admin=True)
KEY = "CanaryOfNoKnownShape0123456789"


@pytest.fixture
def vendor() -> Iterator[ModelsServer]:
    with ModelsServer(KEY) as server:
        yield server


@pytest.fixture
def connected(context: Context, vendor: ModelsServer) -> Context:
    """The context, with OpenAI's address at this machine's vendor."""
    return dataclasses.replace(context, providers=build(ProviderSettings(openai_url=vendor.url)))


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What a process's log shows, drawn as `workers.logs` does."""
    shown = io.StringIO()
    structlog.configure(
        processors=[structlog.processors.format_exc_info, redact, structlog.processors.KeyValueRenderer()],
        logger_factory=structlog.WriteLoggerFactory(shown),
        cache_logger_on_first_use=False,
    )
    yield shown
    structlog.reset_defaults()


def save(context: Context, key: str = KEY, actor: Actor = ADMIN) -> Credential:
    with context.db.write() as session:
        return credentials.save(session, context.vault, actor, "openai", {"api_key": key})


def carry_out(context: Context) -> Task:
    """The newest check's next attempt, as its worker does it."""
    with context.db.read() as session:
        task = session.exec(select(Task).order_by(Task.id.desc())).first()  # type: ignore[union-attr]
    runner.carry(context, task.id, task.attempt)
    with context.db.read() as session:
        return session.get_one(Task, task.id)


def row(context: Context) -> Credential:
    with context.db.read() as session:
        return session.exec(select(Credential)).one()


def told(context: Context) -> list[Announcement]:
    with context.db.read() as session:
        return list(session.exec(select(Announcement).order_by(Announcement.id)))  # type: ignore[arg-type]


def dump(context: Context) -> str:
    with context.db.read() as session:
        return "\n".join(
            str(tuple(one))
            for table in inspect(context.db.engine).get_table_names()
            for one in session.execute(text(f'SELECT * FROM "{table}"'))
        )


def test_credentials_that_work_are_noted_and_told_to_who_saved_them(connected: Context, vendor: ModelsServer):
    save(connected)
    assert carry_out(connected).status is TaskStatus.DONE
    assert vendor.asked == [("/v1/models", f"Bearer {KEY}")]
    assert row(connected).status is CredentialStatus.WORKING
    assert "1 models" in row(connected).words
    said = told(connected)[0]
    assert (said.channel_id, said.only_for, said.kind) == ("C1", "U1", "credential_checked")
    assert said.data["status"] == "working"
    assert "Canary" not in dump(connected)


@pytest.mark.parametrize("channel", ["", "D0DIRECT"])
def test_outside_channels_they_are_told_directly(connected: Context, channel: str):
    save(connected, actor=dataclasses.replace(ADMIN, channel_id=channel))
    carry_out(connected)
    said = told(connected)[0]
    assert (said.channel_id, said.only_for) == (channel or "U1", "")


def test_a_refusal_is_told_without_the_key_that_the_vendor_echoes(connected: Context, logged: io.StringIO):
    wrong = "CanaryThatIsWrong"
    save(connected, wrong)
    assert carry_out(connected).status is TaskStatus.DONE
    assert row(connected).status is CredentialStatus.REFUSED
    assert row(connected).problem
    assert told(connected)[0].data["problem"] == row(connected).problem
    assert "task_done" in logged.getvalue()
    assert wrong not in dump(connected) + logged.getvalue()
    assert wrong[-4:] not in row(connected).problem


def test_a_vendor_that_is_away_is_asked_again_and_then_that_is_told(connected: Context, vendor: ModelsServer):
    vendor.faults = [(503, {"error": {"message": "away"}}, {})] * 4
    save(connected)
    for number in range(3):
        task = carry_out(connected)
        assert task.status is TaskStatus.QUEUED
        pause = task.due_at - time.time()
        assert job.PAUSES[number] - 3 < pause <= job.LONGEST_PAUSE
        assert row(connected).status is CredentialStatus.CHECKING
        assert told(connected) == []
    assert carry_out(connected).status is TaskStatus.DONE
    assert len(vendor.asked) == 4
    assert row(connected).status is CredentialStatus.UNREACHED
    assert told(connected)[0].data["status"] == "unreached"
    with connected.db.read() as session:
        assert credentials.usable(session, "T1") == {"openai"}


def test_a_vendor_that_comes_back_is_believed(connected: Context, vendor: ModelsServer):
    vendor.faults = [(429, {"error": {"message": "slow"}}, {"Retry-After": "86400"})]
    save(connected)
    task = carry_out(connected)
    assert task.due_at - time.time() <= job.LONGEST_PAUSE
    carry_out(connected)
    assert row(connected).status is CredentialStatus.WORKING


def test_a_vendor_that_never_finishes_its_answer_is_not_waited_for(connected: Context, vendor: ModelsServer):
    vendor.faults = ["hang"]
    save(connected)
    began = time.monotonic()
    outcome = ask(connected, "T1", "openai", seconds=0.5)
    assert time.monotonic() - began < 3.0
    assert outcome.is_passing
    assert "no answer within 0.5 seconds" in outcome.problem


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\x00 not json", b"null", b"[]", {"data": None}, {"data": [None, 3, {"id": None}]},
        {"error": {"message": "x" * 2_000_000}}, b'{"data": [{"id": "\\ud800\\u0000"}]}', b"",
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("db", ["postgresql"], indirect=True)  # which keeps no half characters
def test_whatever_a_vendor_answers_ends_in_words(connected: Context, vendor: ModelsServer, status: int, body):
    vendor.faults = [(status, body, {})] * 5
    save(connected)
    for _ in range(4):
        if carry_out(connected).status is not TaskStatus.QUEUED:
            break
    assert row(connected).status is not CredentialStatus.CHECKING
    assert len(told(connected)) == 1
    assert len(row(connected).problem) <= job.MOST_WORDS
    assert "Canary" not in dump(connected)


def test_what_was_replaced_or_forgotten_meanwhile_is_not_told(connected: Context, vendor: ModelsServer):
    save(connected, "CanaryOld")
    with connected.db.read() as session:
        old = session.exec(select(Task)).one()
    save(connected)
    carry_out(connected)
    runner.carry(connected, old.id, old.attempt)
    assert len(told(connected)) == 1
    assert row(connected).status is CredentialStatus.WORKING
    with connected.db.write() as session:
        credentials.recheck(session, ADMIN, "openai")
        credentials.forget(session, ADMIN, "openai")
    assert carry_out(connected).status is TaskStatus.DONE
    assert len(told(connected)) == 1
    assert len(vendor.asked) == 1


def test_what_no_key_opens_is_told(connected: Context, vendor: ModelsServer):
    save(connected)
    connected.settings.folder.joinpath("keys", "vault.keys").unlink()
    carry_out(connected)
    assert row(connected).status is CredentialStatus.REFUSED
    assert "enter the credentials again" in told(connected)[0].data["problem"]
    assert vendor.asked == []


def test_a_fault_of_ours_shows_no_secret_and_is_told_with_its_id(
    connected: Context, monkeypatch: pytest.MonkeyPatch, logged: io.StringIO
):
    def breaks(_self) -> str:
        raise ValueError(f"cannot write header b'{KEY}'")

    monkeypatch.setattr("providers.openai.models.OpenAIModels.check", breaks)
    save(connected)
    with pytest.raises(CheckBroke, match="ValueError") as caught:
        ask(connected, "T1", "openai")
    assert KEY not in str(caught.value)
    assert f"cannot write header b'{HIDDEN}'" in str(caught.value)
    for _ in range(connected.settings.timing.max_crashes):
        task = carry_out(connected)
    assert task.status is TaskStatus.DEAD
    assert row(connected).status is CredentialStatus.UNREACHED
    assert told(connected)[0].data["error_id"] == task.error_id != ""
    assert "CheckBroke" in logged.getvalue()
    assert KEY not in dump(connected) + logged.getvalue()
