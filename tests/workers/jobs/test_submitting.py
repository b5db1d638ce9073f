"""Having a provider job created at a vendor that must never be asked twice for the same."""

import json
import threading
import time
from dataclasses import replace

import pytest
from sqlalchemy import update
from sqlmodel import select

from bot.blocks import run_card
from providers.base import MetricPoint, ProviderEvent, ProviderJobStatus
from providers.errors import InvalidRequest, NotAllowed, NotConfigured, RateLimited, SubmitUnknown, Unavailable
from tests.workers.jobs.conftest import TUNER, task
from tests.workers.jobs.watched import watch_once
from workers import tasks
from workers.jobs import kinds, runner, submitting
from workers.run_status import RunStatus
from workers.runs import lifecycle
from workers.runs.watching import SUBMITTED
from workers.tables import Announcement, Run, RunEvent, RunMetric, Task, TaskStatus


def rows(db, table):
    with db.read() as session:
        return session.exec(select(table)).all()


def watch(context, run_id):
    """Let a watcher ask about the run, whenever its turn would have been."""
    with context.db.write() as session:
        session.get_one(Run, run_id).next_poll_at = 0.0
    return watch_once(context)


def card(run):
    return json.dumps(run_card.draw(run).blocks, ensure_ascii=False)


def cancel(db, run_id):
    with db.write() as session:
        lifecycle.cancel(session, TUNER, run_id)


def test_a_vendor_is_asked_once_and_then_watched(start, carry, trainer, run_now, db, scripted):
    run_id = start("stub")
    assert carry("submit", run_id).status is TaskStatus.DONE
    run = run_now(run_id)
    assert (run.status, run.provider_job_id) == (RunStatus.TRAINING, "job-1")
    assert run.next_poll_at
    assert trainer.calls == ["find", "submit"]
    diverged = MetricPoint(5, 1.0, loss=float("nan"), validation_loss=float("inf"))
    event = ProviderEvent("e1", 1.0, "info", "step 5\x00 done")
    trainer.polled = [
        replace(trainer.job, step=5, cursor="5", metrics=[diverged], events=[event]),
        replace(trainer.job, status=ProviderJobStatus.SUCCEEDED, tuned_model="ft:recipes", cursor="9"),
    ]  # fmt: skip
    for _ in range(2):
        assert watch(scripted, run_id).status is TaskStatus.DONE
    run = run_now(run_id)
    assert (run.status, run.model_name, run.next_poll_at) == (RunStatus.EVALUATING, "ft:recipes", None)
    assert trainer.calls[2:] == ["poll job-1 1", "poll job-1 5"]
    (metric,) = rows(db, RunMetric)
    assert (metric.step, metric.epoch, metric.loss, metric.validation_loss) == (5, 1.0, None, None)
    assert "step 5 done" in [one.message for one in rows(db, RunEvent)]
    assert "loss" not in run.progress


@pytest.mark.parametrize("error", [RateLimited("busy", retry_after=7), Unavailable("down")])
def test_a_vendor_that_refuses_for_now_is_asked_again(start, carry, trainer, run_now, error):
    run_id = start("stub")
    trainer.submitted = [error]
    waiting = carry("submit", run_id)
    assert (waiting.status, waiting.crashes) == (TaskStatus.QUEUED, 0)
    assert carry("submit", run_id).status is TaskStatus.DONE
    assert trainer.calls == ["find", "submit", "find", "submit"]
    assert run_now(run_id).status is RunStatus.TRAINING


def test_a_create_call_without_an_answer_is_never_sent_again(start, carry, trainer, run_now):
    run_id = start("stub")
    trainer.submitted = [SubmitUnknown("no answer")]
    carry("submit", run_id)
    assert run_now(run_id).status is RunStatus.SUBMIT_UNKNOWN
    trainer.found = [Unavailable("down")]
    carry("submit", run_id)
    carry("submit", run_id)
    assert trainer.calls.count("submit") == 1
    trainer.found = [trainer.job]
    assert carry("submit", run_id).status is TaskStatus.DONE
    run = run_now(run_id)
    assert (run.status, run.provider_job_id) == (RunStatus.TRAINING, "job-1")
    assert trainer.calls.count("submit") == 1


