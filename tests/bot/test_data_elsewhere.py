"""A dataset that is shared from another channel: what is seen of it there, and what is not."""

import pytest
from sqlmodel import select

from bot import transcript
from bot.listeners import data, datasets, files
from workers.errors import NotAllowed
from workers.rights import Actor
from workers.settings import Settings
from workers.tables import Dataset, Run, Upload, UploadStatus

HERE, ELSEWHERE = Actor("T1", "U1", "C1"), Actor("T1", "U2", "C2")
pytestmark = pytest.mark.parametrize("db", ["sqlite"], indirect=True)


@pytest.fixture
def message(db):
    """Two files of one message in C1; the first is shared. Returns their datasets' ids."""
    with db.write() as session:
        for number, name in enumerate(("shared.jsonl", "private.jsonl")):
            upload = Upload(
                team_id="T1", channel_id="C1", creator_id="U1", slack_file_id=f"F{number}", message_ts="1.1",
                thread_ts="1.1", name=name, status=UploadStatus.CHECKED,
            )  # fmt: skip
            session.add(upload)
            session.flush()
            session.add(
                Dataset(
                    team_id="T1", channel_id="C1", creator_id="U1", upload_id=upload.id, message_ts="1.1",
                    thread_ts="1.1", name=name, sha256="0" * 64, storage_key="k", format="openai-chat", method="sft",
                    examples=101, trainable=True, shared=number == 0, report={"examples": 101, "tokens": {"total": 9}},
                )
            )  # fmt: skip
        session.flush()
        found = [row.id for row in session.exec(select(Dataset).order_by(Dataset.id))]
        session.add(
            Run(
                team_id="T1", channel_id="C1", creator_id="U1", name="secretrun", request_key="k", dataset_id=found[0],
                provider="local", base_model="m", method="sft",
            )
        )  # fmt: skip
        return found


def shown(db, actor, dataset_id):
    with db.read() as session:
        drawn = data.show(session, Settings(), actor, session.get_one(Dataset, dataset_id))
    return drawn.text + "\n".join(transcript.lines({"blocks": drawn.blocks}))


def test_neither_its_neighbours_nor_runs_of_other_channels_are_seen(db, message):
    at_home, elsewhere = shown(db, HERE, message[0]), shown(db, ELSEWHERE, message[0])
    assert "private.jsonl" in at_home
    assert "secretrun" in at_home
    assert "shared.jsonl" in elsewhere
    assert "private.jsonl" not in elsewhere
    assert "secretrun" not in elsewhere
    assert "Used by 1 run elsewhere" in elsewhere


@pytest.mark.parametrize("button", ["choose_columns", "fix_dataset", "attach_test"])
def test_what_changes_it_opens_no_form_elsewhere(db, message, button):
    with db.read() as session, pytest.raises(NotAllowed, match="from another channel"):
        datasets._window(session, ELSEWHERE, button, message[0])


def test_how_it_was_mended_is_not_seen_by_whoever_may_not_see_what_it_was_made_of(db, message):
    shared, private = message
    with db.write() as session:
        row = session.get_one(Dataset, shared)
        row.parent_id, row.changes = private, {"kept": 1, "diff": [{"line": 1, "before": "their words", "after": ""}]}
    with db.read() as session:
        assert "their words" in str(datasets._window(session, HERE, "show_changes", shared))
        assert "their words" not in str(datasets._window(session, ELSEWHERE, "show_changes", shared))


@pytest.mark.parametrize(
    ("name", "kind", "taken"),
    [
        ("faq.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", True),
        ("faq.csv", "application/vnd.ms-excel", True),
        ("d.jsonl", "text/plain", True),
        ("talk.pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation", False),
        ("cv.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", False),
        ("old.xls", "application/vnd.ms-excel", False),
        ("cat.png", "image/png", False),
    ],
)
def test_spreadsheets_are_data_and_other_office_documents_are_not(db, name, kind, taken):
    event = {"text": "look", "files": [{"id": "F1", "name": name, "mimetype": kind}]}
    assert [one.name for one in files._received(event, "UBOT")] == [name] * taken
    assert [one.name for one in files._received({**event, "channel_type": "im"}, "UBOT")] == [name]
