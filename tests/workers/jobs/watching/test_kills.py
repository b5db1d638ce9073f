"""Watchers that are killed, doubled, stopped or overtaken: nothing is lost, nothing written twice."""

import threading
import time
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from providers.base import MetricPoint, ProviderEvent
from tests.workers.jobs.watched import RUNNING, SUCCEEDED, add_run, again, change, look, rows, watch_once
from workers import tasks
from workers.jobs import runner
from workers.jobs import watching as watcher
from workers.run_status import RunStatus
from workers.runs import news, pace, watching
from workers.tables import RunEvent, RunMetric, Task, TaskStatus


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
    with place.db.write() as session:
        tasks.repeat(session, "watch", queue="cloud", key="watch:0")
    (task,) = rows(place, Task)
    runner.carry(place, task.id, task.attempt, stopping=stop)
    left = [look(place, one).next_poll_at for one in ids]
    assert sum(one == 0.0 for one in left) >= 7
    assert len(vendor.calls) <= 2
