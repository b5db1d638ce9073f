"""Many runs at once: how often each is asked about, and that none harms or delays another."""

import threading
import time
from dataclasses import replace

from sqlalchemy import text

from providers.base import ProviderEvent
from tests.workers.jobs.watched import RUNNING, SUCCEEDED, add_run, again, card, change, look, rows, waits, watch_once
from workers.jobs import watching as watcher
from workers.run_status import RunStatus
from workers.runs import news, pace
from workers.tables import Announcement, RunEvent, Task, TaskStatus


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
