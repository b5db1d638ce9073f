"""A run's models at its vendor: checkpoints listed and talked to, the tuned model deleted for ever."""

import dataclasses
import json
import threading

import pytest
from sqlmodel import select

from bot.blocks import checkpoints as drawn
from bot.blocks import run_card
from bot.sandbox.block_kit import problems_of_blocks
from providers.base import Checkpoint
from providers.errors import NotAllowed, NotFound, Unavailable
from tests.workers.jobs.watched import TUNER, Vendor, Vendors, add_run
from workers import chat, errors, tasks
from workers.jobs import runner
from workers.rights import Actor
from workers.run_status import RunStatus
from workers.runs import checkpoints, model_deletion
from workers.tables import (
    Announcement,
    AnnouncementStatus,
    AuditEntry,
    Endpoint,
    EndpointStatus,
    HostedModel,
    LeaseStatus,
    Run,
    RunCheckpoint,
    Task,
    TaskStatus,
)

OTHER = Actor("T1", "U2", "C1")
ADMIN = Actor("T1", "U9", "C1", is_admin=True)


@pytest.fixture
def vendor():
    return Vendor()


@pytest.fixture
def place(context, vendor):
    return dataclasses.replace(context, providers=Vendors(vendor))


@pytest.fixture
def ready(place):
    with place.db.write() as session:
        run_id = add_run(session, status=RunStatus.READY, due=None, tuned_model="ft:last", model_name="ft:last")
        session.add(
            Endpoint(team_id="T1", channel_id="C1", creator_id="U1", name="recipes", run_id=run_id, provider="stub",
                     model="ft:last", system_prompt="Answer with a list.", max_tokens=99)
        )  # fmt: skip
        tasks.add(session, "list_checkpoints", run_id, queue="cloud", team_id="T1")
    return run_id


def carry(place, kind):
    with place.db.read() as session:
        task = session.exec(select(Task).where(Task.kind == kind).order_by(Task.id.desc()).limit(1)).one()
    runner.carry(place, task.id, task.attempt)
    with place.db.read() as session:
        return session.get_one(Task, task.id)


def look(place, run_id):
    with place.db.read() as session:
        return session.get_one(Run, run_id)


def rows(place, table):
    with place.db.read() as session:
        return session.exec(select(table).order_by(next(iter(table.__table__.primary_key)))).all()


@pytest.fixture
def listed(place, vendor, ready):
    vendor.kept = [Checkpoint("ft:at-5", 5, loss=1.0, accuracy=0.5), Checkpoint("ft:last", 9, 0.5, 0.7, 0.75, 0.7)]
    assert carry(place, "list_checkpoints").status is TaskStatus.DONE
    return ready


def test_checkpoints_are_listed_once_the_training_has_ended(place, listed):
    shown = json.dumps(run_card.draw(look(place, listed)).blocks)
    assert "run_checkpoints" in shown
    with place.db.read() as session:
        message = drawn.draw(*checkpoints.listed(session, TUNER, listed))
    assert problems_of_blocks(message.blocks) == []
    text = json.dumps(message.blocks)
    assert "*step 5* \\u00b7 loss 1.000 \\u00b7 tokens right 50%" in text
    assert "validation loss 0.700" in text
    assert text.count("checkpoint_chat") == 2


def test_a_vendor_that_is_away_is_asked_again_and_one_that_refuses_is_not(place, vendor, ready):
    answers = [Unavailable("away"), NotAllowed("no")]

    def checkpoints_of(_job_id):
        raise answers.pop(0)

    vendor.checkpoints = checkpoints_of
    assert carry(place, "list_checkpoints").status is TaskStatus.QUEUED
    assert carry(place, "list_checkpoints").status is TaskStatus.DONE
    assert rows(place, RunCheckpoint) == []
    assert "run_checkpoints" not in json.dumps(run_card.draw(look(place, ready)).blocks)


def test_a_chat_with_a_checkpoint_is_in_the_thread_of_its_own_message(place, listed):
    with place.db.write() as session:
        endpoint = checkpoints.chat(session, TUNER, listed, 5)
        assert checkpoints.chat(session, TUNER, listed, 5).id == endpoint.id
    assert (endpoint.model, endpoint.system_prompt, endpoint.name) == ("ft:at-5", "Answer with a list.",
                                                                      "recipes at step 5")  # fmt: skip
    waiting = carry(place, "bind_thread")
    assert (waiting.status, waiting.crashes) == (TaskStatus.QUEUED, 0)
    (root,) = [one for one in rows(place, Announcement) if one.kind == "endpoint"]
    assert (root.thread_slot, root.channel_id) == ("", "C1")
    with place.db.write() as session:
        row = session.get_one(Announcement, root.id)
        row.ts, row.status = "77.7", AnnouncementStatus.SENT
    assert carry(place, "bind_thread").status is TaskStatus.DONE
    with place.db.write() as session:
        assert chat.endpoint_of(session, "T1", "C1", "77.7").endpoint_id == endpoint.id


