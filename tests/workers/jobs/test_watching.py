"""Watching runs at vendors: what each answer makes of a run, many at once, killed and doubled at every point."""

import dataclasses
import json
import threading
import time
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from bot.blocks import run_card
from bot.sandbox.block_kit import problems_of_blocks
from providers.base import Checkpoint, MetricPoint, ProviderEvent, ProviderJobStatus
from providers.errors import (
    InvalidRequest,
    NotAllowed,
    NotConfigured,
    NotFound,
    ProviderError,
    RateLimited,
    TrainingFailed,
    Unavailable,
)
from tests.workers.jobs.watched import RUNNING, TUNER, Vendor, Vendors, add_run, watch_once
from workers.jobs import watching as watcher
from workers.run_status import RunStatus
from workers.runs import lifecycle, news, pace, watching
from workers.tables import Announcement, Credential, Run, RunCheckpoint, RunEvent, RunMetric, Task, TaskStatus

SUCCEEDED = replace(RUNNING, status=ProviderJobStatus.SUCCEEDED, tuned_model="ft:recipes", trained_tokens=4200, step=9)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    monkeypatch.setattr(watcher, "LINGER_SECONDS", 0.0)
    monkeypatch.setattr(watcher, "GATHER_SECONDS", 0.02)


@pytest.fixture
def vendor():
    return Vendor()


@pytest.fixture
def vendors(vendor):
    return Vendors(vendor)


@pytest.fixture
def place(context, vendors):
    return dataclasses.replace(context, providers=vendors)


@pytest.fixture
def run(place):
    with place.db.write() as session:
        return add_run(session)


def look(place, run_id):
    with place.db.read() as session:
        return session.get_one(Run, run_id)


def change(place, run_id, **values):
    with place.db.write() as session:
        row = session.get_one(Run, run_id)
        for name, value in values.items():
            setattr(row, name, value)
        session.add(row)


def again(place, run_id):
    """Watch once more, though it is not due yet."""
    change(place, run_id, next_poll_at=0.0)
    watch_once(place)
    return look(place, run_id)


def rows(place, table):
    with place.db.read() as session:
        return session.exec(select(table)).all()


def card(row):
    drawn = run_card.draw(row)
    assert problems_of_blocks(drawn.blocks) == []
    return json.dumps(drawn.blocks, ensure_ascii=False)


def later(place, run_id, seconds):
    """As if the trouble had begun so long ago."""
    row = look(place, run_id)
    trouble = {**row.progress["trouble"], "since": row.progress["trouble"]["since"] - seconds}
    change(place, run_id, progress={**row.progress, "trouble": trouble})


def waits(row):
    return row.next_poll_at - time.time()


def test_a_run_from_validation_to_its_model(place, vendor, run):
    vendor.answers["job"] = [
        replace(RUNNING, status=ProviderJobStatus.PENDING, vendor_status="validating_files", stage="validating files"),
        replace(RUNNING, step=5, cursor="5", metrics=[MetricPoint(5, loss=1.5, validation_loss=1.7)],
                events=[ProviderEvent("e", 1.0, "info", "Step 5/9")], trained_tokens=2000),
        replace(SUCCEEDED, cursor="9", metrics=[MetricPoint(9, loss=0.5)]),
    ]  # fmt: skip
    assert watch_once(place).status is TaskStatus.DONE
    assert "_validating files_" in card(look(place, run))
    row = again(place, run)
    assert (row.status, row.progress["trained_tokens"], row.poll_cursor) == (RunStatus.TRAINING, 2000, "5")
    shown = card(row)
    for words in ("step 5", "loss 1.500", "validation loss 1.700", "2,000 tokens trained"):
        assert words in shown
    row = again(place, run)
    assert (row.status, row.tuned_model, row.model_name) == (RunStatus.EVALUATING, "ft:recipes", "ft:recipes")
    assert (row.next_poll_at, row.progress["trained_tokens"]) == (None, 4200)
    assert row.trained_at
    assert vendor.cursors == ["", "", "5"]
    assert [(one.step, one.loss) for one in rows(place, RunMetric)] == [(5, 1.5), (9, 0.5)]
    assert "Step 5/9" in [one.message for one in rows(place, RunEvent)]
    assert {one.kind for one in rows(place, Task)} == {"watch", "evaluate", "list_checkpoints"}
    assert {one.kind for one in rows(place, Announcement)} == {"run_card", "loss_curve"}


