"""What is made out of a dataset: its next version, a file in another format, a comparison; once, or a refusal."""

import dataclasses
import gzip
import json
from pathlib import Path

import pytest
from sqlmodel import select

from workers import dataset_cards, datasets
from workers import derivations as wanted
from workers.jobs import derivations, runner
from workers.rights import Actor
from workers.tables import Announcement, Dataset, DatasetRole, Derivation, DerivationStatus, Task, TaskStatus

TUNER = Actor("T1", "U1", "C1")


def chat(number, answer=None):
    return {
        "messages": [
            {"role": "user", "content": f"What is number {number}?"},
            {"role": "assistant", "content": f"It is {number}." if answer is None else answer},
        ]
    }


def jsonl(records):
    return "".join(json.dumps(one) + "\n" for one in records).encode()


BROKEN = [chat(0), chat(1), chat(1), chat(2, ""), *(chat(number) for number in range(3, 14))]


def everything(db, table):
    with db.read() as session:
        return session.exec(select(table).order_by(table.id)).all()


def slots(db, kind):
    return [one for one in everything(db, Announcement) if one.kind == kind]


@pytest.fixture
def make(db, upload, carry):
    """Check a file; returns its dataset."""

    def check(records, name="faq.jsonl", message_ts="1.1"):
        content = records if isinstance(records, bytes) else jsonl(records)
        uploaded = upload(content, name, message_ts)
        carry("check_dataset", uploaded)
        return next(row for row in everything(db, Dataset) if row.upload_id == uploaded)

    return check


@pytest.fixture
def ask(db):
    """Ask for something; returns its id."""

    def do(verb, *given):
        with db.write() as session:
            return getattr(wanted, verb)(session, TUNER, *given, "key").id

    return do


def test_a_mended_version_stands_beside_the_original(db, context, make, ask, carry):
    before = make(BROKEN)
    assert before.trainable is False
    asked = ask("apply_fixes", before.id, list(dataset_cards.fixes(before)))
    assert carry("fix_dataset", asked).status is TaskStatus.DONE
    original, after = everything(db, Dataset)
    assert original == before
    assert (after.name, after.version, after.parent_id, after.creator_id) == ("faq.jsonl", 2, before.id, "U1")
    assert (after.examples, after.trainable, after.role) == (13, True, DatasetRole.TRAIN)
    assert (after.changes["dropped"], after.changes["kept"]) == (2, 13)
    assert after.changes["by_check"] == {"exact_duplicate": 1, "missing_content": 1}
    assert [one["line"] for one in after.changes["diff"]] == [3, 4]
    with context.storage.open(after.storage_key) as file:
        assert [json.loads(line) for line in file] == [chat(0), chat(1), *BROKEN[4:]]
    with context.storage.open(before.storage_key) as file:
        assert file.read() == jsonl(BROKEN)
    card = slots(db, "dataset_report")[-1]
    assert (card.data, card.thread_ts, card.slot) == ({"dataset_id": after.id}, "1.1", f"dataset:{after.id}:card")
    assert everything(db, Derivation)[0].result_id == after.id


def test_more_repetitions_than_are_listed_are_all_removed(db, make, ask, carry):
    before = make([chat(number) for number in range(12)] + [chat(1)] * 150)
    assert before.report["counts"]["exact_duplicate"] == 150
    carry("fix_dataset", ask("apply_fixes", before.id, ["exact_duplicate"]))
    assert everything(db, Dataset)[-1].examples == 12


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_nothing_left_is_no_version(db, make, ask, carry):
    before = make([chat(0, "")] * 3)
    asked = ask("apply_fixes", before.id, ["missing_content"])
    assert carry("fix_dataset", asked).status is TaskStatus.DONE
    assert len(everything(db, Dataset)) == 1
    (told,) = slots(db, "problem")
    assert "Nothing would be left" in told.data["text"]
    assert (told.only_for, told.thread_ts) == ("U1", "1.1")


def test_a_version_is_made_once_however_often_it_is_delivered(db, scripted, make, ask, carry):
    before = make(BROKEN)
    asked = ask("apply_fixes", before.id, ["missing_content"])
    done = carry("fix_dataset", asked)
    runner.carry(scripted, done.id, done.attempt)
    with db.write() as session:
        session.add(Task(kind="fix_dataset", queue="cpu", subject_id=asked, key="again"))
    assert carry("fix_dataset", asked).status is TaskStatus.DONE
    assert len(everything(db, Dataset)) == 2


