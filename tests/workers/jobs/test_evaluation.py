"""Both models answer what was held out; every answer is kept; then the verdict, the endpoint and the chat."""

import json

import pytest
from sqlmodel import select

from providers.errors import NotFound, Unavailable
from tests.workers.jobs.conftest import ROOT, TUNER
from workers.jobs import evaluation
from workers.run_status import RunStatus
from workers.runs import lifecycle, progress
from workers.tables import Announcement, Endpoint, Evaluation, Generation, TaskStatus

PATH = (RunStatus.PREPARING, RunStatus.SUBMITTING, RunStatus.TRAINING)
REFERENCES = [
    [one["content"] for one in json.loads(line)["messages"]]
    for line in (ROOT / "examples" / "cookbook_recipe_validation.jsonl").read_text().splitlines()
]
ANSWERS = {question: answer for _, question, answer in REFERENCES}


def rows(db, table):
    with db.read() as session:
        return session.exec(select(table).order_by(table.id)).all()


@pytest.fixture
def trained(db, start, run_now):
    """A run whose training has ended. Returns its id."""

    def end(**options):
        run_id = start(**options)
        with db.write() as session:
            run = run_now(run_id)
            for status in PATH:
                lifecycle.transition(session, run, status)
            progress.trained(session, run)
        return run_id

    return end


@pytest.fixture
def learnt(talker, run_now):
    """The tuned model knows the references, the base model chats."""

    def say(model, question):
        return "Sure! Here you are." if model == "smollm2-135m-instruct" else ANSWERS[question]

    talker.say = say


def test_from_the_held_out_examples_to_the_verdict(db, trained, carry, talker, learnt, run_now):
    run_id = trained()
    assert carry("evaluate", run_id).status is TaskStatus.DONE
    run = run_now(run_id)
    assert run.status is RunStatus.READY
    (kept,) = rows(db, Evaluation)
    summary = kept.summary
    assert kept.done
    assert (summary["shape"], summary["examples"], summary["verdict"]) == ("strings", 40, "better")
    assert (summary["base"]["valid_json"], summary["tuned"]["f1"], summary["low"]) == (0, 1, 1)
    assert summary["tokens_per_answer"] == {"base": 2, "tuned": 2}
    assert [(len(talker.asked), len(rows(db, Generation)))] == [(80, 80)]
    asked = talker.asked[0]
    assert [one.role for one in asked.messages] == ["system", "user"]
    assert asked.temperature == 0
    (endpoint,) = rows(db, Endpoint)
    assert (endpoint.run_id, endpoint.model, endpoint.provider) == (run_id, run.model_name, "local")
    assert endpoint.system_prompt.startswith("You are a helpful recipe assistant")
    kinds = {one.kind: one for one in rows(db, Announcement)}
    assert kinds["evaluation_summary"].broadcast
    assert kinds["endpoint"].subject_id == endpoint.id


def test_without_a_test_file_what_was_held_out_is_asked(db, trained, carry, talker, run_now):
    run_id = trained(alone=True)
    carry("evaluate", run_id)
    assert rows(db, Evaluation)[0].summary["examples"] == 20
    assert run_now(run_id).status is RunStatus.READY
    assert len(talker.asked) == 40


def test_an_attempt_goes_on_where_the_last_one_stopped(db, trained, carry, talker, learnt, monkeypatch):
    monkeypatch.setattr(evaluation, "WRITE_SECONDS", 0.0)
    run_id = trained()
    knows = talker.say

    def breaks_off(model, question):
        if len(talker.asked) > 60:
            raise Unavailable("down", retry_after=0)
        return knows(model, question)

    talker.say = breaks_off
    waiting = carry("evaluate", run_id)
    assert (waiting.status, waiting.crashes) == (TaskStatus.QUEUED, 0)
    there = len(rows(db, Generation))
    assert there >= 40
    talker.say = knows
    talker.asked.clear()
    assert carry("evaluate", run_id).status is TaskStatus.DONE
    assert len(talker.asked) == 80 - there
    assert rows(db, Evaluation)[0].summary["tuned"]["f1"] == 1


def test_a_model_server_that_stays_away_is_not_waited_for_forever(db, trained, carry, talker, run_now, monkeypatch):
    run_id = trained()

    def down(_model, _question):
        raise Unavailable("The model server cannot be reached.")

    talker.say = down
    assert carry("evaluate", run_id).status is TaskStatus.QUEUED
    monkeypatch.setattr(evaluation, "PATIENCE_SECONDS", 0.0)
    assert carry("evaluate", run_id).status is TaskStatus.DONE
    assert "cannot be reached" in rows(db, Evaluation)[0].summary["problem"]
    assert run_now(run_id).status is RunStatus.READY


def test_a_model_that_is_not_there_leaves_a_run_that_says_so(db, trained, carry, talker, run_now):
    run_id = trained()

    def missing(_model, _question):
        raise NotFound("The model server does not have this model.")

    talker.say = missing
    assert carry("evaluate", run_id).status is TaskStatus.DONE
    assert "does not have this model" in rows(db, Evaluation)[0].summary["problem"]
    assert len(rows(db, Endpoint)) == 1


def test_what_a_model_writes_is_kept_whatever_it_is(db, trained, carry, talker):
    run_id = trained()
    talker.say = lambda _model, _question: "[" * 3000 + "\x00<!channel>"
    assert carry("evaluate", run_id).status is TaskStatus.DONE
    assert rows(db, Evaluation)[0].summary["verdict"] == "unclear"
    assert "\x00" not in rows(db, Generation)[0].answer


def test_a_cancelled_run_is_not_evaluated(db, trained, carry, talker, run_now):
    run_id = trained()
    with db.write() as session:
        lifecycle.cancel(session, TUNER, run_id)
    assert carry("evaluate", run_id).status is TaskStatus.DONE
    assert talker.asked == []
    assert run_now(run_id).status is RunStatus.CANCELLED
    assert rows(db, Endpoint) == []


def test_cancelled_in_the_middle(db, trained, carry, talker, run_now, monkeypatch):
    monkeypatch.setattr(evaluation, "WRITE_SECONDS", 0.0)
    run_id = trained()

    def cancelled_meanwhile(_model, _question):
        if run_now(run_id).status is RunStatus.EVALUATING:
            with db.write() as session:
                lifecycle.cancel(session, TUNER, run_id)
        return "[]"

    talker.say = cancelled_meanwhile
    assert carry("evaluate", run_id).status is TaskStatus.DONE
    assert run_now(run_id).status is RunStatus.CANCELLED
    assert len(talker.asked) < 80


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_an_evaluation_that_breaks_for_good_leaves_a_model_to_chat_with(db, scripted, trained, carry, talker, run_now):
    run_id = trained()

    def fault(_model, _question):
        raise ValueError("a fault of ours")

    talker.say = fault
    for _ in range(scripted.settings.timing.max_crashes):
        ended = carry("evaluate", run_id)
    assert ended.status is TaskStatus.DEAD
    assert run_now(run_id).status is RunStatus.READY
    assert ended.error_id in rows(db, Evaluation)[0].summary["problem"]
