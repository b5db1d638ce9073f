"""What people want of a run that a vendor trains: to cancel, to pause, to let it go on."""

import time
from dataclasses import replace

from providers.base import ProviderJobStatus
from providers.errors import InvalidRequest, Unavailable
from tests.workers.jobs.watched import RUNNING, SUCCEEDED, TUNER, again, card, change, later, look, rows, watch_once
from workers.run_status import RunStatus
from workers.runs import lifecycle
from workers.tables import Announcement, Task


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
