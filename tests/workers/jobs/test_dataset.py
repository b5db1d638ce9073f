"""A stored file becomes a dataset, or is refused with words."""

import dataclasses
import json

import pytest
from sqlmodel import select

from workers import datasets, uploads
from workers.dataprep.formats import ColumnMapping
from workers.errors import UserError
from workers.jobs import dataset as dataset_jobs
from workers.jobs import runner
from workers.plans import proposal
from workers.rights import Actor
from workers.run_status import RunStatus
from workers.settings import Settings
from workers.tables import Announcement, Dataset, DatasetRole, Run, Task, TaskStatus, Upload, UploadStatus

GOOD = [
    {"messages": [{"role": "user", "content": f"{number}?"}, {"role": "assistant", "content": "x" * 900}]}
    for number in range(12)
]


def jsonl(records):
    return "".join(json.dumps(one) + "\n" for one in records).encode()


def rows(db, table):
    with db.read() as session:
        return session.exec(select(table).order_by(table.id)).all()


def reports(db):
    return [one for one in rows(db, Announcement) if one.kind == "dataset_report"]


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
    answer = row.report["samples"][0]["messages"][1]
    assert (answer["role"], answer["learnt"], len(answer["content"])) == ("assistant", True, 600)
    assert rows(db, Upload)[0].status is UploadStatus.CHECKED
    (report,) = reports(db)
    assert (report.kind, report.thread_ts, report.data) == ("dataset_report", "1.1", {"message_ts": "1.1"})


def test_what_is_no_dataset_is_refused_in_words(db, upload, carry):
    uploaded = upload(b"<!doctype html><title>Sign in</title>")
    assert carry("check_dataset", uploaded).status is TaskStatus.DONE
    (row,) = rows(db, Upload)
    assert row.status is UploadStatus.REFUSED
    assert "web page" in row.problem
    assert rows(db, Dataset) == []
    assert len(reports(db)) == 1


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
    assert (row.trainable, row.examples) == (False, 12)
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
    assert len(reports(db)) == 1


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


TABLE = "Kundenfrage;Notiz;Loesung\n" + "".join(f"Wie geht {n}?;x{n};So geht {n}.\n" for n in range(12))


def test_a_table_waits_for_its_columns(db, context, upload, carry):
    uploaded = upload(TABLE.encode(), "faq.csv")
    carry("check_dataset", uploaded)
    (row,) = rows(db, Dataset)
    assert (row.format, row.trainable, row.report["guessed"]) == ("table", False, True)
    assert row.report["table"]["columns"] == ["Kundenfrage", "Notiz", "Loesung"]
    assert row.report["table"]["rows"][0] == ["Wie geht 0?", "x0", "So geht 0."]
    mapping = ColumnMapping(prompt="Kundenfrage", answer="Loesung", system="Notiz")
    with db.write() as session:
        datasets.choose_columns(session, Actor("T1", "U1", "C1"), row.id, mapping)
    assert carry("check_dataset", uploaded).status is TaskStatus.DONE
    (row,) = rows(db, Dataset)
    assert (row.trainable, row.version, row.mapping) == (True, 1, mapping.to_json())
    assert [one["role"] for one in row.report["samples"][0]["messages"]] == ["system", "user", "assistant"]
    (report,) = reports(db)
    assert report.revision > 1