def test_after_the_last_lookup_a_person_must_look(start, carry, trainer, run_now):
    run_id = start("stub")
    trainer.submitted = [SubmitUnknown("no answer")]
    for _ in range(len(submitting.LOOKUPS) + 1):
        ended = carry("submit", run_id)
    assert ended.status is TaskStatus.DONE
    run = run_now(run_id)
    assert run.status is RunStatus.FAILED
    assert "never confirmed" in run.status_reason
    assert trainer.calls.count("submit") == 1


def test_a_vendor_that_says_how_long_to_wait_is_not_asked_before(start, carry, trainer, run_now):
    run_id = start("stub")
    trainer.submitted = [RateLimited("busy", retry_after=600)]
    waiting = carry("submit", run_id)
    assert 590 < waiting.due_at - time.time() < 700
    run = run_now(run_id)
    assert "asks us to slow down" in card(run)
    assert run.provider_job_id == ""
    carry("submit", run_id)
    assert "slow down" not in card(run_now(run_id))


@pytest.mark.parametrize("error", [NotAllowed("This key may not fine-tune."), InvalidRequest("409: not now.")])
def test_a_create_call_that_is_refused_for_good_fails_the_run_in_words(start, carry, trainer, run_now, error):
    run_id = start("stub")
    trainer.submitted = [error]
    assert carry("submit", run_id).status is TaskStatus.DONE
    run = run_now(run_id)
    assert (run.status, run.status_reason, run.next_poll_at) == (RunStatus.FAILED, error.user_message, None)
    assert trainer.calls.count("submit") == 1


def test_a_vendor_that_is_away_for_a_day_is_given_up(start, carry, trainer, run_now, db):
    run_id = start("stub")
    trainer.found = [Unavailable("It does not answer.")] * 9
    carry("submit", run_id)
    assert "Nothing is lost" in card(run_now(run_id))
    with db.write() as session:
        run = session.get_one(Run, run_id)
        run.progress = {**run.progress, "trouble": {**run.progress["trouble"], "since": time.time() - 90_000}}
    assert carry("submit", run_id).status is TaskStatus.DONE
    assert run_now(run_id).status is RunStatus.FAILED


def test_credentials_refused_while_a_create_call_is_looked_up_lose_no_training(start, carry, trainer, run_now):
    run_id = start("stub")
    trainer.submitted = [SubmitUnknown("no answer")]
    carry("submit", run_id)
    trainer.found = [NotAllowed("The key was refused.")]
    assert carry("submit", run_id).status is TaskStatus.QUEUED
    assert "an admin must renew them" in card(run_now(run_id))
    trainer.found = [trainer.job]
    assert carry("submit", run_id).status is TaskStatus.DONE
    assert run_now(run_id).status is RunStatus.TRAINING
    assert trainer.calls.count("submit") == 1


def test_without_credentials_a_run_fails_in_words(start, carry, run_now, scripted, monkeypatch):
    run_id = start("stub")

    def none(_self, _name, _credentials):
        raise NotConfigured("There are no credentials here. An admin adds them: /finetune keys")

    monkeypatch.setattr(type(scripted.providers), "training", none)
    assert carry("submit", run_id).status is TaskStatus.DONE
    assert "/finetune keys" in run_now(run_id).status_reason


def test_cancelling_at_a_vendor(start, carry, trainer, run_now, db, scripted):
    run_id = start("stub")
    carry("submit", run_id)
    cancel(db, run_id)
    trainer.polled = [replace(trainer.job, status=ProviderJobStatus.CANCELLED)]
    watch(scripted, run_id)
    assert trainer.calls[-2:] == ["cancel job-1", "poll job-1 1"]
    assert run_now(run_id).status is RunStatus.CANCELLED


def test_a_task_that_breaks_for_good_fails_its_run_with_the_error_id(start, carry, trainer, run_now, scripted):
    run_id = start("stub")
    trainer.found = [ValueError("a fault of ours")] * 9
    for _ in range(scripted.settings.timing.max_crashes):
        ended = carry("submit", run_id)
    assert ended.status is TaskStatus.DEAD
    run = run_now(run_id)
    assert (run.status, run.error_id) == (RunStatus.FAILED, ended.error_id)
    assert run.error_id
    assert "a fault of ours" not in run.status_reason