def test_many_clicks_at_once_make_one_endpoint_of_a_checkpoint(place, listed):
    at_once = threading.Barrier(6)
    made, problems = [], []

    def click():
        at_once.wait()
        try:
            with place.db.write() as session:
                made.append(checkpoints.chat(session, TUNER, listed, 5).id)
        except Exception as error:  # noqa: BLE001 -- shown below
            problems.append(error)

    threads = [threading.Thread(target=click) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert problems == []
    assert len(set(made)) == 1
    assert len([one for one in rows(place, Endpoint) if one.model == "ft:at-5"]) == 1


def test_a_chat_whose_message_cannot_be_posted_is_given_up(place, listed):
    with place.db.write() as session:
        checkpoints.chat(session, TUNER, listed, 5)
        for row in session.exec(select(Announcement)):
            row.status = AnnouncementStatus.DEAD
            session.add(row)
    assert carry(place, "bind_thread").status is TaskStatus.DONE


def test_only_what_is_there_and_visible_can_be_talked_to(place, listed):
    with place.db.write() as session:
        with pytest.raises(errors.NotFound):
            checkpoints.chat(session, TUNER, listed, 6)
        with pytest.raises(errors.NotFound):
            checkpoints.chat(session, Actor("T1", "U1", "C2"), listed, 5)
        with pytest.raises(errors.NotFound):
            checkpoints.listed(session, Actor("T2", "U1", "C1"), listed)


def test_a_checkpoint_that_would_have_to_be_hosted_is_shown_and_not_offered(place, listed):
    with place.db.write() as session:
        session.get_one(Run, listed).provider = "azure_openai"
    with place.db.write() as session:
        with pytest.raises(errors.UserError):
            checkpoints.chat(session, TUNER, listed, 5)
        assert "checkpoint_chat" not in json.dumps(drawn.draw(*checkpoints.listed(session, TUNER, listed)).blocks)


def ask_to_delete(place, run_id, actor=TUNER):
    with place.db.write() as session:
        return model_deletion.ask_to_delete(session, actor, run_id)


def test_deleting_the_tuned_model(place, vendor, listed):
    assert "delete_model" in json.dumps(run_card.draw(look(place, listed)).blocks)
    with place.db.write() as session:
        checkpoints.chat(session, TUNER, listed, 5)
    ask_to_delete(place, listed)
    ask_to_delete(place, listed)
    assert {one.status for one in rows(place, Endpoint)} == {EndpointStatus.DELETED}  # before the vendor was asked
    redrawn = {one.slot.partition(":")[0]: one.revision for one in rows(place, Announcement) if one.kind == "endpoint"}
    assert redrawn == {"run": 1, "checkpoint": 2}
    shown = json.dumps(run_card.draw(look(place, listed)).blocks)
    assert "is being deleted" in shown
    assert "run_more" not in shown
    assert carry(place, "delete_model").status is TaskStatus.DONE
    assert vendor.gone == ["ft:at-5", "ft:last"]
    run = look(place, listed)
    assert (run.tuned_model, run.progress["model_deleted"], rows(place, RunCheckpoint)) == ("", True, [])
    assert [one.verb for one in rows(place, AuditEntry)] == ["delete_model"]
    assert [one.kind for one in rows(place, Task)].count("delete_model") == 1
    shown = json.dumps(run_card.draw(run).blocks)
    assert "run_checkpoints" not in shown
    assert "run_more" not in shown
    ask_to_delete(place, listed)  # again: nothing
    assert len(rows(place, AuditEntry)) == 1


def test_deleting_is_for_its_owner_or_an_admin(place, listed):
    with pytest.raises(errors.NotAllowed):
        ask_to_delete(place, listed, OTHER)
    ask_to_delete(place, listed, ADMIN)


def test_what_is_gone_already_is_deleted_and_a_vendor_that_is_away_is_asked_again(place, vendor, listed):
    ask_to_delete(place, listed)
    vendor.refusals = {"ft:at-5": NotFound("gone"), "ft:last": Unavailable("away")}
    assert carry(place, "delete_model").status is TaskStatus.QUEUED
    assert look(place, listed).tuned_model == "ft:last"
    del vendor.refusals["ft:last"]
    assert carry(place, "delete_model").status is TaskStatus.DONE
    assert look(place, listed).tuned_model == ""


def test_a_deletion_that_is_refused_is_told_and_can_be_asked_for_again(place, vendor, listed):
    ask_to_delete(place, listed)
    vendor.refusals = {"ft:last": NotAllowed("This key may not delete models.")}
    assert carry(place, "delete_model").status is TaskStatus.DONE
    run = look(place, listed)
    assert (run.tuned_model, run.progress["deleting_model"]) == ("ft:last", False)
    (note,) = [one.data["text"] for one in rows(place, Announcement) if one.kind == "note"]
    assert "could not be deleted: This key may not delete models." in note
    vendor.refusals = {}
    ask_to_delete(place, listed)
    assert carry(place, "delete_model").status is TaskStatus.DONE
    assert look(place, listed).tuned_model == ""


def test_what_is_hosted_ends_before_its_model_is_deleted(place, vendor, listed):
    with place.db.write() as session:
        hosted = HostedModel(team_id="T1", channel_id="C1", creator_id="U1", run_id=listed, provider="stub", name="d",
                             model="ft:last", status=LeaseStatus.READY, ends_at=2e9)  # fmt: skip
        session.add(hosted)
    ask_to_delete(place, listed)
    assert [one.status for one in rows(place, HostedModel)] == [LeaseStatus.ENDING]
    assert carry(place, "delete_model").status is TaskStatus.QUEUED
    assert vendor.gone == []
    with place.db.write() as session:
        session.get_one(HostedModel, hosted.id).status = LeaseStatus.ENDED
    assert carry(place, "delete_model").status is TaskStatus.DONE
    assert vendor.gone == ["ft:at-5", "ft:last"]


def test_a_run_without_a_model_has_none_to_delete(place):
    with place.db.write() as session:
        run_id = add_run(session, status=RunStatus.READY, due=None)
    with pytest.raises(errors.UserError):
        ask_to_delete(place, run_id)
