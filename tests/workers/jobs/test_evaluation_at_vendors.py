"""Hosted models are compared: the names to ask, slow vendors, refused questions, what it cost, what ends with it."""

import time

import pytest
from sqlmodel import select

from providers.base import ChatChunk, Deployment, DeploymentStatus
from providers.errors import InvalidRequest, NotFound, RateLimited
from tests.workers.jobs.conftest import TUNER, task
from tests.workers.jobs.test_evaluation import ANSWERS, PATH, rows
from workers import hosting
from workers.evaluation import generate
from workers.hosting import models
from workers.jobs import evaluation
from workers.run_status import RunStatus
from workers.runs import lifecycle
from workers.tables import (
    Announcement,
    Credential,
    Endpoint,
    EndpointStatus,
    Evaluation,
    Generation,
    HostedModel,
    LeaseStatus,
    Run,
    Task,
    TaskStatus,
)

BASE = "gpt-4.1-nano-2025-04-14"
ONE_DATABASE = pytest.mark.parametrize("db", ["sqlite"], indirect=True)


@pytest.fixture
def hosted(db, context, start):
    """A run whose both models are hosted, about to be evaluated. Returns its id."""
    run_id = start()
    with db.write() as session:
        session.add(Credential(team_id="T1", provider="azure_openai", sealed=context.vault.seal({"api_key": "k"})))
        run = session.get_one(Run, run_id)
        run.provider, run.base_model, run.tuned_model, run.model_name = "azure_openai", BASE, "ft-1", "at-tuned"
        run.cost = {**run.cost, "answers_dollars": 0.004}
        session.add(run)
        for status in (*PATH, RunStatus.DEPLOYING):
            lifecycle.transition(session, run, status)
        at = models.now(session)
        for purpose, model in (("tuned", "ft-1"), ("base", BASE)):
            session.add(
                HostedModel(
                    team_id="T1", channel_id="C1", creator_id="U1", run_id=run_id, provider="azure_openai",
                    name=f"at-{purpose}", model=model, purpose=purpose, target=f"at-{purpose}", tier="GlobalStandard",
                    status=LeaseStatus.READY, ready_at=at - 60, ends_at=at + 3600, price_per_hour=1.7,
                )
            )  # fmt: skip
        session.flush()
        models.go_on(session, run)
    return run_id


@pytest.fixture
def knows(talker):
    talker.say = lambda model, question: "Sure!" if model == "at-base" else ANSWERS[question]
    return talker.say


def statuses(db):
    return {one.purpose: one.status for one in rows(db, HostedModel)}


def summary(db):
    return rows(db, Evaluation)[0].summary


def test_both_are_asked_under_their_deployments_names_and_only_the_tuned_one_stays(
    db, hosted, carry, talker, knows, run_now
):
    assert carry("evaluate", hosted).status is TaskStatus.DONE
    assert {one.model for one in talker.asked} == {"at-base", "at-tuned"}
    assert statuses(db) == {"tuned": LeaseStatus.READY, "base": LeaseStatus.ENDING}
    (endpoint,) = rows(db, Endpoint)
    assert (endpoint.status, endpoint.model) == (EndpointStatus.ACTIVE, f"recipes-{hosted}")
    assert rows(db, HostedModel)[0].endpoint_id == endpoint.id
    assert summary(db)["verdict"] == "better"
    assert summary(db)["spent"] == {"prompt_tokens": 400, "completion_tokens": 160, "dollars": pytest.approx(0.000104)}
    assert run_now(hosted).actual["evaluation_dollars"] == pytest.approx(0.000104)


@ONE_DATABASE
def test_not_more_than_the_vendor_takes_are_asked_at_once(db, hosted, carry, talker, knows):
    now, most = [0], [0]
    answer = talker.say

    def count(model, question):
        now[0] += 1
        most[0] = max(most[0], now[0])
        time.sleep(0.005)
        now[0] -= 1
        return answer(model, question)

    talker.say = count
    carry("evaluate", hosted)
    assert most[0] <= 2