def test_a_model_that_must_be_hosted_is_deployed_first(place, vendor, monkeypatch):
    from workers import hosting

    begun = []
    monkeypatch.setattr(hosting, "begin", lambda _session, run: begun.append((run.id, run.status, run.tuned_model)))
    with place.db.write() as session:
        run_id = add_run(session, provider="azure_openai", model_name="recipes-1")
        session.add(Credential(team_id="T1", provider="azure_openai", sealed=place.vault.seal({"api_key": "k"})))
    vendor.answers["job"] = [SUCCEEDED]
    watch_once(place)
    row = look(place, run_id)
    assert (row.status, row.tuned_model, row.model_name) == (RunStatus.DEPLOYING, "ft:recipes", "recipes-1")
    assert begun == [(run_id, RunStatus.DEPLOYING, "ft:recipes")]
    assert "evaluate" not in {one.kind for one in rows(place, Task)}


def test_a_vendor_s_failure_is_told_in_its_words(place, vendor, run):
    vendor.answers["job"] = [replace(RUNNING, status=ProviderJobStatus.FAILED, error="The file has 9 examples.")]
    watch_once(place)
    assert (look(place, run).status, look(place, run).status_reason) == (RunStatus.FAILED, "The file has 9 examples.")
    assert look(place, run).next_poll_at is None


def test_null_fields_say_what_there_is_to_say(place, vendor, run):
    vendor.answers["job"] = [replace(RUNNING, status=ProviderJobStatus.FAILED, vendor_status="", stage="", error=None)]
    watch_once(place)
    assert "without saying why" in look(place, run).status_reason
    assert "Look at its console" in look(place, run).status_reason


def test_success_without_a_model_is_waited_for_and_then_told(place, vendor, run):
    vendor.answers["job"] = [replace(SUCCEEDED, tuned_model=None)]
    watch_once(place)
    row = look(place, run)
    assert row.status is RunStatus.TRAINING
    change(place, run, progress={**row.progress, "nameless_since": row.progress["nameless_since"] - 1000})
    row = again(place, run)
    assert row.status is RunStatus.FAILED
    assert "names no model" in row.status_reason


def test_a_state_that_nobody_knows_is_kept_and_shown(place, vendor, run):
    strange = replace(RUNNING, status=ProviderJobStatus.UNKNOWN, vendor_status="<!here> mulling\x00\x1b[1m", stage="")
    vendor.answers["job"] = [strange, RUNNING]
    watch_once(place)
    row = look(place, run)
    assert row.status is RunStatus.TRAINING
    assert "mulling" in card(row)
    assert "<!here>" not in card(row)
    assert waits(row) <= 12
    assert "mulling" not in card(again(place, run))


def test_nonsense_in_an_answer_does_no_harm(place, vendor, run):
    points = [MetricPoint(-1, loss=1.0), MetricPoint(2**40, loss=1.0), MetricPoint(3, loss=float("nan"))]
    vendor.answers["job"] = [replace(RUNNING, stage="x\x00" * 9999, metrics=points, eta_seconds=float("inf"))]
    watch_once(place)
    row = look(place, run)
    assert row.status is RunStatus.TRAINING
    assert "trouble" not in row.progress
    assert [(one.step, one.loss) for one in rows(place, RunMetric)] == [(3, None)]
    card(row)


