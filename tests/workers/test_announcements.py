"""The outbox: order in a thread, edits in place, coalescing, doubtful posts."""

import threading
import time

from workers import announcements
from workers.announcements import Trouble
from workers.tables import Announcement, AnnouncementStatus, Owned

OWNER = Owned(team_id="T1", channel_id="C1", creator_id="U1")


def want(db, slot, **options):
    with db.write() as session:
        options.setdefault("kind", "note")
        return announcements.post(session, owner=OWNER, slot=slot, **options).id


def take(db):
    with db.write() as session:
        return announcements.take_due(session, lease_seconds=30)


def row(db, row_id):
    with db.read() as session:
        return session.get_one(Announcement, row_id)


def test_a_claimed_message_is_not_claimed_again(db):
    want(db, "a")
    assert len(take(db)) == 1
    assert take(db) == []


def test_replies_wait_for_their_root_and_go_out_in_order(db):
    want(db, "root", kind="run_card")
    want(db, "first", thread_slot="root")
    want(db, "second", thread_slot="root")
    (root,) = take(db)
    assert root.slot == "root"
    announcements.delivered(db, root, "1.1", "x")
    (first,) = take(db)
    assert first.slot == "first"
    with db.read() as session:
        assert announcements.thread_of(session, first) == "1.1"
    announcements.delivered(db, first, "1.2", "x")
    assert [one.slot for one in take(db)] == ["second"]


def test_asking_again_edits_the_same_message(db):
    first = want(db, "card")
    (claimed,) = take(db)
    announcements.delivered(db, claimed, "1.1", "x")
    assert want(db, "card") == first
    (again,) = take(db)
    assert (again.ts, again.revision) == ("1.1", 2)


def test_a_change_during_the_posting_is_not_lost(db):
    row_id = want(db, "card")
    (claimed,) = take(db)
    want(db, "card")
    announcements.delivered(db, claimed, "1.1", "x")
    assert row(db, row_id).status is AnnouncementStatus.PENDING
    assert [one.revision for one in take(db)] == [2]


def test_dull_edits_wait_and_urgent_ones_do_not(db):
    want(db, "card")
    (claimed,) = take(db)
    announcements.delivered(db, claimed, "1.1", "x", next_edit_in=3600)
    want(db, "card", urgent=False)
    assert take(db) == []
    want(db, "card", urgent=True)
    assert len(take(db)) == 1


def test_an_urgent_change_during_a_dull_edit_goes_out_next(db):
    want(db, "card", urgent=False)
    (claimed,) = take(db)
    want(db, "card", urgent=True)
    announcements.delivered(db, claimed, "1.1", "x", next_edit_in=3600)
    assert len(take(db)) == 1


def test_a_lost_lease_changes_nothing(db):
    row_id = want(db, "a")
    (claimed,) = take(db)
    claimed.lease_owner = "somebody else"
    assert not announcements.delivered(db, claimed, "1.1", "x")
    assert not announcements.attempting(db, claimed)
    assert row(db, row_id).ts == ""


def test_an_attempt_is_counted_before_it_goes_out(db):
    row_id = want(db, "a")
    (claimed,) = take(db)
    assert announcements.attempting(db, claimed)
    assert row(db, row_id).attempts == 1


def fail(db, trouble, times=1):
    for _ in range(times):
        (claimed,) = take(db)
        announcements.attempting(db, claimed)
        announcements.failed(db, claimed, trouble, "a word", retry_in=0)


def test_what_slack_refuses_again_and_again_is_given_up(db):
    row_id = want(db, "a")
    fail(db, Trouble.REFUSED, announcements.MOST_ATTEMPTS)
    assert row(db, row_id).status is AnnouncementStatus.DEAD
    assert take(db) == []


def test_an_outage_never_gives_a_message_up(db):
    row_id = want(db, "a")
    fail(db, Trouble.AWAY, 3 * announcements.MOST_ATTEMPTS)
    fail(db, Trouble.REFUSED)  # one refusal after an outage is one refusal
    assert row(db, row_id).status is AnnouncementStatus.PENDING
    (claimed,) = take(db)
    announcements.delivered(db, claimed, "1.1", "x")
    assert row(db, row_id).status is AnnouncementStatus.SENT


def test_being_limited_does_not_count(db):
    row_id = want(db, "a")
    fail(db, Trouble.LIMITED, 3 * announcements.MOST_ATTEMPTS)
    assert (row(db, row_id).status, row(db, row_id).attempts) == (AnnouncementStatus.PENDING, 0)


def test_what_hangs_under_a_dead_root_dies_with_it(db):
    want(db, "root")
    reply = want(db, "reply", thread_slot="root")
    (root,) = take(db)
    announcements.failed(db, root, Trouble.HOPELESS, "channel_not_found", retry_in=0)
    assert take(db) == []
    assert row(db, reply).status is AnnouncementStatus.DEAD


def test_changes_at_once_are_as_many_revisions(db):
    row_id = want(db, "card")
    start = threading.Barrier(4)

    def change():
        start.wait()
        for _ in range(5):
            want(db, "card")

    threads = [threading.Thread(target=change) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert row(db, row_id).revision == 21


def test_two_notifiers_never_send_the_same_message(db):
    for number in range(20):
        want(db, f"note {number}")
    start, claimed = threading.Barrier(2), []

    def notify():
        start.wait()
        claimed.extend(one.id for one in take(db))

    threads = [threading.Thread(target=notify) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed))
    assert len(claimed) + len(take(db)) == 20


def test_a_message_whose_notifier_died_is_doubtful_and_taken_up_again(db):
    row_id = want(db, "a")
    with db.write() as session:
        (claimed,) = announcements.take_due(session, lease_seconds=0.2)
    announcements.attempting(db, claimed)
    assert take(db) == []
    time.sleep(0.25)
    (again,) = take(db)
    assert (again.id, again.attempts, again.ts) == (row_id, 1, "")
    assert not announcements.delivered(db, claimed, "1.1", "x")
    assert announcements.delivered(db, again, "1.2", "x")
    assert (row(db, row_id).ts, row(db, row_id).attempts) == ("1.2", 0)


def test_a_failed_message_waits_as_long_as_it_was_told(db):
    row_id = want(db, "a")
    (claimed,) = take(db)
    announcements.attempting(db, claimed)
    announcements.failed(db, claimed, Trouble.LIMITED, "rate limited", retry_in=3600)
    want(db, "a", urgent=True)
    assert take(db) == []
    assert row(db, row_id).problem == "rate limited"


def test_one_workspace_never_waits_for_another(db):
    want(db, "root")
    with db.write() as session:
        other = Owned(team_id="T2", channel_id="C1", creator_id="U1")
        announcements.post(session, owner=other, slot="reply", kind="note", thread_slot="root")
        announcements.post(session, owner=other, slot="alone", kind="note")
    assert [one.slot for one in take(db)] == ["root", "alone"]


def test_the_thread_of_an_uploaded_file_keeps_its_order(db):
    want(db, "first", thread_ts="9.9")
    want(db, "second", thread_ts="9.9")
    want(db, "elsewhere", thread_ts="8.8")
    assert [one.slot for one in take(db)] == ["first", "elsewhere"]
