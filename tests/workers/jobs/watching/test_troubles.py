"""What keeps a vendor from answering: it is waited for, the card says since when, and it ends in words."""

import time

import pytest

from providers.errors import InvalidRequest, NotAllowed, NotConfigured, ProviderError, RateLimited, Unavailable
from tests.workers.jobs.watched import (
    RUNNING,
    SUCCEEDED,
    add_run,
    again,
    card,
    later,
    look,
    rows,
    waits,
    watch_once,
)
from workers.jobs import watching as watcher
from workers.run_status import RunStatus
from workers.runs import pace
from workers.tables import Announcement, Run


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