def test_an_older_check_yields_to_newer_columns(db, scripted, upload, carry, monkeypatch):
    uploaded = upload(TABLE.encode(), "faq.csv")
    carry("check_dataset", uploaded)
    checked = dataset_jobs.check_file

    def and_meanwhile(path, **more):
        report = checked(path, **more)
        if rows(db, Upload)[0].checks == 1:
            with db.write() as session:
                columns = ColumnMapping(prompt="Notiz", answer="Loesung")
                datasets.choose_columns(session, Actor("T1", "U1", "C1"), 1, columns)
        return report

    with db.write() as session:
        columns = ColumnMapping(prompt="Kundenfrage", answer="Loesung")
        datasets.choose_columns(session, Actor("T1", "U1", "C1"), 1, columns)
        older = session.exec(select(Task).where(Task.key == "check_dataset:1:1")).one()
    monkeypatch.setattr(dataset_jobs, "check_file", and_meanwhile)
    runner.carry(scripted, older.id, older.attempt)
    assert rows(db, Upload)[0].status is UploadStatus.STORED
    carry("check_dataset", uploaded)
    assert rows(db, Dataset)[0].mapping == {"prompt": "Notiz", "answer": "Loesung"}


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_columns_that_are_not_there_are_refused_in_words(db, upload, carry):
    uploaded = upload(TABLE.encode(), "faq.csv")
    with db.write() as session:
        session.get_one(Upload, uploaded).mapping = {"answer": "Nirgends"}
    carry("check_dataset", uploaded)
    assert "no column Nirgends" in rows(db, Upload)[0].problem


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_large_file_shows_how_far_it_is(db, upload, carry, monkeypatch):
    monkeypatch.setattr(dataset_jobs, "LARGE_BYTES", 1000)
    seen = []
    real = uploads.progressed
    monkeypatch.setattr(uploads, "progressed", lambda *given: (seen.append(given[2]), real(*given)))
    carry("check_dataset", upload(jsonl(GOOD)))
    assert seen[0]["bytes_total"] > 1000
    assert seen[-1]["bytes_done"] == seen[-1]["bytes_total"]
    assert rows(db, Upload)[0].progress == {}
    (report,) = reports(db)
    assert report.revision == len(seen) + 1


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_mended_file_keeps_its_partner(db, upload, carry):
    carry("check_dataset", upload(jsonl([*GOOD, {"messages": []}]), "faq_train.jsonl"))
    carry("check_dataset", upload(jsonl(GOOD[:11]), "faq_test.jsonl"))
    assert [(one.role, one.trainable) for one in rows(db, Dataset)] == [
        (DatasetRole.TRAIN, False), (DatasetRole.TEST, True)
    ]  # fmt: skip


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_file_attached_for_testing_is_for_testing(db, upload, carry):
    carry("check_dataset", upload(jsonl(GOOD), "small.jsonl"))
    second = upload(jsonl(GOOD * 2), "large_train.jsonl")
    with db.write() as session:
        session.get_one(Upload, second).meant_for = "test"
    carry("check_dataset", second)
    assert [one.role for one in rows(db, Dataset)] == [DatasetRole.TRAIN, DatasetRole.TEST]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_named_dataset_is_fetched_once_and_kept_like_any_other(db, scripted, tmp_path):
    import datasets as arrow

    arrow.disable_progress_bars()
    arrow.Dataset.from_list(GOOD).save_to_disk(str(tmp_path / "hub" / "acme" / "faq" / "abc"))
    settings = scripted.settings.model_copy(update={"hub_folder": tmp_path / "hub"})
    context = dataclasses.replace(scripted, settings=settings)
    tuner = Actor("T1", "U1", "C1")
    for _ in range(2):
        with db.write() as session:
            uploaded = uploads.add_named(session, tuner, "hf:acme/faq@abc", "key", ["acme"]).id
    with db.write() as session:
        for source, words in (("hf:evil/faq@abc", "may not read datasets of “evil”"), ("hf:acme/faq", "revision")):
            with pytest.raises(UserError, match=words):
                uploads.add_named(session, tuner, source, "other", ["acme"])
    (task,) = rows(db, Task)
    runner.carry(context, task.id, task.attempt)
    (row,) = rows(db, Dataset)
    assert (row.name, row.examples, row.storage_key) == ("acme/faq@abc", 12, f"uploads/{uploaded}")
    with context.storage.open(row.storage_key) as file:
        assert len(file.read().splitlines()) == 12
    assert reports(db)[0].thread_ts == ""


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_deleted_files_leave_storage_but_not_under_a_run(db, context, upload, carry):
    carry("check_dataset", upload(jsonl(GOOD)))
    with db.write() as session:
        datasets.delete(session, Actor("T1", "U1", "C1"), 1)
        run = Run(
            team_id="T1", channel_id="C1", name="r", request_key="k", dataset_id=1, provider="stub", base_model="m",
            method="sft", status=RunStatus.QUEUED,
        )  # fmt: skip
        session.add(run)  # it began in the very moment
    assert carry("delete_dataset", 1).status is TaskStatus.QUEUED
    assert context.storage.exists("uploads/1/file")
    with db.write() as session:
        session.get_one(Run, 1).status = RunStatus.FAILED
    assert carry("delete_dataset", 1).status is TaskStatus.DONE
    assert not context.storage.exists("uploads/1/file")


@pytest.mark.parametrize("delivered", ["after", "meanwhile", "missing"])
def test_a_check_that_ends_after_a_deletion_puts_nothing_back(
    db, context, scripted, upload, carry, monkeypatch, delivered
):
    uploaded = upload(TABLE.encode(), "faq.csv")
    carry("check_dataset", uploaded)
    tuner = Actor("T1", "U1", "C1")
    with db.write() as session:
        datasets.choose_columns(session, tuner, 1, ColumnMapping(prompt="Kundenfrage", answer="Loesung"))
        again = session.exec(select(Task).where(Task.key == "check_dataset:1:1")).one()

    def delete():
        with db.write() as session:
            datasets.delete(session, tuner, 1)

    checked, got = dataset_jobs.check_file, context.storage.get
    if delivered == "after":
        delete()
    elif delivered == "meanwhile":
        monkeypatch.setattr(dataset_jobs, "check_file", lambda *given, **more: (delete(), checked(*given, **more))[1])
    else:
        files = [lambda *given: (delete(), context.storage.delete(given[0]), got(*given))]
        monkeypatch.setattr(context.storage, "get", lambda *given: files.pop()(*given))
    runner.carry(scripted, again.id, again.attempt)
    (row,) = rows(db, Dataset)
    assert (row.trainable, row.deleted_by) == (False, "U1")
    assert not {"samples", "table", "findings"} & row.report.keys()
    assert rows(db, Upload)[0].status is UploadStatus.CHECKED
    assert next(one for one in rows(db, Task) if one.id == again.id).status is TaskStatus.DONE
    assert carry("delete_dataset", 1).status is TaskStatus.DONE
    assert not context.storage.exists(f"uploads/{uploaded}/file")


def test_a_document_beside_data_is_neither_learnt_from_nor_a_test(db, upload, carry):
    text = "\n\n".join(f"Paragraph {number} of a long story that somebody wrote." for number in range(40)).encode()
    for content, name in ((text, "README.md"), (jsonl(GOOD), "faq.jsonl")):
        assert carry("check_dataset", upload(content, name)).status is TaskStatus.DONE
    document, data = rows(db, Dataset)
    assert document.examples > data.examples
    assert (data.role, data.role_reason) == (DatasetRole.TRAIN, "the only file")
    with db.read() as session:
        actor = Actor(team_id="T1", user_id="U1", channel_id="C1")
        assert proposal.propose(session, Settings(), actor).choices.dataset_id == data.id
