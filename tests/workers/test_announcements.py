"""The outbox: order in a thread, edits in place, coalescing, doubtful posts."""

from workers import announcements
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


def test_failures_wait_and_end(db):
    row_id = want(db, "a")
    for _ in range(announcements.MOST_ATTEMPTS):
        (claimed,) = take(db)
        announcements.attempting(db, claimed)
        announcements.failed(db, claimed, "Slack is away", retry_in=0)
    assert row(db, row_id).status is AnnouncementStatus.DEAD
    assert take(db) == []


def test_what_hangs_under_a_dead_root_dies_with_it(db):
    want(db, "root")
    reply = want(db, "reply", thread_slot="root")
    (root,) = take(db)
    announcements.failed(db, root, "channel_not_found", retry_in=None)
    assert take(db) == []
    assert row(db, reply).status is AnnouncementStatus.DEAD
