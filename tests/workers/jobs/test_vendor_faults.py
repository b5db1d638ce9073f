"""Everything that goes wrong at a vendor, through the real room of OpenAI and a server that misbehaves on demand.

Each fault ends in the right state of the run, with a card that says what to do; and nothing is ever created twice.
"""

import dataclasses
import time
import uuid

import pytest
from sqlmodel import select

from providers._openai_api.files import Files
from providers.registry import build
from providers.settings import ProviderSettings
from tests.contracts.stand_in import StandIn
from tests.contracts.stand_in_account import Problem
from tests.workers.jobs.conftest import ROOT, TUNER
from tests.workers.jobs.watched import again, card, look
from workers import tasks
from workers.jobs import runner
from workers.jobs import watching as watcher
from workers.plans.choices import Choices
from workers.run_status import RunStatus
from workers.runs import lifecycle
from workers.tables import Credential, Dataset, Run, Task, TaskStatus

CREATE, RETRIEVE, LIST = "POST /fine_tuning/jobs", "GET /fine_tuning/jobs/{id}", "GET /fine_tuning/jobs"
MODEL = "gpt-4.1-nano-2025-04-14"
pytestmark = pytest.mark.parametrize(
    "db", ["sqlite", pytest.param("postgresql", marks=pytest.mark.full)], indirect=True
)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    monkeypatch.setattr(watcher, "LINGER_SECONDS", 0.0)


@pytest.fixture
def vendor():
    with StandIn(pace="hand", key="sk-good") as server:
        yield server


@pytest.fixture
def place(context, vendor):
    return dataclasses.replace(context, providers=build(ProviderSettings(openai_url=vendor.url)))


def credentials(place, key):
    with place.db.write() as session:
        row = session.exec(select(Credential)).one_or_none() or Credential(team_id="T1", provider="openai", sealed="")
        row.sealed = place.vault.seal({"api_key": key})
        session.add(row)


@pytest.fixture
def run(place, upload, carry):
    """A run that waits to be created at the vendor."""
    uploaded = upload((ROOT / "examples" / "cookbook_recipe_training.jsonl").read_bytes(), "recipes.jsonl")
    assert carry("check_dataset", uploaded).status is TaskStatus.DONE
    credentials(place, "sk-good")
    with place.db.write() as session:
        dataset = session.exec(select(Dataset)).one()
        choices = Choices(dataset_id=dataset.id, name="recipes", provider="openai", base_model=MODEL)
        row = Run(
            team_id="T1", channel_id="C1", creator_id="U1", name="recipes", request_key=uuid.uuid4().hex,
            status=RunStatus.QUEUED, dataset_id=dataset.id, provider="openai", base_model=MODEL, method="sft",
            plan=choices.to_json(), model_name="recipes-1",
        )  # fmt: skip
        session.add(row)
        session.flush()
        tasks.add(session, "submit", row.id, queue="cloud", team_id="T1")
        return row.id


@pytest.fixture
def submit(place):
    def carry_out(run_id):
        with place.db.read() as session:
            task = session.exec(select(Task).where(Task.kind == "submit", Task.subject_id == run_id)).one()
        runner.carry(place, task.id, task.attempt)
        with place.db.read() as session:
            return session.get_one(Task, task.id)

    return carry_out


@pytest.fixture
def training(place, vendor, run, submit):
    """The run, created at the vendor and at work there."""
    assert submit(run).status is TaskStatus.DONE
    vendor.advance(look(place, run).provider_job_id, "running")
    vendor.clear()
    return run


def test_from_files_to_a_model(place, vendor, training):
    row = again(place, training)
    assert row.status is RunStatus.TRAINING
    assert "_training_" in card(row)
    vendor.advance(row.provider_job_id, "succeeded")
    row = again(place, training)
    assert row.status is RunStatus.EVALUATING
    assert row.tuned_model.startswith("ft:")
    assert row.model_name == row.tuned_model
    assert row.progress["trained_tokens"]
    assert row.actual["trained_tokens"] == row.progress["trained_tokens"]


