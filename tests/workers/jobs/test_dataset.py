"""A stored file becomes a dataset, or is refused with words."""

import dataclasses
import json

import pytest
from sqlmodel import select

from workers.jobs import runner
from workers.tables import Announcement, Dataset, DatasetRole, Task, TaskStatus, Upload, UploadStatus

GOOD = [
    {"messages": [{"role": "user", "content": f"{number}?"}, {"role": "assistant", "content": "x" * 900}]}
    for number in range(12)
]


def jsonl(records):
    return "".join(json.dumps(one) + "\n" for one in records).encode()


def rows(db, table):
    with db.read() as session:
        return session.exec(select(table).order_by(table.id)).all()


def test_a_good_file_becomes_a_dataset(db, upload, carry):
    uploaded = upload(jsonl(GOOD), "faq.jsonl")
    assert carry("check_dataset", uploaded).status is TaskStatus.DONE
    (row,) = rows(db, Dataset)
    assert (row.name, row.version, row.format, row.method, row.examples) == (
        "faq.jsonl", 1, "openai-chat", "sft", 12
    )  # fmt: skip
    assert (row.trainable, row.role, row.role_reason) == (True, DatasetRole.TRAIN, "the only file")
    assert (row.team_id, row.channel_id, row.creator_id, row.upload_id) == ("T1", "C1", "U1", uploaded)
    assert row.report["counts"] == {"missing_system_message": 12}
    assert len(row.report["samples"]) == 3
    assert len(row.report["samples"][0][1]["content"]) == 600
    assert rows(db, Upload)[0].status is UploadStatus.CHECKED
    (report,) = rows(db, Announcement)
    assert (report.kind, report.thread_ts, report.data) == ("dataset_report", "1.1", {"message_ts": "1.1"})


def test_what_is_no_dataset_is_refused_in_words(db, upload, carry):
    uploaded = upload(b"<!doctype html><title>Sign in</title>")
    assert carry("check_dataset", uploaded).status is TaskStatus.DONE
    (row,) = rows(db, Upload)
    assert row.status is UploadStatus.REFUSED
    assert "web page" in row.problem
    assert rows(db, Dataset) == []
    assert len(rows(db, Announcement)) == 1


def test_a_file_over_this_installations_limit(db, scripted, upload):
    uploaded = upload(jsonl(GOOD))
    small = dataclasses.replace(scripted, settings=scripted.settings.model_copy(update={"max_upload_bytes": 100}))
    (task,) = rows(db, Task)
    runner.carry(small, task.id, task.attempt)
    assert "over this installation's limit" in rows(db, Upload)[0].problem
    assert rows(db, Upload)[0].id == uploaded


def test_a_file_with_errors_is_a_dataset_that_cannot_be_trained_on(db, upload, carry):
    carry("check_dataset", upload(jsonl([*GOOD, {"messages": []}])))
    (row,) = rows(db, Dataset)
    assert (row.trainable, row.examples) == (False, 13)
    assert row.report["findings"][-1]["line"] == 13


def test_the_files_of_one_message_take_their_roles_and_one_report(db, upload, carry):
    first = upload(jsonl(GOOD), "faq_test.jsonl")
    second = upload(jsonl(GOOD[:11]), "faq_train.jsonl")
    bad = upload(jsonl([{"messages": []}] * 99), "more.jsonl")
    carry("check_dataset", first)
    assert [one.role for one in rows(db, Dataset)] == [DatasetRole.TRAIN]  # so far the only one
    assert rows(db, Announcement) == []
    carry("check_dataset", second)
    carry("check_dataset", bad)
    assert [(one.role, one.trainable) for one in rows(db, Dataset)] == [
        (DatasetRole.TEST, True), (DatasetRole.TRAIN, True), (DatasetRole.TRAIN, False)
    ]  # fmt: skip
    assert len(rows(db, Announcement)) == 1


def test_the_same_name_again_is_the_next_version(db, upload, carry):
    for number, name in enumerate(["a.jsonl", "a.jsonl", "b.jsonl"]):
        carry("check_dataset", upload(jsonl(GOOD), name, f"{number}.0"))
    assert [(one.name, one.version) for one in rows(db, Dataset)] == [("a.jsonl", 1), ("a.jsonl", 2), ("b.jsonl", 1)]


def test_a_check_that_is_delivered_twice_is_done_once(db, scripted, upload, carry):
    uploaded = upload(jsonl(GOOD))
    done = carry("check_dataset", uploaded)
    runner.carry(scripted, done.id, done.attempt)
    with db.write() as session:
        session.add(Task(kind="check_dataset", queue="cpu", subject_id=uploaded, key="again"))
    assert carry("check_dataset", uploaded).status is TaskStatus.DONE
    assert len(rows(db, Dataset)) == 1


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_file_that_is_gone_is_told_after_the_last_attempt(db, context, upload, carry):
    uploaded = upload(jsonl(GOOD))
    context.storage.delete(f"uploads/{uploaded}/file")
    for _ in range(context.settings.timing.max_crashes):
        ended = carry("check_dataset", uploaded)
    assert (ended.status, ended.last_error) == (TaskStatus.DEAD, "FileNotFoundError")
    assert f"error id {ended.error_id}" in rows(db, Upload)[0].problem
