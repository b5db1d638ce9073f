"""The model of a short run, which only cross-checks another, is deleted at its vendor once that run is over."""

import dataclasses

import pytest
from sqlmodel import select

from providers.base import ProviderJob, ProviderJobStatus
from tests.workers.jobs.watched import Vendor, Vendors, add_run
from workers.hosting import models
from workers.jobs import runner
from workers.run_status import RunStatus
from workers.runs import conclusion, progress
from workers.tables import Announcement, HostedModel, LeaseStatus, Run, Task, TaskStatus

PART = {"number": 0, "of": 3, "run": 1}


@pytest.fixture
def part(db):
    """`part(RunStatus.EVALUATING, ...)`: a short run of the run 1 at OpenAI, with a tuned model."""

    def make(status, *, part=PART, provider="openai", **values):
        with db.write() as session:
            if not session.exec(select(Run)).first():
                add_run(session, status=RunStatus.EVALUATING, due=None)
            made = session.get_one(Run, add_run(session, status=status, due=None, **values))
            made.provider, made.tuned_model = provider, values.get("tuned_model", "ft:part")
            made.plan = {**made.plan, "part": part} if part else made.plan
            session.add(made)
            return made.id

    return make


def asked(db):
    with db.read() as session:
        return [one.subject_id for one in session.exec(select(Task).where(Task.kind == "delete_model"))]


def evaluated(session, run):
    conclusion.evaluation_of(session, run)
    conclusion.ready(session, run, "", 100)


def cancelled(session, run):
    conclusion.cancelled(session, run, "Cancelled.")


def came_too_late(session, run):
    done = ProviderJob("job", ProviderJobStatus.SUCCEEDED, tuned_model="ft:part")
    progress.ended(session, run, done)


ENDS = [
    (RunStatus.EVALUATING, evaluated),
    (RunStatus.CANCELLING, cancelled),
    (RunStatus.CANCELLING, came_too_late),
    (RunStatus.CANCELLING, models.go_on),
]


@pytest.mark.parametrize(("status", "end"), ENDS)
def test_however_it_ends_its_model_is_deleted_once(db, part, status, end):
    run_id = part(status)
    with db.write() as session:
        end(session, session.get_one(Run, run_id))
    assert asked(db) == [run_id]
    with db.read() as session:
        assert session.get_one(Run, run_id).progress["deleting_model"]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("status", "end"), ENDS)
@pytest.mark.parametrize("values", [{"part": None}, {"tuned_model": "", "provider": "local"}, {"provider": "stub"}])
def test_what_is_kept(db, part, status, end, values):
    run_id = part(status, **values)
    with db.write() as session:
        run = session.get_one(Run, run_id)
        if end is not came_too_late or values.get("provider") == "stub" or values.get("part", 1) is None:
            end(session, run)
    assert asked(db) == []


def test_it_is_deleted_after_its_hosting_and_without_a_word(context, db, part):
    run_id = part(RunStatus.EVALUATING, provider="azure_openai")
    with db.write() as session:
        session.add(HostedModel(team_id="T1", run_id=run_id, provider="azure_openai", name="n", model="ft:part",
                                status=LeaseStatus.READY, ends_at=1e12))  # fmt: skip
        session.flush()
        evaluated(session, session.get_one(Run, run_id))
    vendor = Vendor()
    here = dataclasses.replace(context, providers=Vendors(vendor))

    def carried():
        with db.read() as session:
            task = session.exec(select(Task).where(Task.kind == "delete_model")).one()
        with db.write() as session:  # the credentials are no matter here
            run = session.get_one(Run, run_id)
            run.provider = "stub"
            session.add(run)
        runner.carry(here, task.id, task.attempt)
        with db.read() as session:
            return session.get_one(Task, task.id).status

    assert carried() is TaskStatus.QUEUED
    assert vendor.gone == []
    with db.write() as session:
        row = session.exec(select(HostedModel)).one()
        assert row.status is LeaseStatus.ENDING
        row.status = LeaseStatus.ENDED
        session.add(row)
    assert carried() is TaskStatus.DONE
    assert vendor.gone == ["ft:part"]
    with db.read() as session:
        assert session.get_one(Run, run_id).tuned_model == ""
        assert [one.kind for one in session.exec(select(Announcement)) if one.kind == "note"] == []