PASSING = {
    "429 short": ({"status": 429, "headers": {"retry-after": "7"}}, "limited", 28),
    "429 long": ({"status": 429, "headers": {"retry-after": "300"}}, "limited", 295),
    "500": ({"status": 500}, "away", 25),
    "503": ({"status": 503}, "away", 25),
    "409": ({"status": 409}, None, 9),
    "hang": ({"hang": 30.0}, "away", 25),
    "cut": ({"cut": "middle"}, "away", 25),
    "hung up": ({"cut": "before"}, "away", 25),
    "malformed": ({"malformed": True}, None, 9),
    "no object": ({"answer": [1, 2]}, None, 9),
    "401": ({"status": 401, "code": "invalid_api_key"}, "refused", 250),
    "403": ({"status": 403}, "refused", 250),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_goes_wrong_while_it_trains_and_passes(place, vendor, training, name):
    fault, kind, least = PASSING[name]
    vendor.fault(RETRIEVE, times=None, **fault)
    row = again(place, training)
    assert row.status is RunStatus.TRAINING
    trouble = row.progress["trouble"]
    assert kind is None or trouble["kind"] == kind
    assert row.next_poll_at - time.time() > least
    assert any(words in card(row) for words in ("Nothing is lost", "nothing needs to be done"))
    vendor.clear()
    vendor.advance(row.provider_job_id, "succeeded")
    row = again(place, training)
    assert (row.status, "trouble" in row.progress) == (RunStatus.EVALUATING, False)


def test_credentials_that_expire_on_the_way_and_are_renewed(place, vendor, training):
    vendor.key = "sk-new"
    row = again(place, training)
    assert row.status is RunStatus.TRAINING
    assert "an admin must renew them (`/finetune keys`)" in card(row)
    assert "sk-good" not in card(row)
    credentials(place, "sk-new")
    vendor.advance(row.provider_job_id, "succeeded")
    assert again(place, training).status is RunStatus.EVALUATING


def test_a_job_that_is_deleted_behind_our_back(place, vendor, training):
    vendor.forget(look(place, training).provider_job_id)
    row = again(place, training)
    assert row.status is RunStatus.TRAINING
    assert "OpenAI says since" in card(row)
    trouble = row.progress["trouble"]
    long_ago = {**trouble, "missing": {"since": trouble["missing"]["since"] - 900, "looks": 4}}
    with place.db.write() as session:
        session.get_one(Run, training).progress = {**row.progress, "trouble": long_ago}
    row = again(place, training)
    assert row.status is RunStatus.FAILED
    assert "OpenAI has no such training any more" in row.status_reason
    assert "billed" in row.status_reason


def test_credentials_of_another_project_do_not_end_a_run(place, vendor, training):
    job = vendor.account.jobs.pop(look(place, training).provider_job_id)
    assert again(place, training).status is RunStatus.TRAINING
    assert again(place, training).status is RunStatus.TRAINING
    vendor.account.jobs[job.id] = job
    row = again(place, training)
    assert (row.status, "trouble" in row.progress) == (RunStatus.TRAINING, False)
    vendor.advance(job.id, "succeeded")
    assert again(place, training).status is RunStatus.EVALUATING


def test_a_model_that_is_named_late(place, vendor, training):
    job = look(place, training).provider_job_id
    vendor.advance(job, "succeeded")
    vendor.change(job, fine_tuned_model=None, finished_at=1)
    row = again(place, training)
    assert row.status is RunStatus.TRAINING
    assert "waiting for the model's name" in card(row)
    vendor.change(job, fine_tuned_model="ft:late")
    row = again(place, training)
    assert (row.status, row.tuned_model) == (RunStatus.EVALUATING, "ft:late")


def test_a_state_that_nobody_knows(place, vendor, training):
    job = look(place, training).provider_job_id
    vendor.advance(job, "mulling_it_over")
    row = again(place, training)
    assert row.status is RunStatus.TRAINING
    assert "mulling" in card(row)
    vendor.advance(job, "succeeded")
    assert again(place, training).status is RunStatus.EVALUATING


def test_null_fields(place, vendor, training):
    job = look(place, training).provider_job_id
    empty = dict.fromkeys(
        ("model", "created_at", "trained_tokens", "hyperparameters", "training_file", "result_files", "error", "method")
    )
    vendor.change(job, **empty)
    row = again(place, training)
    assert (row.status, "trouble" in row.progress) == (RunStatus.TRAINING, False)
    vendor.advance(job, "failed")
    vendor.change(job, error=None)
    row = again(place, training)
    assert row.status is RunStatus.FAILED
    assert row.status_reason


def test_a_cancel_that_the_vendor_hears_late(place, vendor, training):
    job = look(place, training).provider_job_id
    with place.db.write() as session:
        lifecycle.cancel(session, TUNER, training)
    vendor.fault("POST /fine_tuning/jobs/{id}/cancel", status=503)
    row = again(place, training)
    assert row.status is RunStatus.CANCELLING
    assert "repeated until OpenAI has heard it" in card(row)
    row = again(place, training)
    for _ in range(3):
        if row.status is not RunStatus.CANCELLED:
            vendor.advance(job, "cancelled")
            row = again(place, training)
    assert row.status is RunStatus.CANCELLED


@pytest.mark.parametrize("status", [503, 520, 524, 529, 409])
@pytest.mark.parametrize("there", [True, False])
def test_an_error_that_says_nothing_about_a_create_call_is_never_answered_by_another(
    place, vendor, run, submit, monkeypatch, status, there
):
    create = vendor.account.create_job

    def and_break(request):
        if there:
            create(request)
        raise Problem(status, "The gateway lost patience.")

    monkeypatch.setattr(vendor.account, "create_job", and_break)
    for _ in range(6):
        if submit(run).status is TaskStatus.DONE:
            break
    row = look(place, run)
    assert row.status is (RunStatus.TRAINING if there else RunStatus.FAILED)
    assert there or "never confirmed" in row.status_reason
    assert len(vendor.calls(CREATE)) == 1


def test_a_run_that_is_cancelled_while_its_file_is_uploaded_is_not_created(place, vendor, run, submit, monkeypatch):
    keep = vendor.account.create_file

    def and_cancel(request):
        answer = keep(request)
        with place.db.write() as session:
            lifecycle.cancel(session, TUNER, run)
        return answer

    monkeypatch.setattr(vendor.account, "create_file", and_cancel)
    assert submit(run).status is TaskStatus.DONE
    assert look(place, run).status is RunStatus.CANCELLED
    assert vendor.calls(CREATE) == []
    assert not vendor.account.files


def test_files_that_are_read_for_long_leave_no_doubt(place, vendor, run, submit, monkeypatch):
    monkeypatch.setattr(Files.__init__, "__kwdefaults__", {**Files.__init__.__kwdefaults__, "wait_seconds": 0.1})
    vendor.account.file_status = "uploaded"
    for _ in range(5):
        assert submit(run).status is TaskStatus.QUEUED
    for file in vendor.account.files.values():
        file.status = "processed"
    assert submit(run).status is TaskStatus.DONE
    assert look(place, run).status is RunStatus.TRAINING
    assert len(vendor.calls(CREATE)) == len(vendor.calls("POST /files")) == 1


@pytest.mark.parametrize("fault", [{"cut": "after"}, {"cut": "middle"}, {"malformed": True}])
def test_a_create_call_whose_answer_is_lost_is_sent_once_and_adopted(place, vendor, run, submit, fault):
    vendor.fault(CREATE, **fault)
    for _ in range(4):
        if submit(run).status is TaskStatus.DONE:
            break
    row = look(place, run)
    assert row.status is RunStatus.TRAINING
    assert row.provider_job_id.startswith("ftjob")
    assert len(vendor.calls(CREATE)) == 1
    vendor.advance(row.provider_job_id, "succeeded")
    assert again(place, run).status is RunStatus.EVALUATING


def test_a_create_call_that_was_lost_on_its_way_is_not_sent_again(place, vendor, run, submit):
    vendor.fault(CREATE, cut="before")
    for _ in range(5):
        ended = submit(run)
    row = look(place, run)
    assert ended.status is TaskStatus.DONE
    assert row.status is RunStatus.FAILED
    assert "never confirmed" in row.status_reason
    assert len(vendor.calls(CREATE)) == 1


@pytest.mark.parametrize("wait", ["5", "300"])
def test_a_create_call_that_is_refused_for_now_is_sent_when_the_vendor_says(place, vendor, run, submit, wait):
    vendor.fault(CREATE, status=429, headers={"retry-after": wait})
    waiting = submit(run)
    assert waiting.status is TaskStatus.QUEUED
    assert waiting.due_at - time.time() > float(wait) - 3
    assert "asks us to slow down" in card(look(place, run))
    assert submit(run).status is TaskStatus.DONE
    assert look(place, run).status is RunStatus.TRAINING
    assert [one["status"] for one in vendor.calls(CREATE)] == [429, 200]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_create_call_that_is_refused_fails_the_run_in_words(place, vendor, run, submit, status):
    vendor.fault(CREATE, status=status, message="<!channel> no such thing")
    assert submit(run).status is TaskStatus.DONE
    row = look(place, run)
    assert row.status is RunStatus.FAILED
    assert len(row.status_reason) > 20
    assert "<!channel>" not in card(row)
    assert len(vendor.calls(CREATE)) == 1