def test_a_vendor_that_wants_it_slowly_is_waited_for_and_nothing_is_lost(db, hosted, carry, talker, knows, monkeypatch):
    monkeypatch.setattr(evaluation, "PATIENCE_SECONDS", 0.0)
    answer, seen = talker.say, [0]

    def limited(model, question):
        seen[0] += 1
        if seen[0] % 7 == 0:
            raise RateLimited("slowly", retry_after=0.01 if seen[0] % 14 else 55.0)
        return answer(model, question)

    talker.say = limited
    attempts = 0
    while (ended := carry("evaluate", hosted)).status is not TaskStatus.DONE:
        attempts += 1
        assert (ended.crashes, ended.last_error) == (0, "slowly")
        assert ended.due_at > time.time() + 40
        assert attempts < 40
    assert attempts > 2
    assert len(rows(db, Generation)) == 80
    assert summary(db)["verdict"] == "better"
    asked = [(one.model, one.messages[-1].content) for one in talker.asked]
    assert len(asked) - len(set(asked)) <= seen[0] // 7  # only what was turned away is asked again


@ONE_DATABASE
def test_after_an_hour_of_that_it_is_said_and_the_base_model_ends(db, hosted, carry, talker, run_now):
    def limited(_model, _question):
        raise RateLimited("slowly", retry_after=99)

    talker.say = limited
    assert carry("evaluate", hosted).status is TaskStatus.QUEUED
    with db.write() as session:
        for asked in session.exec(select(Task).where(Task.kind == "evaluate")):
            asked.created_at -= 3700
            session.add(asked)
    assert carry("evaluate", hosted).status is TaskStatus.DONE
    assert "slowly" in summary(db)["problem"]
    assert summary(db)["spent"]["dollars"] == 0
    assert statuses(db) == {"tuned": LeaseStatus.READY, "base": LeaseStatus.ENDING}
    assert run_now(hosted).status is RunStatus.READY


def test_one_refused_question_is_an_empty_answer(db, hosted, carry, talker, knows):
    answer = talker.say
    filtered = list(ANSWERS)[3]

    def filters(model, question):
        if question == filtered:
            raise InvalidRequest("content filter")
        return answer(model, question)

    talker.say = filters
    assert carry("evaluate", hosted).status is TaskStatus.DONE
    assert summary(db)["verdict"] == "better"
    assert summary(db)["refused"] == {"base": 1, "tuned": 1}
    assert "refused some questions (1 to the base model, 1 to the tuned model)" in summary(db)["words"]
    assert [one.finish_reason for one in rows(db, Generation)].count(generate.REFUSED) == 2


@ONE_DATABASE
def test_if_every_question_is_refused_nothing_is_claimed(db, hosted, carry, talker):
    def refuses(_model, _question):
        raise InvalidRequest("The vendor rejects the question.")

    talker.say = refuses
    assert carry("evaluate", hosted).status is TaskStatus.DONE
    assert "rejects the question" in summary(db)["problem"]
    assert rows(db, Generation) == []
    assert statuses(db)["base"] is LeaseStatus.ENDING


@ONE_DATABASE
def test_a_deployment_that_is_not_found_everywhere_yet_is_waited_for(db, hosted, carry, talker, knows):
    answer = talker.say

    def missing(_model, _question):
        raise NotFound("There is no such deployment.", detail="404")

    talker.say = missing
    assert carry("evaluate", hosted).status is TaskStatus.QUEUED
    talker.say = answer
    assert carry("evaluate", hosted).status is TaskStatus.DONE
    assert summary(db)["verdict"] == "better"


@ONE_DATABASE
@pytest.mark.parametrize("lost", ["base", "tuned"])
def test_a_model_that_is_hosted_no_more_is_said(db, hosted, carry, talker, knows, lost):
    with db.write() as session:
        row = session.exec(select(HostedModel).where(HostedModel.purpose == lost)).one()
        models.end(session, row, problem="InsufficientQuota")
    assert carry("evaluate", hosted).status is TaskStatus.DONE
    assert f"The {lost} model could not be hosted at the vendor: InsufficientQuota" in summary(db)["problem"]
    (endpoint,) = rows(db, Endpoint)
    assert endpoint.status is (EndpointStatus.ASLEEP if lost == "tuned" else EndpointStatus.ACTIVE)
    assert statuses(db)["base"] is LeaseStatus.ENDING


def not_compared(db, carry, run_id, lost="tuned"):
    """Up to the run's end without a comparison, as this model could not be hosted."""
    with db.write() as session:
        row = session.exec(select(HostedModel).where(HostedModel.purpose == lost)).one()
        models.end(session, row, problem="InsufficientQuota")
    carry("evaluate", run_id)


