"""Who may use a dataset, how it is found, shared and deleted, and what is asked for only once."""

import pytest
from sqlmodel import select

from workers import dataset_cards, datasets, derivations
from workers.dataprep.formats import ColumnMapping
from workers.datasets import DatasetGone
from workers.errors import NotAllowed, NotFound, UserError
from workers.rights import Actor
from workers.run_status import RunStatus
from workers.tables import (
    Announcement,
    AuditEntry,
    Dataset,
    Derivation,
    Member,
    Role,
    Run,
    Task,
    Upload,
    UploadStatus,
)

TUNER = Actor("T1", "U1", "C1")
COLLEAGUE = Actor("T1", "U2", "C1")
ELSEWHERE = Actor("T1", "U2", "C2")
STRANGER = Actor("T2", "U1", "C1")
GUEST = Actor("T1", "U9", "C1", is_guest=True)


@pytest.fixture
def dataset(db):
    """Make a dataset, with its upload; returns its id."""

    def make(name="recipes.jsonl", *, with_upload=True, **more):
        with db.write() as session:
            upload = None
            if with_upload:
                count = len(session.exec(select(Upload)).all())
                upload = Upload(
                    team_id="T1", channel_id="C1", creator_id="U1", slack_file_id=f"F{count}", message_ts=f"{count}.1",
                    thread_ts=f"{count}.1", name=name, status=UploadStatus.CHECKED,
                )  # fmt: skip
                session.add(upload)
                session.flush()
            row = Dataset(**{
                "team_id": "T1", "channel_id": "C1", "creator_id": "U1", "name": name, "sha256": "0",
                "storage_key": "k",
                "format": "openai-chat", "method": "sft", "examples": 12, "trainable": True,
                "upload_id": upload.id if upload else None, "message_ts": upload.message_ts if upload else "9.9",
                "thread_ts": upload.thread_ts if upload else "9.9",
                "version": datasets.next_version(session, "T1", "C1", name), **more,
            })  # fmt: skip
            session.add(row)
            session.flush()
            return row.id

    return make


def ids(db, actor):
    with db.read() as session:
        return [row.id for row in datasets.visible(session, actor)]


def everything(db, table):
    with db.read() as session:
        return session.exec(select(table)).all()


def test_a_dataset_is_its_channels(db, dataset):
    one = dataset()
    assert ids(db, TUNER) == ids(db, COLLEAGUE) == [one]
    assert ids(db, ELSEWHERE) == ids(db, STRANGER) == []
    assert ids(db, Actor("T1", "U1")) == [one]  # outside any channel, one's own
    assert ids(db, Actor("T1", "U2")) == []
    with db.read() as session:
        with pytest.raises(NotFound):
            datasets.get(session, ELSEWHERE, one)
        with pytest.raises(NotAllowed, match="Guests"):
            datasets.visible(session, GUEST)


def test_its_creator_or_an_admin_shares_it_with_the_workspace(db, dataset):
    one = dataset()
    with db.write() as session:
        session.add(Member(team_id="T1", user_id="U3", role=Role.ADMIN))
    with db.write() as session, pytest.raises(NotAllowed, match="attached it"):
        datasets.share(session, COLLEAGUE, one, shared=True)
    with db.write() as session:
        datasets.share(session, TUNER, one, shared=True)
    assert ids(db, ELSEWHERE) == [one]
    assert ids(db, STRANGER) == []
    with db.read() as session:
        assert [row.id for row in datasets.usable(session, ELSEWHERE)] == [one]
    with db.write() as session, pytest.raises(NotAllowed):
        datasets.share(session, ELSEWHERE, one, shared=False)
    with db.write() as session:
        datasets.share(session, Actor("T1", "U3", "C2"), one, shared=False)
    assert ids(db, ELSEWHERE) == []
    assert [one.verb for one in everything(db, AuditEntry)] == ["share", "unshare"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("1", 1), ("#2", 2), ("recipes.jsonl", 2), ("recipes", 2), ("RECIPES", 2), ("recipes v1", 1),
        ("recipes.jsonl@v1", 1), ("two words.csv", 3), ("conv2.jsonl", 4), ("conv2", 4), ("conv2 v1", 4),
    ],
)  # fmt: skip
@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_it_is_found_by_number_or_name(db, dataset, wanted, found):
    for name in ("recipes.jsonl", "recipes.jsonl", "two words.csv", "conv2.jsonl"):
        dataset(name)
    with db.read() as session:
        assert datasets.find(session, TUNER, wanted).id == found


