"""Files as they arrive: recorded once, downloaded, and one report a message once all are judged."""

import threading
from contextlib import suppress

import pytest
from sqlmodel import select

from workers import dataset_cards, tasks, uploads
from workers.errors import LeaseLost, NotAllowed
from workers.jobs.kinds import give_up
from workers.plans.job_yaml import MOST_BYTES
from workers.rights import Actor
from workers.tables import Announcement, Dataset, Task, Upload, UploadStatus
from workers.tasks import Timing
from workers.uploads import MOST_FILES, ReceivedFile

TUNER = Actor("T1", "U1", "C1")
FILES = [ReceivedFile("F1", "train.jsonl", 10), ReceivedFile("F2", "test.jsonl", 20)]


def receive(db, files=FILES, actor=TUNER, message_ts="1.1"):
    with db.write() as session:
        return [one.id for one in uploads.receive(session, actor, message_ts=message_ts, files=files)]


def everything(db, table):
    with db.read() as session:
        return session.exec(select(table).order_by(table.id)).all()


def claim(db, upload_id, kind="download", attempt=1, **timing):
    (task,) = (one for one in everything(db, Task) if (one.kind, one.subject_id) == (kind, upload_id))
    return tasks.claim(db, task.id, attempt, Timing(**timing))


def test_each_file_is_recorded_and_fetched_once_however_often_it_is_delivered(db):
    assert receive(db) == receive(db)
    rows = everything(db, Upload)
    assert [(one.name, one.size, one.status) for one in rows] == [
        ("train.jsonl", 10, UploadStatus.RECEIVED),
        ("test.jsonl", 20, UploadStatus.RECEIVED),
    ]
    assert {(one.team_id, one.channel_id, one.creator_id) for one in rows} == {("T1", "C1", "U1")}
    assert [(one.kind, one.queue, one.subject_id) for one in everything(db, Task)] == [
        ("download", "slack", rows[0].id),
        ("download", "slack", rows[1].id),
    ]


def test_the_same_file_in_another_message_is_another_upload(db):
    assert set(receive(db)).isdisjoint(receive(db, message_ts="2.2"))


def test_guests_hand_in_nothing(db):
    with pytest.raises(NotAllowed, match="Guests"):
        receive(db, actor=Actor("T1", "U2", "C1", is_guest=True))
    assert everything(db, Upload) == []


def test_a_message_with_too_many_files_does_not_flood_and_hides_none(db):
    for _ in range(2):
        receive(db, [ReceivedFile(f"F{number}", "x") for number in range(MOST_FILES + 2)])
    rows = everything(db, Upload)
    assert [one.status for one in rows] == [UploadStatus.RECEIVED] * MOST_FILES + [UploadStatus.REFUSED] * 2
    assert "Attach it to another message" in rows[-1].problem
    assert len(everything(db, Task)) == MOST_FILES


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_test_file_of_a_named_dataset_stands_under_its_card(db):
    with db.write() as session:
        named = uploads.add_named(session, TUNER, "hf:acme/faq@abc", "command:1", ["acme"])
        row = Dataset(
            team_id="T1", channel_id="C1", creator_id="U1", upload_id=named.id, message_ts=named.message_ts, name="faq",
            sha256="0", storage_key="k", format="openai-chat", method="sft", examples=12, trainable=True,
        )  # fmt: skip
        session.add(row)
        session.flush()
        (test,) = uploads.attach_test(session, TUNER, row.id, FILES[:1])
        assert (test.message_ts, test.thread_ts, test.meant_for) == ("hf:command:1", "", "test")
        beside = Dataset(**row.model_dump(exclude={"id", "upload_id"}), upload_id=test.id)
        assert dataset_cards.place(beside) == {"thread_slot": "files:C1:hf:command:1"}


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_test_file_is_attached_where_the_dataset_is_at_home(db):
    receive(db)
    with db.write() as session:
        row = Dataset(
            team_id="T1", channel_id="C1", creator_id="U1", upload_id=1, message_ts="1.1", thread_ts="1.1", name="faq",
            sha256="0", storage_key="k", format="openai-chat", method="sft", examples=12, trainable=True, shared=True,
        )  # fmt: skip
        session.add(row)
        session.flush()
        with pytest.raises(NotAllowed, match="attach its test file there"):
            uploads.attach_test(session, Actor("T1", "U2", "C2"), row.id, [ReceivedFile("F9", "held_out.jsonl")])
        (test,) = uploads.attach_test(session, TUNER, row.id, [ReceivedFile("F9", "held_out.jsonl")])
        assert (test.channel_id, test.thread_ts) == ("C1", "1.1")