def wake(db):
    """Have it deployed again; what is asked for by that, by its purpose."""
    (endpoint,) = rows(db, Endpoint)
    with db.write() as session:
        woken = hosting.wake(session, TUNER, endpoint.id).id
    return {one.purpose: one for one in rows(db, HostedModel) if one.id >= woken}


def answers_now(db, row):
    with db.write() as session:
        run, held = session.get_one(Run, row.run_id), session.get_one(HostedModel, row.id)
        seen = Deployment(held.name, DeploymentStatus.READY, target=held.name)
        models.ready(session, run, held, seen, 4.0)


@pytest.fixture
def knows_again(talker):
    talker.say = lambda model, question: ANSWERS[question] if "-t-" in model else "Sure!"


def test_a_comparison_that_could_not_be_made_is_made_when_the_model_is_deployed_again(
    db, hosted, carry, talker, knows_again, run_now
):
    not_compared(db, carry, hosted)
    assert summary(db)["problem"].endswith("Once it is deployed again, both models are compared after all.")
    with db.read() as session:
        told = hosting.owed_words(session, run_now(hosted))
    assert told == "Both models are then compared, as was planned: 80 answers, under $0.01."
    asked = wake(db)
    assert set(asked) == {"tuned", "base"}
    assert wake(db) == asked  # clicked twice
    answers_now(db, asked["tuned"])
    assert task(db, "evaluate", hosted).status is TaskStatus.DONE  # the first: the base model is still to come
    answers_now(db, asked["base"])
    assert carry("evaluate", hosted).status is TaskStatus.DONE
    assert {one.model for one in talker.asked} == {one.name for one in asked.values()}
    assert summary(db)["verdict"] == "better"
    assert "problem" not in summary(db)
    run = run_now(hosted)
    assert (run.status, run.progress["verdict"]) == (RunStatus.READY, summary(db)["words"])
    assert run.actual["evaluation_dollars"] is not None
    assert [one.status for one in rows(db, Endpoint)] == [EndpointStatus.ACTIVE]
    assert statuses(db) == {"tuned": LeaseStatus.READY, "base": LeaseStatus.ENDING}
    shown = {one.slot: one for one in rows(db, Announcement)}
    assert shown[f"run:{hosted}:evaluation_summary"].revision > 1
    assert any("📊" in one.data.get("text", "") and "better" in one.data["text"] for one in shown.values())
    with db.write() as session:  # deployed once more, nothing is compared any more
        hosting.end(session, TUNER, asked["tuned"].id)
    assert set(wake(db)) == {"tuned"}


@ONE_DATABASE
def test_one_that_fails_again_is_owed_still_and_leaves_no_base_model(db, hosted, carry, talker, knows_again, run_now):
    not_compared(db, carry, hosted, lost="base")
    with db.write() as session:
        hosting.end(session, TUNER, session.exec(select(HostedModel).where(HostedModel.purpose == "tuned")).one().id)
    asked = wake(db)
    answers_now(db, asked["tuned"])
    with db.write() as session:
        run, base = session.get_one(Run, hosted), session.get_one(HostedModel, asked["base"].id)
        models.failed(session, run, base, "No quota.")
    assert carry("evaluate", hosted).status is TaskStatus.DONE
    assert "The base model could not be hosted at the vendor: No quota." in summary(db)["problem"]
    assert summary(db)["owed"]
    assert rows(db, Endpoint)[0].status is EndpointStatus.ACTIVE
    with db.write() as session:
        hosting.end(session, TUNER, asked["tuned"].id)
    again = wake(db)
    assert set(again) == {"tuned", "base"}
    answers_now(db, again["base"])
    with db.write() as session:  # thought better of it while the tuned model was still to come
        hosting.end(session, TUNER, again["tuned"].id)
    assert statuses(db) == {"tuned": LeaseStatus.ENDING, "base": LeaseStatus.ENDING}
    assert talker.asked == []