@pytest.mark.parametrize("wanted", ["9", "nothing", "recipes v7", "recipes v0", "0" * 40, "%", "'; drop"])
@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_what_is_not_there_is_said(db, dataset, wanted):
    dataset()
    with db.read() as session, pytest.raises(NotFound, match="/finetune data"):
        datasets.find(session, TUNER, wanted)


def test_deleted_it_is_gone_but_its_row_and_number_stay(db, dataset):
    one = dataset()
    with db.write() as session, pytest.raises(NotAllowed):
        datasets.delete(session, COLLEAGUE, one)
    with db.write() as session:
        datasets.delete(session, TUNER, one)
    with db.write() as session, pytest.raises(DatasetGone, match="was deleted"):
        datasets.delete(session, TUNER, one)
    assert ids(db, TUNER) == []
    (row,) = everything(db, Dataset)
    assert (row.trainable, row.deleted_by, row.name) == (False, "U1", "recipes.jsonl")
    (task,) = everything(db, Task)
    assert (task.kind, task.subject_id) == ("delete_dataset", one)
    assert task.due_at > 0
    assert [one.kind for one in everything(db, Announcement)] == ["dataset_report"]
    with db.read() as session:
        assert datasets.next_version(session, "T1", "C1", "recipes.jsonl") == 2


@pytest.mark.parametrize("role", ["dataset_id", "test_dataset_id", "validation_dataset_id"])
def test_it_is_not_deleted_under_a_run(db, dataset, role):
    one, other = dataset(), dataset("other.jsonl")
    with db.write() as session:
        run = Run(**{
            "team_id": "T1", "channel_id": "C1", "creator_id": "U2", "name": "r", "request_key": "k",
            "dataset_id": other, "provider": "stub", "base_model": "m", "method": "sft",
            "status": RunStatus.TRAINING, role: one,
        })  # fmt: skip
        session.add(run)
    with db.write() as session, pytest.raises(UserError, match=r"in use by r \(run 1\)"):
        datasets.delete(session, TUNER, one)
    with db.write() as session:
        session.get_one(Run, 1).status = RunStatus.READY
    with db.write() as session:
        datasets.delete(session, TUNER, one)


def test_columns_are_chosen_until_a_run_has_used_it(db, dataset):
    one = dataset("faq.csv", report={"guessed": True})
    mapping = ColumnMapping(prompt="q", answer="a")
    for _ in range(2):
        with db.write() as session:
            datasets.choose_columns(session, COLLEAGUE, one, mapping)
    (upload,) = everything(db, Upload)
    assert (upload.status, upload.mapping, upload.checks) == (UploadStatus.STORED, {"prompt": "q", "answer": "a"}, 2)
    assert [task.key for task in everything(db, Task)] == ["check_dataset:1:1", "check_dataset:1:2"]
    with db.write() as session, pytest.raises(NotFound):
        datasets.choose_columns(session, ELSEWHERE, one, mapping)
    with db.write() as session:
        session.add(
            Run(
                team_id="T1", channel_id="C1", name="r", request_key="k", dataset_id=one, provider="stub",
                base_model="m", method="sft", status=RunStatus.READY,
            )
        )  # fmt: skip
    with db.write() as session, pytest.raises(UserError, match="A run has used it"):
        datasets.choose_columns(session, TUNER, one, mapping)


def test_what_is_made_of_it_is_asked_for_once(db, dataset):
    one, two = dataset(report={"fixes": {"secret": 2, "unheard_of": 3, "mojibake": 0}}), dataset("b.jsonl")
    for _ in range(2):
        with db.write() as session:
            derivations.apply_fixes(session, COLLEAGUE, one, ["secret", "unheard_of", "mojibake"], "form-1")
            derivations.convert(session, COLLEAGUE, one, "kto", "form-2")
            derivations.compare(session, COLLEAGUE, one, two, "command-3")
    made = everything(db, Derivation)
    assert [(row.kind, row.choice) for row in made] == [
        ("fixes", {"checks": ["secret"]}), ("conversion", {"target": "kto"}),
        ("comparison", {"other": two, "channel": "C1"})
    ]  # fmt: skip
    assert [task.kind for task in everything(db, Task)] == ["fix_dataset", "convert_dataset", "compare_datasets"]
    with db.write() as session:
        with pytest.raises(UserError, match="at least one"):
            derivations.apply_fixes(session, TUNER, one, ["unheard_of"], "form-4")
        with pytest.raises(UserError, match="twice"):
            derivations.compare(session, TUNER, one, one, "form-5")
        with pytest.raises(NotFound):
            derivations.convert(session, ELSEWHERE, one, "kto", "form-6")