@pytest.mark.parametrize("error", [NotAllowed("The key was refused."), NotConfigured("There is no key.")])
def test_refused_credentials_lose_nothing_and_say_who_must_do_what(place, vendor, run, error):
    vendor.answers["job"] = [RUNNING, error, RUNNING]
    watch_once(place)
    row = again(place, run)
    assert row.status is RunStatus.TRAINING
    assert 250 < waits(row) < 350
    assert "an admin must renew them (`/finetune keys`)" in card(row)
    row = again(place, run)  # the credentials were renewed
    assert "finetune keys" not in card(row)
    assert waits(row) < 15


def test_credentials_that_stay_refused_for_a_day_end_the_run_in_words(place, vendor, run):
    vendor.answers["job"] = [NotAllowed("The key was refused.")]
    watch_once(place)
    later(place, run, 23 * 3600)
    assert again(place, run).status is RunStatus.TRAINING
    later(place, run, 3700)
    row = again(place, run)
    assert row.status is RunStatus.FAILED
    assert "be billed" in row.status_reason
    assert "console" in row.status_reason


def test_credentials_that_were_removed_are_like_refused_ones(place, vendors, run):
    vendors.unconfigured = True
    watch_once(place)
    assert "an admin must renew them" in card(look(place, run))
    vendors.unconfigured = False
    assert "trouble" not in again(place, run).progress


@pytest.mark.parametrize("asked", [7.0, 600.0])
def test_a_vendor_that_wants_less_is_left_alone_for_as_long_as_it_says(place, vendor, run, asked):
    with place.db.write() as session:
        others = [add_run(session, provider_job_id=f"job{number}") for number in range(40)]
        beside = add_run(session, team="T2", provider_job_id="beside")
        soon = add_run(session, provider_job_id="soon", due=time.time() + 5)
    for name in ("job", "soon", *(f"job{number}" for number in range(40))):
        vendor.answers[name] = [RateLimited("Slow down.", retry_after=asked)]
    watch_once(place)
    assert len(vendor.calls) <= watcher.LANE_AT_ONCE + 1  # those under way, and the other workspace's
    assert "poll beside" in vendor.calls
    assert waits(look(place, beside)) < 15
    least = max(asked, pace.LIMITED_SECONDS) - 3
    for one in (run, *others, soon):
        row = look(place, one)
        assert row.status is RunStatus.TRAINING
        assert waits(row) > least
    limited = [row for row in rows(place, Run) if "trouble" in row.progress]
    assert "asks us to slow down" in card(limited[0])
    assert "nothing needs to be done" in card(limited[0])


@pytest.mark.parametrize("asked", [float("nan"), float("inf"), -5.0, 1e12])
def test_a_nonsensical_wish_to_be_left_alone_is_bounded(place, vendor, run, asked):
    vendor.answers["job"] = [RateLimited("Slow down.", retry_after=asked)]
    watch_once(place)
    assert 20 < waits(look(place, run)) <= 4000


def test_a_vendor_that_is_away_is_waited_for_and_the_card_says_since_when(place, vendor, run):
    vendor.answers["job"] = [Unavailable("OpenAI does not answer.")]
    watch_once(place)
    row = look(place, run)
    assert row.status is RunStatus.TRAINING
    assert 25 < waits(row) < 35
    cards = [one.revision for one in rows(place, Announcement)]
    assert cards == []  # a moment's trouble is nobody's business
    later(place, run, 7200)
    row = again(place, run)
    assert row.status is RunStatus.TRAINING
    assert 100 < waits(row) < 135
    (told,) = rows(place, Announcement)
    assert "does not answer since" in card(row)
    assert "Nothing is lost" in card(row)
    again(place, run)
    assert rows(place, Announcement)[0].revision == told.revision  # said once
    later(place, run, 14 * 3600)
    assert again(place, run).status is RunStatus.TRAINING
    later(place, run, 9 * 3600)
    row = again(place, run)
    assert row.status is RunStatus.FAILED
    assert "console" in row.status_reason


@pytest.mark.parametrize("error", [InvalidRequest("409: it is being changed."), ProviderError("It makes no sense.")])
def test_a_question_that_is_refused_is_asked_again(place, vendor, run, error):
    vendor.answers["job"] = [error, SUCCEEDED]
    watch_once(place)
    row = look(place, run)
    assert row.status is RunStatus.TRAINING
    assert "does not take our questions" in card(row)
    assert again(place, run).status is RunStatus.EVALUATING