@ONE_DATABASE
def test_a_made_up_comparison_that_breaks_for_good_is_said_and_ends_the_base_model(
    db, scripted, hosted, carry, talker, run_now
):
    def fault(_model, _question):
        raise ValueError("a fault of ours")

    not_compared(db, carry, hosted)
    talker.say = fault
    for one in wake(db).values():
        answers_now(db, one)
    for _ in range(scripted.settings.timing.max_crashes):
        carry("evaluate", hosted)
    assert task(db, "evaluate", hosted).status is TaskStatus.DEAD
    assert "a fault on our side" in run_now(hosted).progress["verdict"]
    assert statuses(db) == {"tuned": LeaseStatus.READY, "base": LeaseStatus.ENDING}


@ONE_DATABASE
def test_without_a_test_nothing_is_owed(db, hosted, carry, knows):
    with db.write() as session:
        run = session.get_one(Run, hosted)
        run.plan, run.test_dataset_id = {**run.plan, "test_on": "nothing", "test_dataset_id": None}, None
        session.add(run)
    not_compared(db, carry, hosted)
    assert "owed" not in summary(db)
    assert set(wake(db)) == {"tuned"}


def test_cancelled_in_the_middle_both_end(db, hosted, carry, talker, run_now, monkeypatch):
    monkeypatch.setattr(evaluation, "WRITE_SECONDS", 0.0)

    def cancelled_meanwhile(_model, _question):
        if run_now(hosted).status is RunStatus.EVALUATING:
            with db.write() as session:
                lifecycle.cancel(session, TUNER, hosted)
        return "[]"

    talker.say = cancelled_meanwhile
    assert carry("evaluate", hosted).status is TaskStatus.DONE
    assert run_now(hosted).status is RunStatus.CANCELLED
    assert set(statuses(db).values()) == {LeaseStatus.ENDING}
    assert len([one for one in rows(db, Task) if one.kind == "unhost_model"]) == 2


@ONE_DATABASE
def test_one_that_breaks_for_good_keeps_the_tuned_model_only(db, scripted, hosted, carry, talker, run_now):
    def fault(_model, _question):
        raise ValueError("a fault of ours")

    talker.say = fault
    for _ in range(scripted.settings.timing.max_crashes):
        carry("evaluate", hosted)
    assert task(db, "evaluate", hosted).status is TaskStatus.DEAD
    assert run_now(hosted).status is RunStatus.READY
    assert statuses(db) == {"tuned": LeaseStatus.READY, "base": LeaseStatus.ENDING}


@ONE_DATABASE
def test_a_process_that_stops_keeps_what_was_answered(db, hosted, carry, talker, knows):
    import threading

    stopping = threading.Event()
    answer = talker.say

    def stops(model, question):
        if len(talker.asked) == 20:
            stopping.set()
        return answer(model, question)

    talker.say = stops
    assert carry("evaluate", hosted, stopping=stopping).status is TaskStatus.QUEUED
    there = len(rows(db, Generation))
    assert there >= 15
    talker.asked.clear()
    assert carry("evaluate", hosted).status is TaskStatus.DONE
    assert len(talker.asked) == 80 - there


def test_whatever_a_model_answers_can_be_kept(db, hosted, carry, talker, monkeypatch):
    def odd(request):
        yield ChatChunk(text="\ud83d")
        yield ChatChunk(text="\ude00 Yes\x00." if request.model == "at-tuned" else "")
        yield ChatChunk(finish_reason="st\x00op", prompt_tokens=10**12, completion_tokens=-1)

    monkeypatch.setattr(talker, "stream", odd)
    assert carry("evaluate", hosted).status is TaskStatus.DONE
    kept = {(one.answer, one.finish_reason, one.prompt_tokens, one.completion_tokens) for one in rows(db, Generation)}
    most = generate.MOST_TOKENS
    assert kept == {("\ufffd", "stop", most, 0), ("😀 Yes.", "stop", most, 0)}


@ONE_DATABASE
def test_answers_cost_what_the_plans_tier_says(db, hosted, carry, knows):
    with db.write() as session:
        run = session.get_one(Run, hosted)
        run.plan = {**run.plan, "options": {"training_tier": "Standard"}}
        session.add(run)
    carry("evaluate", hosted)
    assert summary(db)["spent"]["dollars"] == pytest.approx(0.0001144)  # a tenth more than anywhere in the world


def test_a_checkpoints_endpoint_owes_nothing(db):
    with db.read() as session:
        alone = Endpoint(team_id="T1", name="recipes at step 5", provider="openai", model="ft:x:ckpt-step-5")
        assert hosting.owed_by(session, alone) == ""
