"""Nobody's words are used who has not agreed, whatever happens in which order."""

import pytest
from sqlmodel import select

from workers import consents, tasks
from workers.consents import Author
from workers.errors import NotAllowed, NotFound, RetryLater, UserError
from workers.rights import Actor
from workers.tables import Announcement, Consent, ConsentAnswer, ImportStatus, Task, ThreadImport, Upload
from workers.tasks import Timing

TUNER = Actor("T1", "U1", "C1")
ADA, REY = Actor("T1", "U2", "D2"), Actor("T1", "U3", "D3")
AUTHORS = [Author("U1", 2), Author("U2", 3, "D2"), Author("U3", 1, "D3"), Author("U9", 1, may_not=True)]


def everything(db, table):
    with db.read() as session:
        return session.exec(select(table).order_by(table.id)).all()


def claim(db, kind):
    (task,) = (one for one in everything(db, Task) if one.kind == kind and not one.key.endswith("late"))
    return tasks.claim(db, task.id, task.attempt, Timing())


@pytest.fixture
def asked(db):
    """A thread whose authors are being asked; returns its id."""
    with db.write() as session:
        wanted = consents.start(session, TUNER, "1.1", "key")
        assert consents.start(session, TUNER, "1.1", "key").id == wanted.id
    consents.ask(claim(db, "read_thread"), wanted.id, AUTHORS, "https://x.slack.com/p1")
    return wanted.id


def answer(db, actor, consent_id, *, yes):
    with db.write() as session:
        return consents.answer(session, actor, consent_id, yes=yes)


def status(db):
    return everything(db, ThreadImport)[0].status


def agreed(db):
    with db.read() as session:
        return consents.agreed(session, everything(db, ThreadImport)[0])


def test_each_author_is_asked_where_only_they_see_it(db, asked):
    assert [(one.user_id, one.answer) for one in everything(db, Consent)] == [
        ("U1", "yes"), ("U2", "asked"), ("U3", "asked"), ("U9", "no")
    ]  # fmt: skip
    shown = [(one.kind, one.channel_id, one.thread_ts) for one in everything(db, Announcement)]
    assert shown == [("consent", "D2", ""), ("consent", "D3", ""), ("thread_import", "C1", "1.1")]
    assert status(db) is ImportStatus.ASKING
    assert agreed(db) == {"U1"}
    late = next(one for one in everything(db, Task) if one.key.endswith("late"))
    assert late.due_at > late.created_at + 2 * 24 * 3600


def test_it_goes_on_when_all_have_answered(db, asked):
    answer(db, ADA, 2, yes=True)
    answer(db, ADA, 2, yes=False)
    answer(db, ADA, 2, yes=True)
    assert status(db) is ImportStatus.ASKING
    answer(db, REY, 3, yes=False)
    assert status(db) is ImportStatus.WRITING
    assert agreed(db) == {"U1", "U2"}
    with pytest.raises(UserError, match="too late"):
        answer(db, REY, 3, yes=True)


def test_nobody_answers_for_another(db, asked):
    for actor in (TUNER, REY):
        with pytest.raises(NotAllowed):
            answer(db, actor, 2, yes=True)
    with pytest.raises(NotFound):
        answer(db, Actor("T2", "U2", "D2"), 2, yes=True)
    with pytest.raises(NotFound):
        answer(db, ADA, 99, yes=True)


def test_only_who_asked_or_an_admin_goes_on_or_stops(db, asked):
    with db.write() as session:
        with pytest.raises(NotAllowed):
            consents.go_on(session, Actor("T1", "U2", "C1"), asked)
        with pytest.raises(NotFound):
            consents.stop(session, Actor("T1", "U1", "C2"), asked)
    with db.write() as session:
        consents.go_on(session, TUNER, asked)
    assert status(db) is ImportStatus.WRITING
    assert agreed(db) == {"U1"}


def test_stopped_is_stopped(db, asked):
    with db.write() as session:
        consents.stop(session, TUNER, asked)
    assert status(db) is ImportStatus.STOPPED
    with pytest.raises(UserError):
        answer(db, ADA, 2, yes=True)
    assert everything(db, Consent)[1].answer is ConsentAnswer.ASKED


def test_what_is_written_is_an_upload_in_the_thread(db, asked):
    with db.write() as session:
        consents.go_on(session, TUNER, asked)
    lease = claim(db, "write_thread")
    assert consents.begin(lease, asked) == {"U1"}
    assert consents.written(lease, asked, {"U1"}, name="thread.jsonl", key="uploads/thread-1", size=10)
    (upload,) = everything(db, Upload)
    assert (upload.thread_ts, upload.storage_key, upload.creator_id, upload.channel_id) == (
        "1.1", "uploads/thread-1", "U1", "C1"
    )  # fmt: skip
    assert status(db) is ImportStatus.DONE
    assert [one.kind for one in everything(db, Task)][-1] == "check_dataset"
    late = next(one for one in everything(db, Task) if one.key.endswith("late"))
    lease = tasks.claim(db, late.id, 1, Timing())
    assert consents.begin(lease, asked) is None
    assert not consents.written(lease, asked, {"U1"}, name="again", key="k", size=1)
    assert len(everything(db, Upload)) == 1


def test_one_thread_is_asked_about_once_at_a_time(db, asked):
    with db.write() as session, pytest.raises(UserError, match="already"):
        consents.start(session, Actor("T1", "U2", "C1"), "1.1", "another")
    with db.write() as session:
        consents.stop(session, TUNER, asked)
    with db.write() as session:
        consents.start(session, TUNER, "1.1", "later")


def test_guests_ask_nobody(db):
    with db.write() as session, pytest.raises(NotAllowed, match="Guests"):
        consents.start(session, Actor("T1", "U9", "C1", is_guest=True), "1.1", "key")


def test_a_broken_reading_is_told_with_its_id(db):
    with db.write() as session:
        consents.start(session, TUNER, "1.1", "key")
    with db.write() as session:
        (task,) = session.exec(select(Task)).all()
        task.error_id = "abc"
        consents.gave_up(session, task)
    assert "error id abc" in everything(db, ThreadImport)[0].problem
    assert [one.kind for one in everything(db, Announcement)] == ["thread_import"]


def late(db):
    (task,) = (one for one in everything(db, Task) if one.key.endswith("late"))
    return tasks.claim(db, task.id, task.attempt, Timing())


def test_whoever_says_no_once_all_have_answered_is_told_what_can_be_done(db, asked):
    answer(db, ADA, 2, yes=True)
    answer(db, REY, 3, yes=True)  # U9 may not, so that all have answered
    assert status(db) is ImportStatus.WRITING
    with pytest.raises(UserError, match="delete the dataset"):
        answer(db, ADA, 2, yes=False)


def test_after_three_days_no_answer_is_taken_any_more_once_the_writing_begins(db, asked):
    answer(db, ADA, 2, yes=True)
    lease = late(db)
    answer(db, ADA, 2, yes=False)
    answer(db, ADA, 2, yes=True)
    assert consents.begin(lease, asked) == {"U1", "U2"}
    assert status(db) is ImportStatus.WRITING
    with pytest.raises(UserError, match="too late"):
        answer(db, ADA, 2, yes=False)
    assert agreed(db) == {"U1", "U2"}


def test_words_of_others_than_those_who_agreed_are_thrown_away(db, asked):
    lease = late(db)
    assert consents.begin(lease, asked) == {"U1"}
    with pytest.raises(RetryLater):
        consents.written(lease, asked, {"U1", "U2"}, name="n", key="k", size=1)
    assert everything(db, Upload) == []
    assert status(db) is ImportStatus.WRITING