def missing_for(place, run_id, seconds):
    """As if the vendor had begun so long ago to say that it has no such training."""
    row = look(place, run_id)
    trouble = row.progress["trouble"]
    missing = {**trouble["missing"], "since": trouble["missing"]["since"] - seconds}
    change(place, run_id, progress={**row.progress, "trouble": {**trouble, "missing": missing}})


def test_a_job_that_was_deleted_behind_our_back_fails_the_run_after_several_looks(place, vendor, run):
    vendor.answers["job"] = [NotFound("No such job.")]
    watch_once(place)
    row = look(place, run)
    assert (row.status, row.progress["trouble"]["kind"]) == (RunStatus.TRAINING, "missing")
    assert 50 < waits(row) < 70
    assert "says since" in card(row)
    assert "may still go on there" in card(row)
    missing_for(place, run, 3600)
    for _ in range(3):
        assert again(place, run).status is RunStatus.TRAINING  # long enough, but not often enough
    row = again(place, run)
    assert row.status is RunStatus.FAILED
    assert "has no such training any more" in row.status_reason
    assert "the credentials are those of another account" in row.status_reason
    assert "be billed" in row.status_reason
    assert "start it again" not in row.status_reason


def test_a_job_that_is_missing_often_but_not_for_long_is_waited_for(place, vendor, run):
    vendor.answers["job"] = [NotFound("No such job.")]
    for _ in range(8):
        assert again(place, run).status is RunStatus.TRAINING
    missing_for(place, run, 880)
    assert again(place, run).status is RunStatus.TRAINING
    missing_for(place, run, 30)
    assert again(place, run).status is RunStatus.FAILED


def test_a_job_that_turns_up_again_was_never_missing(place, vendor, run):
    vendor.answers["job"] = [*[NotFound("No such job.")] * 9, RUNNING, NotFound("No such job.")]
    for _ in range(4):
        again(place, run)
    missing_for(place, run, 800)  # the credentials of another project, which are put right
    for _ in range(5):
        assert again(place, run).status is RunStatus.TRAINING
    assert "trouble" not in again(place, run).progress
    row = again(place, run)
    assert (row.status, row.progress["trouble"]["missing"]["looks"]) == (RunStatus.TRAINING, 1)


def test_a_job_that_is_missing_after_another_trouble_is_looked_for_as_long(place, vendor, run):
    vendor.answers["job"] = [Unavailable("away"), NotFound("No such job.")]
    watch_once(place)
    later(place, run, 7200)
    for _ in range(8):
        assert again(place, run).status is RunStatus.TRAINING


def test_a_training_that_broke_is_not_asked_about_again(place, vendor, run):
    vendor.answers["job"] = [TrainingFailed("The grader failed: mend it.")]
    watch_once(place)
    assert look(place, run).status_reason == "The grader failed: mend it."


def test_a_fault_of_ours_in_one_run_harms_no_other(place, vendor, run):
    with place.db.write() as session:
        fine = add_run(session, provider_job_id="fine")
    vendor.answers["job"] = [ValueError("a secret"), RUNNING]
    vendor.answers["fine"] = [SUCCEEDED]
    watch_once(place)
    assert look(place, fine).status is RunStatus.EVALUATING
    row = look(place, run)
    assert row.status is RunStatus.TRAINING
    assert row.progress["trouble"]["error_id"] in card(row)
    assert "a secret" not in card(row)
    assert "trouble" not in again(place, run).progress