def test_a_run_that_is_cancelled_while_its_files_are_uploaded_is_not_created(start, carry, trainer, run_now, db):
    run_id = start("stub")
    trainer.uploading = lambda: cancel(db, run_id)
    assert carry("submit", run_id).status is TaskStatus.DONE
    run = run_now(run_id)
    assert (run.status, run.provider_job_id, run.next_poll_at) == (RunStatus.CANCELLED, "", None)
    assert trainer.calls == ["find"]


@pytest.mark.parametrize("error", [RateLimited("busy", retry_after=600), InvalidRequest("No."), Unavailable("down")])
def test_a_run_that_is_cancelled_while_its_create_call_is_refused_ends_at_once(
    start, carry, trainer, run_now, db, error
):
    run_id = start("stub")
    create = trainer._next

    def cancelled_meanwhile(name, answers):
        if name == "submit":
            cancel(db, run_id)
        return create(name, answers)

    trainer._next, trainer.submitted = cancelled_meanwhile, [error]
    assert carry("submit", run_id).status is TaskStatus.DONE
    run = run_now(run_id)
    assert (run.status, run.provider_job_id) == (RunStatus.CANCELLED, "")


def test_a_run_that_is_cancelled_while_its_create_call_succeeds_is_watched_to_its_end(
    start, carry, trainer, run_now, db, scripted
):
    run_id = start("stub")
    create = trainer._next

    def cancelled_meanwhile(name, answers):
        if name == "submit":
            cancel(db, run_id)
        return create(name, answers)

    trainer._next = cancelled_meanwhile
    assert carry("submit", run_id).status is TaskStatus.DONE
    trainer._next = create
    assert (run_now(run_id).status, run_now(run_id).provider_job_id) == (RunStatus.CANCELLING, "job-1")
    trainer.polled = [replace(trainer.job, status=ProviderJobStatus.CANCELLED)]
    watch(scripted, run_id)
    assert "cancel job-1" in trainer.calls
    assert run_now(run_id).status is RunStatus.CANCELLED


class _Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


def killed():
    raise _Killed


def again(scripted, run_id):
    """Its worker is dead: the task is given to another."""
    row = task(scripted.db, "submit", run_id)
    tasks.expire_lease(scripted.db, row.id, row.attempt)
    with scripted.db.write() as session:
        for dead in tasks.reap(session, scripted.settings.timing):
            kinds.give_up(session, dead)


def test_an_attempt_that_is_killed_while_it_uploads_is_simply_made_again(start, carry, trainer, run_now, scripted):
    run_id = start("stub")
    trainer.uploading = killed
    with pytest.raises(_Killed):
        carry("submit", run_id)
    assert run_now(run_id).provider_job_id == ""
    again(scripted, run_id)
    trainer.uploading = lambda: None
    assert carry("submit", run_id).status is TaskStatus.DONE
    assert run_now(run_id).status is RunStatus.TRAINING
    assert trainer.calls == ["find", "find", "submit"]


def test_an_attempt_that_is_killed_in_its_create_call_is_looked_up_only(start, carry, trainer, run_now, scripted):
    run_id = start("stub")
    trainer._next = lambda name, answers: killed() if name == "submit" else answers.pop(0)
    with pytest.raises(_Killed):
        carry("submit", run_id)
    del trainer._next
    assert run_now(run_id).provider_job_id == SUBMITTED
    again(scripted, run_id)
    assert carry("submit", run_id).status is TaskStatus.QUEUED
    assert run_now(run_id).status is RunStatus.SUBMIT_UNKNOWN
    trainer.found = [trainer.job]
    assert carry("submit", run_id).status is TaskStatus.DONE
    assert run_now(run_id).status is RunStatus.TRAINING
    assert "submit" not in trainer.calls
    assert len(trainer.requests) == 1


def test_two_attempts_have_a_folder_each_and_the_late_one_creates_nothing(start, carry, trainer, run_now, scripted):
    run_id = start("stub")
    seen = []

    def taken_over():
        trainer.uploading = lambda: None
        again(scripted, run_id)
        assert carry("submit", run_id).status is TaskStatus.DONE
        seen.extend(request.train_path.exists() for request in trainer.requests)

    trainer.uploading = taken_over
    carry("submit", run_id)
    assert [one.folder.name for one in trainer.requests] == ["submit-1", "submit-2"]
    assert seen == [True, False]  # the other has removed its own
    assert not any(one.folder.exists() for one in trainer.requests)
    assert trainer.calls.count("submit") == 1
    assert run_now(run_id).status is RunStatus.TRAINING


