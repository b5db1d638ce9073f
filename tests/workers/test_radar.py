"""Once a day each vendor's list is looked at; a model that ends within 60 days is told once in its run's thread."""

import dataclasses
import json
import threading
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlmodel import select

from providers.registry import build
from providers.settings import ProviderSettings
from workers import credentials, radar
from workers.jobs import runner
from workers.plans.choices import Choices
from workers.rights import Actor
from workers.run_status import RunStatus
from workers.settings import Settings
from workers.tables import Announcement, Credential, CredentialStatus, Dataset, Run, Task, TaskStatus

ADMIN = Actor("T1", "U1", "C1", is_admin=True)
MINI = "gpt-4.1-mini-2025-04-14"
TUNED = "ft:gpt-4.1-mini-2025-04-14:acme::x"
DAY = Settings(today=date(2026, 11, 20))


def ready(session, **values):
    dataset = Dataset(
        team_id="T1", name="d", sha256="s", storage_key="k", format="openai-chat", method="sft", examples=9,
        trainable=True,
    )  # fmt: skip
    session.add(dataset)
    session.flush()
    fixed = {
        "team_id": "T1", "channel_id": "C1", "name": "recipes", "status": RunStatus.READY, "request_key": "k",
        "dataset_id": dataset.id, "provider": "openai", "base_model": MINI, "method": "sft", "tuned_model": TUNED,
        "plan": Choices(dataset_id=dataset.id).to_json(),
    }  # fmt: skip
    run = Run(**{**fixed, **values})
    session.add(run)
    session.flush()
    return run


def told(db):
    with db.read() as session:
        return session.exec(select(Announcement).where(Announcement.kind == "retiring")).all()


def warn(db, settings=DAY, offered=None, *, own=True):
    with db.write() as session:
        return radar.warn(session, settings, "T1", "openai", offered or {}, own=own)


def test_every_vendor_is_looked_at_once_a_day(db):
    with db.write() as session:
        for team, provider, status in (
            ("T1", "openai", "WORKING"), ("T1", "azure_ml", "REFUSED"), ("T2", "azure_openai", "CHECKING"),
        ):  # fmt: skip
            session.add(Credential(team_id=team, provider=provider, sealed="x", status=CredentialStatus[status]))
    for day in (20, 20, 21):
        with db.write() as session:
            radar.tend(session, Settings(today=date(2026, 11, day)))
    with db.read() as session:
        asked = [(one.team_id, one.queue, one.key) for one in session.exec(select(Task).order_by(Task.id))]
    assert asked == [
        ("T1", "cloud", "radar:1:2026-11-20"), ("T2", "cloud", "radar:3:2026-11-20"),
        ("T1", "cloud", "radar:1:2026-11-21"), ("T2", "cloud", "radar:3:2026-11-21"),
    ]  # fmt: skip


def test_what_ends_within_sixty_days_is_told_once(db):
    with db.write() as session:
        run = ready(session)
    assert warn(db, Settings(today=date(2026, 11, 14))) == []
    assert warn(db, Settings(today=date(2026, 11, 15))) == [run.id]
    assert warn(db) == []
    (one,) = told(db)
    assert "the model answers until 14 January 2027 only" in one.data["words"]
    assert (one.thread_slot, one.broadcast) == (f"run:{run.id}:card", True)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_what_the_vendor_says_itself_counts_wherever_it_is(db):
    with db.write() as session:
        run = ready(session, base_model="new-model")
    assert warn(db) == []
    assert warn(db, offered={"another": date(2026, 12, 1)}) == []
    assert warn(db, offered={TUNED: date(2026, 12, 1)}, own=False) == [run.id]
    assert "1 December 2026" in told(db)[0].data["words"]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_what_is_over_already_is_told_too_and_a_stand_ins_models_are_not_by_the_known_dates(db):
    with db.write() as session:
        ready(session, base_model="gpt-4.1-nano-2025-04-14", tuned_model="")
    assert warn(db, own=False) == []
    assert len(warn(db)) == 1
    assert "answers no more" in told(db)[0].data["words"]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "values", [{"status": RunStatus.FAILED}, {"team_id": "T2"}, {"provider": "azure_openai"}, {"provider": "local"}]
)
def test_whose_model_is_not_concerned(db, values):
    with db.write() as session:
        ready(session, **values)
    assert warn(db) == []


class Listing(BaseHTTPRequestHandler):
    """A vendor's list of models; what it answers is the server's `listing`."""

    def do_GET(self):
        status, body = self.server.listing
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def vendor():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Listing)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def carried(context, vendor):
    """The day's look, carried out as a worker does; the task afterwards."""
    url = f"http://127.0.0.1:{vendor.server_port}/v1"
    settings = context.settings.model_copy(update={"today": date(2026, 11, 20), "openai_url": url})
    here = dataclasses.replace(context, settings=settings, providers=build(ProviderSettings(openai_url=url)))

    def carry():
        with here.db.write() as session:
            credentials.save(session, here.vault, ADMIN, "openai", {"api_key": "sk-x"})
        with here.db.write() as session:
            radar.tend(session, settings)
        with here.db.read() as session:
            task = session.exec(select(Task).where(Task.kind == "radar")).one()
        runner.carry(here, task.id, task.attempt)
        with here.db.read() as session:
            return session.get(Task, task.id)

    return carry


def test_the_vendors_list_is_read_over_http(db, vendor, carried):
    vendor.listing = (200, {"object": "list", "data": [
        {"id": TUNED, "object": "model", "created": 1, "owned_by": "me", "shutdown_date": "2026-12-24"},
        {"id": MINI, "object": "model", "created": 1, "owned_by": "openai", "shutdown_date": None},
    ]})  # fmt: skip
    with db.write() as session:
        ready(session)
    assert carried().status is TaskStatus.DONE
    assert "24 December 2026" in told(db)[0].data["words"]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize("listing", [(401, {"error": {"message": "no"}}), (404, {}), (200, {"data": None}), (200, [])])
def test_a_vendor_that_gives_no_list_is_no_trouble(db, vendor, carried, listing):
    vendor.listing = listing
    with db.write() as session:
        ready(session)
    assert carried().status is TaskStatus.DONE
    assert told(db) == []