def test_news_that_cannot_be_written_harm_no_other(place, vendor, run, monkeypatch):
    with place.db.write() as session:
        fine = add_run(session, provider_job_id="fine")
    whole = news.progress.record

    def record(session, row, job, **options):
        changed = whole(session, row, job, **options)
        if row.id == run:
            session.execute(text("INSERT INTO inboundevent (key, team_id, received_at) VALUES (NULL, 'T1', 0)"))
        return changed

    monkeypatch.setattr(news.progress, "record", record)
    vendor.answers["job"] = [replace(RUNNING, step=3, events=[ProviderEvent("e", 1.0, "info", "half")])]
    vendor.answers["fine"] = [replace(RUNNING, step=7)]
    watch_once(place)
    assert look(place, fine).progress["step"] == 7
    assert "half" not in [one.message for one in rows(place, RunEvent)]
    assert look(place, run).progress["trouble"]["kind"] == "broken"


def test_a_cancelled_run_is_cancelled_when_the_vendor_says_so(place, vendor, run):
    change(place, run, next_poll_at=time.time() + 60)
    with place.db.write() as session:
        lifecycle.cancel(session, TUNER, run)
    assert look(place, run).next_poll_at == 0.0  # looked at at once
    vendor.answers["job"] = [Unavailable("away"), RUNNING, replace(RUNNING, status=ProviderJobStatus.CANCELLED, step=4)]
    watch_once(place)
    assert look(place, run).status is RunStatus.CANCELLING
    assert "repeated until" in card(look(place, run))
    assert again(place, run).status is RunStatus.CANCELLING
    row = again(place, run)
    assert (row.status, row.status_reason) == (RunStatus.CANCELLED, "Cancelled at step 4.")
    assert vendor.calls == ["cancel job", "poll job"] * 3


def test_a_wish_to_cancel_that_cannot_be_sent_is_kept(place, vendor, run):
    with place.db.write() as session:
        lifecycle.cancel(session, TUNER, run)
    vendor.wishes["cancel"] = Unavailable("away")
    watch_once(place)
    later(place, run, 3600)
    assert again(place, run).status is RunStatus.CANCELLING
    assert "poll job" not in vendor.calls
    vendor.wishes.clear()
    vendor.answers["job"] = [replace(RUNNING, status=ProviderJobStatus.CANCELLED)]
    assert again(place, run).status is RunStatus.CANCELLED


def test_what_had_ended_before_it_was_cancelled_says_where_its_model_is(place, vendor, run):
    with place.db.write() as session:
        lifecycle.cancel(session, TUNER, run)
    vendor.wishes["cancel"] = InvalidRequest("It has ended already.")
    vendor.answers["job"] = [SUCCEEDED]
    watch_once(place)
    row = look(place, run)
    assert (row.status, row.tuned_model) == (RunStatus.CANCELLED, "ft:recipes")
    assert "ft:recipes" in row.status_reason
    assert "evaluate" not in {one.kind for one in rows(place, Task)}


def test_a_job_that_is_gone_is_a_cancelled_one_where_that_was_wished(place, vendor, run):
    with place.db.write() as session:
        lifecycle.cancel(session, TUNER, run)
    vendor.wishes["cancel"] = NotFound("No such job.")
    for _ in range(5):
        assert again(place, run).status is RunStatus.CANCELLING
    missing_for(place, run, 901)
    row = again(place, run)
    assert row.status is RunStatus.CANCELLED
    assert "be billed" in row.status_reason


def wish(place, run_id, act):
    with place.db.write() as session:
        act(session, TUNER, run_id)


def test_pause_and_resume(place, vendor, run):
    paused = replace(RUNNING, status=ProviderJobStatus.PAUSED, vendor_status="paused")
    wish(place, run, lifecycle.pause)
    assert "Pausing" in card(look(place, run))
    vendor.answers["job"] = [RUNNING, paused]
    watch_once(place)
    row = look(place, run)
    assert row.status is RunStatus.PAUSED
    assert '"Resume"' in card(row)
    assert vendor.calls == ["poll job", "pause job", "poll job"]
    again(place, run)
    assert vendor.calls[3:] == ["poll job"]  # once is enough
    wish(place, run, lifecycle.resume)
    assert "Going on" in card(look(place, run))
    vendor.answers["job"] = [paused, RUNNING]
    watch_once(place)
    row = look(place, run)
    assert (row.status, row.pause_requested) == (RunStatus.TRAINING, False)
    assert vendor.calls[4:] == ["poll job", "resume job", "poll job"]
    assert '"Pause"' in card(row)