def test_what_a_killed_attempt_leaves_is_removed_once_the_run_is_over(start, carry, trainer, run_now, scripted, db):
    run_id = start("stub")
    left = scripted.settings.runs_folder / str(run_id) / "submit-0"
    left.mkdir(parents=True)
    carry("submit", run_id)
    assert left.exists()
    with db.write() as session:
        lifecycle.fail(session, session.get_one(Run, run_id), "No.")
        other = Run(
            team_id="T1", channel_id="C1", creator_id="U1", name="x", request_key="x", dataset_id=1, provider="stub",
            base_model="m", method="sft", status=RunStatus.CANCELLED,
        )  # fmt: skip
        session.add(other)
        session.flush()
        tasks.add(session, "submit", other.id, queue="cloud", team_id="T1")
    assert carry("submit", other.id).status is TaskStatus.DONE
    assert not left.parent.exists()


def test_the_job_is_known_though_its_answer_cannot_be_written(start, carry, trainer, run_now, monkeypatch):
    run_id = start("stub")

    def broken(*_given):
        raise ValueError("a fault of ours")

    with monkeypatch.context() as patched:
        patched.setattr(submitting.progress, "record", broken)
        assert carry("submit", run_id).status is TaskStatus.QUEUED
    assert run_now(run_id).provider_job_id == "job-1"
    assert carry("submit", run_id).status is TaskStatus.DONE
    run = run_now(run_id)
    assert run.status is RunStatus.TRAINING
    assert run.next_poll_at
    assert trainer.calls == ["find", "submit"]  # the vendor was not even asked again


def give_up(scripted, run_id):
    with scripted.db.write() as session:
        row = session.exec(select(Task).where(Task.kind == "submit", Task.subject_id == run_id)).one()
        row.status, row.error_id = TaskStatus.DEAD, "e1"
        kinds.give_up(session, row)


@pytest.mark.parametrize("status", [RunStatus.SUBMITTING, RunStatus.CANCELLING])
def test_given_up_with_a_create_call_under_way_nobody_is_told_to_start_again(start, scripted, run_now, db, status):
    run_id = start("stub")
    with db.write() as session:
        run = session.get_one(Run, run_id)
        run.status, run.provider_job_id = status, SUBMITTED
    give_up(scripted, run_id)
    run = run_now(run_id)
    assert (run.status, run.error_id) == (RunStatus.FAILED, "e1")
    assert "never confirmed" in run.status_reason
    assert "it is being billed" in run.status_reason
    assert "start it again" not in run.status_reason


@pytest.mark.parametrize(
    ("status", "then"),
    [(RunStatus.SUBMITTING, RunStatus.TRAINING), (RunStatus.SUBMIT_UNKNOWN, RunStatus.TRAINING),
     (RunStatus.CANCELLING, RunStatus.CANCELLING)],
)  # fmt: skip
def test_given_up_with_a_known_job_it_is_watched(start, scripted, run_now, db, status, then):
    run_id = start("stub")
    with db.write() as session:
        run = session.get_one(Run, run_id)
        run.status, run.provider_job_id = status, "job-1"
    give_up(scripted, run_id)
    run = run_now(run_id)
    assert run.status is then
    assert run.next_poll_at


def test_giving_up_waits_for_whoever_changes_the_run(start, scripted, run_now, db):
    run_id = start("stub")
    with db.write() as session:
        session.get_one(Run, run_id, with_for_update=True).provider_job_id = SUBMITTED
        session.flush()
        giving_up = threading.Thread(target=give_up, args=(scripted, run_id))
        giving_up.start()
        time.sleep(0.5)
    giving_up.join()
    assert "never confirmed" in run_now(run_id).status_reason


