"""A job that its vendor does not know any more: looked for often and long before the run ends."""

from providers.errors import NotFound, Unavailable
from tests.workers.jobs.watched import RUNNING, TUNER, again, card, later, look, missing_for, waits, watch_once
from workers.run_status import RunStatus
from workers.runs import lifecycle


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