def test_a_queued_job_is_paused_once_it_runs(place, vendor, run):
    wish(place, run, lifecycle.pause)
    vendor.answers["job"] = [replace(RUNNING, status=ProviderJobStatus.PENDING)]
    watch_once(place)
    assert vendor.calls == ["poll job"]
    assert look(place, run).pause_requested


def test_a_vendor_that_will_not_pause_is_heard(place, vendor, run):
    wish(place, run, lifecycle.pause)
    vendor.wishes["pause"] = InvalidRequest("Only some jobs can be paused.")
    watch_once(place)
    row = look(place, run)
    assert (row.status, row.pause_requested) == (RunStatus.TRAINING, False)
    (told,) = [one.data["text"] for one in rows(place, Announcement) if one.kind == "note"]
    assert told.endswith("would not pause this training: Only some jobs can be paused.")


def test_what_is_paused_or_resumed_elsewhere_is_followed(place, vendor, run):
    paused = replace(RUNNING, status=ProviderJobStatus.PAUSED)
    vendor.answers["job"] = [paused, paused, RUNNING, paused, SUCCEEDED]
    watch_once(place)
    assert look(place, run).status is RunStatus.PAUSED
    assert again(place, run).status is RunStatus.PAUSED
    assert again(place, run).status is RunStatus.TRAINING
    assert again(place, run).status is RunStatus.PAUSED
    assert not any(call.startswith(("pause", "resume")) for call in vendor.calls)
    assert again(place, run).status is RunStatus.EVALUATING  # it went on there, and has ended


def test_checkpoints_are_listed_now_and_then_while_it_trains(place, vendor, run):
    vendor.kept = [Checkpoint("ft:at-5", 5, loss=1.0, validation_loss=float("nan")), Checkpoint("", 6)]
    watch_once(place)
    assert "checkpoints job" not in vendor.calls
    change(place, run, started_at=time.time() - 700)
    again(place, run)
    again(place, run)
    assert vendor.calls.count("checkpoints job") == 1
    assert [(one.step, one.model, one.validation_loss) for one in rows(place, RunCheckpoint)] == [(5, "ft:at-5", None)]


def test_a_run_that_ended_meanwhile_is_left_alone(place, vendor, run):
    def cancelled_by_another():
        change(place, run, status=RunStatus.CANCELLED, next_poll_at=None)
        return SUCCEEDED

    vendor.answers["job"] = [cancelled_by_another]
    watch_once(place)
    assert look(place, run).status is RunStatus.CANCELLED
    assert "evaluate" not in {one.kind for one in rows(place, Task)}


def test_two_watchers_of_one_run_write_its_news_once(place, vendor, run):
    meeting = threading.Barrier(2, timeout=20)
    told = replace(RUNNING, step=5, cursor="5", metrics=[MetricPoint(5, loss=1.0)],
                   events=[ProviderEvent("e", 1.0, "info", "Step 5")])  # fmt: skip

    def first():
        change(place, run, next_poll_at=0.0)  # as if its claim had run out: the other takes it too
        meeting.wait()
        return told

    def second():
        meeting.wait()
        return told

    vendor.answers["job"] = [first, second, replace(told, cursor="5")]
    both = [threading.Thread(target=watch_once, args=(place, f"watch:{number}")) for number in range(2)]
    both[0].start()
    time.sleep(0.3)
    both[1].start()
    for one in both:
        one.join()
    assert vendor.cursors[:2] == ["", ""]
    assert [one.message for one in rows(place, RunEvent)] == ["Step 5"]
    assert [one.step for one in rows(place, RunMetric)] == [5]