def test_a_very_long_name_is_cut(db):
    receive(db, [ReceivedFile("F1", "x" * 5000)])
    assert len(everything(db, Upload)[0].name) == 255


def test_stored_bytes_are_checked_next(db):
    first, _ = receive(db)
    lease = claim(db, first)
    uploads.stored(lease, first, "uploads/1/train.jsonl")
    upload = everything(db, Upload)[0]
    assert (upload.status, upload.storage_key) == (UploadStatus.STORED, "uploads/1/train.jsonl")
    assert lease.closed
    assert claim(db, first, "check_dataset")


def test_whoever_lost_the_download_stores_nothing(db):
    first, _ = receive(db)
    lease = claim(db, first)
    lease.token = "somebody else's"
    with pytest.raises(LeaseLost):
        uploads.stored(lease, first, "uploads/1/train.jsonl")
    assert everything(db, Upload)[0].status is UploadStatus.RECEIVED


def test_one_report_once_the_last_file_is_judged(db):
    first, second = receive(db)
    uploads.refused(claim(db, first), first, "It is empty.")
    assert everything(db, Announcement) == []
    uploads.refused(claim(db, second), second, "It is a film.")
    (report,) = everything(db, Announcement)
    assert (report.kind, report.thread_ts, report.channel_id, report.revision) == ("dataset_report", "1.1", "C1", 1)
    assert [one.problem for one in everything(db, Upload)] == ["It is empty.", "It is a film."]


def test_two_files_judged_at_once_make_one_report(db, monkeypatch):
    leases = [(one, claim(db, one)) for one in receive(db)]
    meeting, announce = threading.Barrier(2), uploads.announce_when_judged

    def announce_together(session, upload):
        with suppress(threading.BrokenBarrierError):
            meeting.wait(0.5)  # where only one transaction writes at a time, they cannot meet
        return announce(session, upload)

    monkeypatch.setattr(uploads, "announce_when_judged", announce_together)
    threads = [threading.Thread(target=uploads.refused, args=(lease, one, "It is empty.")) for one, lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (report,) = everything(db, Announcement)
    assert report.revision == 1


def test_a_download_that_breaks_for_good_tells_the_person(db):
    first, second = receive(db)
    uploads.refused(claim(db, second), second, "It is empty.")
    assert claim(db, first, max_crashes=1).crash("ValueError", "e1d2", give_up)
    upload = everything(db, Upload)[0]
    assert upload.status is UploadStatus.REFUSED
    assert "error id e1d2" in upload.problem
    assert len(everything(db, Announcement)) == 1


def test_a_file_in_a_thread_is_reported_in_that_thread(db):
    with db.write() as session:
        uploads.receive(session, TUNER, message_ts="3.3", files=FILES[:1], thread_ts="1.1")
        uploads.receive(session, TUNER, message_ts="4.4", files=FILES[:1])
    for one in everything(db, Upload):
        uploads.refused(claim(db, one.id), one.id, "No.")
    assert [one.thread_ts for one in everything(db, Announcement)] == ["1.1", "4.4"]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("addressed", "told"), [(True, 1), (False, 0)])
def test_yaml_that_is_too_large_for_a_job_file_is_not_fetched(db, addressed, told):
    files = [
        ReceivedFile("F1", "large.yml", MOST_BYTES + 1, addressed),
        ReceivedFile("F2", "job.yaml", MOST_BYTES, addressed),
        ReceivedFile("F3", "large.csv", MOST_BYTES + 1, addressed),
    ]
    receive(db, files[:1])
    assert (everything(db, Task), len(everything(db, Announcement))) == ([], told)
    receive(db, files)
    rows = everything(db, Upload)
    assert [one.status for one in rows] == [UploadStatus.REFUSED, UploadStatus.RECEIVED, UploadStatus.RECEIVED]
    assert rows[0].problem == "This file has 64,001 bytes; a job file has at most 64,000."
    assert [one.subject_id for one in everything(db, Task)] == [rows[1].id, rows[2].id]