def test_the_gravest_comes_first_and_what_concerns_all_last():
    report = {
        "examples": 10,
        "counts": {"everywhere": 10, "few": 2, "grave": 1},
        "findings": [
            {"check": "everywhere", "severity": "warning"}, {"check": "few", "severity": "warning"},
            {"check": "grave", "severity": "error"},
        ],
    }  # fmt: skip
    assert [(check, count) for check, _, count in dataset_cards.findings_by_check(report)] == [
        ("grave", 1), ("few", 2), ("everywhere", 10)
    ]  # fmt: skip


def run_of(db, dataset_id, **more):
    with db.write() as session:
        run = Run(**{
            "team_id": "T1", "channel_id": "C1", "creator_id": "U1", "name": "r", "dataset_id": dataset_id,
            "request_key": str(more), "provider": "stub", "base_model": "m", "method": "sft",
            "status": RunStatus.TRAINING, **more,
        })  # fmt: skip
        session.add(run)


def test_runs_of_other_channels_are_counted_and_not_named(db, dataset):
    one = dataset(shared=True)
    run_of(db, one, name="ours")
    run_of(db, one, name="private", channel_id="C3", creator_id="U3")
    with db.read() as session:
        row = session.get_one(Dataset, one)
        seen, elsewhere = datasets.runs_seen(session, TUNER, row)
        assert ([run.name for run in seen], elsewhere) == (["ours"], 1)
        seen, elsewhere = datasets.runs_seen(session, ELSEWHERE, row)
        assert ([run.name for run in seen], elsewhere) == ([], 2)
        with pytest.raises(UserError, match=r"in use by ours \(run 1\) and 1 run elsewhere\. Wait"):
            datasets.deletable(session, TUNER, row)


def test_what_is_shared_is_changed_in_its_own_channel_only(db, dataset):
    one = dataset(shared=True, report={"fixes": {"secret": 2}})
    with db.write() as session:
        with pytest.raises(NotAllowed, match="another channel: mend it"):
            derivations.apply_fixes(session, ELSEWHERE, one, ["secret"], "form-1")
        with pytest.raises(NotAllowed, match="choose its columns"):
            datasets.choose_columns(session, ELSEWHERE, one, ColumnMapping(answer="a"))
        made = derivations.convert(session, ELSEWHERE, one, "kto", "form-2")
        assert (made.choice, made.channel_id) == ({"target": "kto", "channel": "C2"}, "C1")
        assert derivations.convert(session, TUNER, one, "kto", "form-3").choice == {"target": "kto"}


def test_what_was_deleted_is_not_checked_anew_and_leaves_no_words_behind(db, dataset):
    one = dataset("faq.csv", report={"guessed": True, "samples": [1], "table": {"rows": []}, "findings": []})
    child = dataset("faq.csv", with_upload=False, parent_id=one, changes={"kept": 1, "diff": ["words"]})
    with db.write() as session:
        datasets.choose_columns(session, TUNER, one, ColumnMapping(prompt="q", answer="a"))
        for pair in ((one, child), (child, one)):
            made = derivations.compare(session, TUNER, *pair, str(pair))
            made.outcome = {"same": 3, "differences": ["words"]}
    with db.write() as session:
        datasets.delete(session, TUNER, one)
    assert everything(db, Upload)[0].status is UploadStatus.CHECKED
    rows = {row.id: row for row in everything(db, Dataset)}
    assert rows[child].changes == {"kept": 1}
    assert not {"samples", "table", "findings"} & rows[one].report.keys()
    assert [made.outcome for made in everything(db, Derivation)] == [{"same": 3}] * 2
    with db.write() as session, pytest.raises(DatasetGone):
        datasets.choose_columns(session, TUNER, one, ColumnMapping(answer="a"))