def test_two_watchers_of_one_end_ask_for_one_evaluation(place, vendor, run):
    due = watching.Due(run, "T1", "stub", "job", "", RunStatus.TRAINING, False, False, 1.0)
    for _ in range(2):
        with place.db.write() as session:
            news.take_in(session, news.Seen(due, SUCCEEDED), pace.Pace())
    assert [one.kind for one in rows(place, Task)].count("evaluate") == 1
    assert [one.kind for one in rows(place, RunEvent)] == ["evaluating"]


class _Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it."""


@pytest.mark.parametrize("where", ["claim", "start", "take_in", "finish"])
def test_whatever_is_killed_is_watched_again(place, vendor, run, where, monkeypatch):
    vendor.answers["job"] = [replace(SUCCEEDED, cursor="9", events=[ProviderEvent("e", 1.0, "info", "done")])]
    killed = []

    def kill_once(whole):
        def act(*given, **named):
            if where == "finish" or killed:
                result = whole(*given, **named)
            if not killed:
                killed.append(where)
                raise _Killed
            return result

        return act

    with monkeypatch.context() as patched:
        if where == "claim":
            patched.setattr(watching, "claim", kill_once(watching.claim))
        elif where == "start":
            patched.setattr(watcher._Watch, "_start", kill_once(watcher._Watch._start))
        elif where == "take_in":
            patched.setattr(news, "take_in", kill_once(news.take_in))
        else:
            patched.setattr(watcher._Watch, "run", kill_once(watcher._Watch.run))
        patched.setattr(watcher._Watch, "_end", lambda _self: None)
        with pytest.raises(_Killed):
            watch_once(place)
    before = look(place, run)
    if before.status is RunStatus.TRAINING:
        assert before.next_poll_at is not None
        assert before.next_poll_at <= time.time() + watching.CLAIM_SECONDS + 1
        change(place, run, next_poll_at=0.0)
    with place.db.write() as session:  # its lease runs out
        session.execute(text("UPDATE task SET status = 'DONE', lease_owner = ''"))
    watch_once(place)
    assert look(place, run).status is RunStatus.EVALUATING
    assert [one.message for one in rows(place, RunEvent) if one.kind == "provider_info"] == ["done"]
    assert [one.kind for one in rows(place, Task)].count("evaluate") == 1


def test_a_database_that_is_away_for_a_moment_loses_no_news(place, vendor, run, monkeypatch):
    whole, failed = news.take_in, []

    def away(session, seen, pace):
        if not failed:
            failed.append(True)
            raise OperationalError("UPDATE run", {}, Exception("database is locked"))
        whole(session, seen, pace)

    monkeypatch.setattr(news, "take_in", away)
    vendor.answers["job"] = [replace(RUNNING, step=4, cursor="4", metrics=[MetricPoint(4, loss=1.0)])]
    assert watch_once(place).status is TaskStatus.DONE
    assert look(place, run).poll_cursor == ""
    assert again(place, run).poll_cursor == "4"
    assert vendor.cursors == ["", ""]
    assert [one.step for one in rows(place, RunMetric)] == [4]


def test_one_workspace_s_hanging_vendor_delays_no_other(place, vendor):
    going = threading.Event()

    def hang():
        going.wait(20)
        return RUNNING

    with place.db.write() as session:
        stuck = [add_run(session, provider_job_id=f"stuck{number}") for number in range(200)]
        quick = [add_run(session, team="T2", provider_job_id=f"quick{number}") for number in range(40)]
    for number in range(200):
        vendor.answers[f"stuck{number}"] = [hang]
    thread = threading.Thread(target=watch_once, args=(place,))
    thread.start()
    try:
        until = time.monotonic() + 15
        while not all("changed_at" in look(place, one).progress for one in quick):
            assert time.monotonic() < until
            time.sleep(0.05)
        assert vendor.at_once <= watcher.LANE_AT_ONCE
        assert not any("changed_at" in look(place, one).progress for one in stuck)
    finally:
        going.set()
        thread.join()
    assert all("changed_at" in look(place, one).progress for one in stuck)


def test_a_worker_that_must_stop_gives_back_what_it_has_not_begun(place, vendor, monkeypatch):
    monkeypatch.setattr(watcher, "LANE_AT_ONCE", 1)
    stop = threading.Event()

    def stopping():
        stop.set()
        return RUNNING

    with place.db.write() as session:
        ids = [add_run(session, provider_job_id=f"job{number}") for number in range(9)]
    for number in range(9):
        vendor.answers[f"job{number}"] = [stopping]
    from workers import tasks
    from workers.jobs import runner

    with place.db.write() as session:
        tasks.repeat(session, "watch", queue="cloud", key="watch:0")
    (task,) = rows(place, Task)
    runner.carry(place, task.id, task.attempt, stopping=stop)
    left = [look(place, one).next_poll_at for one in ids]
    assert sum(one == 0.0 for one in left) >= 7
    assert len(vendor.calls) <= 2


def test_a_quiet_run_is_asked_about_less_often_and_news_change_that(place, vendor, run):
    watch_once(place)
    assert 8 < waits(look(place, run)) <= 11.5
    for quiet, low, high in ((30, 8, 11.5), (240, 35, 45), (9999, 53, 67)):
        change(place, run, progress={**look(place, run).progress, "changed_at": time.time() - quiet})
        assert low < waits(again(place, run)) < high
    vendor.answers["job"] = [replace(RUNNING, step=8)]
    assert waits(again(place, run)) <= 11.5


def test_very_many_runs_are_asked_about_as_often_as_one_installation_can():
    many = pace.Pace(watched=5000)
    assert all(56 < many.poll_in(0) < 69 for _ in range(50))
    assert all(112 < pace.Pace(watched=10_000).poll_in(9999) < 138 for _ in range(50))


def test_the_cards_of_many_runs_share_the_workspace_s_edits(place, vendor):
    with place.db.write() as session:
        ids = [add_run(session, provider_job_id=f"job{number}") for number in range(30)]
    for step in range(1, 4):
        for number in range(30):
            vendor.answers[f"job{number}"] = [replace(RUNNING, step=step)]
        for one in ids:
            change(place, one, next_poll_at=0.0)
        watch_once(place)
    assert {one.revision for one in rows(place, Announcement)} == {1}
    assert all(look(place, one).progress["undrawn"] for one in ids)
    figures = look(place, ids[0]).progress
    change(place, ids[0], progress={**figures, "drawn_at": figures["drawn_at"] - 3600})
    again(place, ids[0])  # no news, but what was held back is shown in its turn
    assert sorted(one.revision for one in rows(place, Announcement)) == [*[1] * 29, 2]


def test_two_hundred_runs_leave_one_row_behind(place, vendor):
    with place.db.write() as session:
        ids = [add_run(session, team=f"T{number % 5}", provider_job_id=f"job{number}") for number in range(200)]
    began = time.monotonic()
    watch_once(place)
    assert time.monotonic() - began < 30
    assert sorted(vendor.calls) == sorted(f"poll job{number}" for number in range(200))
    assert all(waits(look(place, one)) > 0 for one in ids)
    assert [one.kind for one in rows(place, Task)] == ["watch"]
    assert watch_once(place).status is TaskStatus.DONE
    assert len(rows(place, Task)) == 1


def test_in_a_backlog_every_workspace_has_its_turn(place, vendor, monkeypatch):
    monkeypatch.setattr(watcher, "BEGUN_AT_ONCE", 2.0)
    monkeypatch.setattr(watcher, "BEGUN_A_SECOND", 0.0)
    with place.db.write() as session:
        for number in range(40):
            add_run(session, team=f"T{number % 4}", provider_job_id=f"T{number % 4}-{number}")
    attempt = watcher._Watch(place, _NoLease(place))
    attempt._claim()
    begun = []
    for _ in range(4):
        attempt._may_begin = 2.0
        attempt._start()
        while attempt._running:
            begun += [one.due.team_id for one in attempt._gathered()]
    assert sorted(begun) == sorted(["T0", "T1", "T2", "T3"] * 2)


class _NoLease:
    """Writes without asking whether it may."""

    def __init__(self, place):
        self.write = place.db.write