@pytest.fixture
def stray(start, carry, trainer, scripted):
    """A run that was given up while its create call was under way; which then came through."""
    run_id = start("stub")
    create = trainer._next

    def late(name, answers):
        if name == "submit":
            with scripted.db.write() as session:
                session.execute(update(Task).where(Task.kind == "submit").values(lease_owner="nobody"))
            give_up(scripted, run_id)
        return create(name, answers)

    trainer._next = late
    carry("submit", run_id)
    trainer._next = create
    return run_id


def notes(db):
    said = sorted(rows(db, Announcement), key=lambda one: one.id)
    return [one.data["text"] for one in said if one.kind == "note"]


def test_a_job_that_comes_to_be_after_its_run_has_ended_is_ended_too(stray, carry, trainer, run_now, db):
    run = run_now(stray)
    assert (run.status, run.provider_job_id) == (RunStatus.FAILED, "job-1")
    assert notes(db)[0].endswith("after the run had ended here. It is being cancelled there.")
    trainer.polled = [trainer.job, Unavailable("It does not answer.")]
    for _ in range(2):
        assert carry("end_stray", stray).status is TaskStatus.QUEUED
    trainer.polled = [replace(trainer.job, status=ProviderJobStatus.CANCELLED)]
    assert carry("end_stray", stray).status is TaskStatus.DONE
    assert trainer.calls.count("cancel job-1") == 3
    assert notes(db)[1].startswith("It has ended at")
    assert run_now(stray).status is RunStatus.FAILED


def test_one_that_had_been_trained_by_then_says_where_the_model_is(stray, carry, trainer, run_now, db):
    trainer.polled = [replace(trainer.job, status=ProviderJobStatus.SUCCEEDED, tuned_model="ft:recipes")]

    def ended_already(_job_id):
        raise InvalidRequest("It has ended.")

    trainer.cancel = ended_already
    assert carry("end_stray", stray).status is TaskStatus.DONE
    assert "ft:recipes" in notes(db)[1]
    assert run_now(stray).tuned_model == "ft:recipes"  # which can be deleted


def test_one_that_cannot_be_ended_is_somebody_s_business(stray, carry, trainer, scripted, db):
    with db.write() as session:
        session.execute(update(Task).where(Task.kind == "end_stray").values(created_at=time.time() - 90_000))
    trainer.polled = [NotAllowed("The key was refused.")]
    assert carry("end_stray", stray).status is TaskStatus.DONE
    assert "may be billed" in notes(db)[1]


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)  # SQLite has one writer at a time
@pytest.mark.parametrize("end", ["cancel", "fail"])
def test_a_part_that_is_begun_while_its_run_ends_creates_nothing(
    start, trainer, scripted, run_now, db, monkeypatch, end
):
    main = start("stub")
    with db.write() as session:
        row = session.get_one(Run, main)
        part = Run(
            **{**row.model_dump(exclude={"id"}), "request_key": f"{row.request_key}{lifecycle.PART}0",
               "plan": {**row.plan, "part": {"number": 0, "of": 3, "run": main}}},
        )  # fmt: skip
        session.add(part)
        session.flush()
        tasks.add(session, "submit", part.id, queue="cloud", team_id="T1")
    of_part = task(db, "submit", part.id)
    begun = threading.Thread(target=runner.carry, args=(scripted, of_part.id, of_part.attempt))
    ask = lifecycle._ask_to_end

    def meanwhile(session, run):
        if not begun.ident:
            begun.start()
            begun.join(2.0)
        ask(session, run)

    monkeypatch.setattr(lifecycle, "_ask_to_end", meanwhile)
    with db.write() as session:
        if end == "cancel":
            lifecycle.cancel(session, TUNER, main)
        else:
            lifecycle.fail(session, session.get_one(Run, main, with_for_update=True), "No.")
    begun.join()
    assert run_now(part.id).status is RunStatus.CANCELLED
    assert task(db, "submit", part.id).status is TaskStatus.DONE
    assert "submit" not in trainer.calls


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
def test_a_run_is_cancelled_as_it_is_now_and_not_as_it_was_read(start, run_now, db):
    run_id = start("stub")
    with db.write() as session:
        before = lifecycle.find(session, TUNER, run_id)
        assert before.status is RunStatus.QUEUED
        with db.write() as other:
            lifecycle.transition(other, other.get_one(Run, run_id), RunStatus.PREPARING)
        assert lifecycle.cancel(session, TUNER, run_id).status is RunStatus.CANCELLING