def test_a_converted_file_is_posted_in_the_thread_and_then_forgotten(db, context, make, ask, carry):
    before = make([chat(number) for number in range(12)])
    asked = ask("convert", before.id, "azure-ml-text")
    assert carry("convert_dataset", asked).status is TaskStatus.DONE
    (made,) = everything(db, Derivation)
    assert made.status is DerivationStatus.DONE
    assert (made.outcome["file_name"], made.outcome["count"], made.outcome["losses"]) == (
        "faq-v1.azure-ml-text.jsonl", 12, []
    )  # fmt: skip
    with context.storage.open(made.storage_key) as file:
        assert json.loads(file.readline()) == {"text": "What is number 0?", "ground_truth": "It is 0."}
    (words,), (posted,) = slots(db, "conversion"), slots(db, "conversion_file")
    assert words.thread_ts == posted.thread_ts == "1.1"
    assert words.id < posted.id
    carry("forget_conversion", asked)
    assert not context.storage.exists(made.storage_key)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_what_a_format_cannot_express_is_told(db, make, ask, carry):
    talk = chat(1)["messages"] + chat(2)["messages"]
    before = make([chat(number) for number in range(12)] + [{"messages": talk}])
    carry("convert_dataset", ask("convert", before.id, "azure-ml-text"))
    (made,) = everything(db, Derivation)
    assert made.outcome["count"] == 12
    assert made.outcome["left_out"] == 1
    assert made.outcome["losses"][0]["lines"] == [13]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_large_converted_file_is_packed_and_a_huge_one_refused(db, context, make, ask, carry, monkeypatch):
    before = make([chat(number) for number in range(12)])
    monkeypatch.setattr(derivations, "MOST_PLAIN_BYTES", 100)
    carry("convert_dataset", ask("convert", before.id, "openai-chat"))
    (made,) = everything(db, Derivation)
    assert made.outcome["file_name"].endswith(".jsonl.gz")
    with context.storage.open(made.storage_key) as file:
        assert len(gzip.decompress(file.read()).splitlines()) == 12
    monkeypatch.setattr(derivations, "MOST_POSTED_BYTES", 10)
    with db.write() as session:
        asked = wanted.convert(session, TUNER, before.id, "openai-chat", "another").id
    carry("convert_dataset", asked)
    assert "finetune-bot convert faq.jsonl --to openai-chat" in slots(db, "problem")[0].data["text"]


def test_two_versions_are_compared_for_the_person_who_asked(db, make, ask, carry):
    before = make([chat(number) for number in range(12)])
    after = make([chat(0, "Other."), *(chat(number) for number in range(1, 11)), chat(99)], message_ts="2.2")
    assert after.version == 2
    carry("compare_datasets", ask("compare", before.id, after.id))
    outcome = everything(db, Derivation)[0].outcome
    assert {key: outcome[key] for key in ("same", "changed", "removed", "added")} == {
        "same": 10, "changed": 1, "removed": 1, "added": 1
    }  # fmt: skip
    (told,) = slots(db, "comparison")
    assert (told.only_for, told.channel_id, told.thread_ts) == ("U1", "C1", "")


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_what_was_deleted_meanwhile_is_said(db, make, ask, carry):
    before = make(BROKEN)
    asked = ask("apply_fixes", before.id, ["missing_content"])
    with db.write() as session:
        datasets.delete(session, TUNER, before.id)
    carry("fix_dataset", asked)
    assert "deleted in the meantime" in slots(db, "problem")[0].data["text"]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_fault_of_ours_is_told_after_the_last_attempt(db, context, make, ask, carry):
    before = make(BROKEN)
    asked = ask("convert", before.id, "openai-chat")
    context.storage.delete(before.storage_key)
    for _ in range(context.settings.timing.max_crashes):
        ended = carry("convert_dataset", asked)
    assert ended.status is TaskStatus.DEAD
    assert f"error id {ended.error_id}" in slots(db, "problem")[0].data["text"]


@pytest.mark.parametrize(
    ("verb", "given", "module"),
    [("apply_fixes", ["missing_content"], "fixes.apply"), ("convert", "openai-chat", "converting.convert_file")],
)
def test_what_is_made_of_something_that_is_deleted_meanwhile_is_thrown_away(
    db, context, make, ask, carry, monkeypatch, verb, given, module
):
    before = make(BROKEN)
    asked = ask(verb, before.id, given)
    place, name = module.split(".")
    make_it = getattr(getattr(derivations, place), name)

    def and_meanwhile(*some, **more):
        made = make_it(*some, **more)
        with db.write() as session:
            datasets.delete(session, TUNER, before.id)
        return made

    monkeypatch.setattr(getattr(derivations, place), name, and_meanwhile)
    kind = "fix_dataset" if verb == "apply_fixes" else "convert_dataset"
    assert carry(kind, asked).status is TaskStatus.DONE
    assert len(everything(db, Dataset)) == 1
    assert everything(db, Derivation)[0].status is DerivationStatus.REFUSED
    assert "deleted in the meantime" in slots(db, "problem")[0].data["text"]
    assert context.storage.list() == [before.storage_key]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_nothing_of_a_deleted_dataset_is_compared(db, make, ask, carry, monkeypatch):
    before, other = make(BROKEN), make([chat(1)] * 12, message_ts="2.2")
    asked = ask("compare", other.id, before.id)
    between = derivations.differences.between

    def and_meanwhile(*given):
        with db.write() as session:
            datasets.delete(session, TUNER, before.id)
        return between(*given)

    monkeypatch.setattr(derivations.differences, "between", and_meanwhile)
    carry("compare_datasets", asked)
    assert everything(db, Derivation)[0].outcome == {}


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_file_of_an_attempt_that_was_killed_does_not_stay(db, context, make, ask, carry):
    before = make(BROKEN)
    asked = ask("apply_fixes", before.id, ["missing_content"])
    (path := Path("left")).write_text("{}")
    context.storage.put(f"datasets/mended-{asked}-1", path)
    with db.write() as session:
        session.exec(select(Task).where(Task.kind == "fix_dataset")).one().attempt = 2
    carry("fix_dataset", asked)
    assert context.storage.list("datasets") == [everything(db, Dataset)[1].storage_key]


@pytest.fixture
def shared(db, make):
    """A dataset of C1 that the whole workspace may use; returns it."""
    row = make([chat(number) for number in range(12)])
    with db.write() as session:
        datasets.share(session, TUNER, row.id, shared=True)
    return row


def convert_in(db, channel_id, dataset_id, target="azure-ml-text"):
    with db.write() as session:
        return wanted.convert(session, Actor("T1", "U2", channel_id), dataset_id, target, "key").id


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_conversion_answers_in_the_channel_where_it_was_asked_for(db, shared, carry):
    carry("convert_dataset", convert_in(db, "C2", shared.id))
    (words,), (file,) = slots(db, "conversion"), slots(db, "conversion_file")
    assert (words.channel_id, words.thread_ts, words.thread_slot) == ("C2", "", "")
    assert (file.channel_id, file.thread_ts, file.thread_slot) == ("C2", "", words.slot)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_conversion_that_cannot_be_made_is_told_in_the_channel_where_it_was_asked_for(db, shared, carry):
    carry("convert_dataset", convert_in(db, "C2", shared.id, "kto"))
    (told,) = slots(db, "problem")
    assert (told.channel_id, told.thread_ts, told.thread_slot, told.only_for) == ("C2", "", "", "U2")


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_what_is_not_shared_any_more_leaves_its_channel_no_more(db, context, shared, carry):
    asked = convert_in(db, "C2", shared.id)
    with db.write() as session:
        datasets.share(session, TUNER, shared.id, shared=False)
    carry("convert_dataset", asked)
    assert "not shared" in slots(db, "problem")[0].data["text"]
    assert context.storage.list("conversions") == []


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_what_unpacks_to_more_than_may_be_attached_is_mended_all_the_same(db, scripted, make, ask):
    before = make(gzip.compress(jsonl(BROKEN)), "faq.jsonl.gz")
    asked = ask("apply_fixes", before.id, ["missing_content", "exact_duplicate"])
    most = before.size + 10
    small = dataclasses.replace(scripted, settings=scripted.settings.model_copy(update={"max_upload_bytes": most}))
    (task,) = (one for one in everything(db, Task) if (one.kind, one.subject_id) == ("fix_dataset", asked))
    runner.carry(small, task.id, task.attempt)
    after = everything(db, Dataset)[1]
    assert after.trainable
    assert after.size > most
