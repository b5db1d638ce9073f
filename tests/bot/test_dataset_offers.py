"""A dataset's report: whatever its method, it can be started, and the best place is named."""

from datetime import date

import pytest
from sqlmodel import select

from bot import dataset_announcements, deliver, transcript
from workers.settings import Settings
from workers.tables import Announcement, Credential, CredentialStatus, Dataset, Upload, UploadStatus

SHAPES = {"sft": "openai-chat", "dpo": "openai-preference", "rft": "rft", "kto": "kto"}
NOVEMBER, NEXT_YEAR = date(2026, 11, 25), date(2027, 2, 1)
pytestmark = pytest.mark.parametrize("db", ["sqlite"], indirect=True)


@pytest.fixture
def reported(db):
    """The report on a dataset, as its message and as another version's; its text, and whether it can be started."""

    def draw(method, *vendors, today=NOVEMBER, status=CredentialStatus.WORKING, **settings):
        settings = Settings(today=today, **settings)
        where = {"team_id": "T1", "channel_id": "C1", "creator_id": "U1", "message_ts": "1.1", "thread_ts": "1.1"}
        figures = {"examples": 60, "method": method, "format": SHAPES[method], "epochs": 3,
                   "tokens": {"total": 60_000, "max": 900, "tokenizer": "o200k_base"}}  # fmt: skip
        with db.write() as session:
            for name in vendors:
                session.add(Credential(team_id="T1", provider=name, sealed="x", status=status))
            session.add(Credential(team_id="T2", provider="openai", sealed="x"))  # somebody else's
            upload = Upload(**where, slack_file_id="F1", name="a.jsonl", status=UploadStatus.CHECKED)
            session.add(upload)
            session.flush()
            shape = {"name": "a.jsonl", "sha256": "0" * 64, "storage_key": "k", "format": SHAPES[method],
                     "method": method, "examples": 60, "trainable": True, "report": figures}  # fmt: skip
            session.add(Dataset(**where, **shape, upload_id=upload.id))
            session.add(Dataset(**where, **shape, version=2))
        row = Announcement(team_id="T1", channel_id="C1", slot="s", kind="dataset_report", data={"message_ts": "1.1"})
        with db.read() as session:
            message = deliver.draw(session, settings, row)
            version = session.exec(select(Dataset).where(Dataset.version == 2)).one()
            again = dataset_announcements.report(session, settings, version)
        texts = ["\n".join(transcript.lines({"blocks": one.blocks})) for one in (message, again)]
        assert texts[0].splitlines()[1:] == texts[1].splitlines()[2:]
        starts = "start_from_report" in str(message.blocks)
        assert ("Ready to train" in message.text) == ("Ready to train" in again.text) == starts
        return texts[0], starts

    return draw


@pytest.mark.parametrize("method", list(SHAPES))
@pytest.mark.parametrize("vendors", [(), ("openai", "azure_ml")])
def test_every_kind_of_dataset_can_be_learnt_here_for_nothing(reported, method, vendors):
    said, starts = reported(method, *vendors)
    assert starts
    assert "Best fit: smollm2-135m-instruct on this machine: $0" in said
    assert "Nothing that is set up here" not in said


@pytest.mark.parametrize(
    "given", [{"today": NEXT_YEAR}, {"status": CredentialStatus.REFUSED}], ids=["closed", "refused"]
)
def test_a_vendor_that_has_closed_or_refuses_us_is_not_named(reported, given):
    said, starts = reported("dpo", "openai", **given)
    assert starts
    assert "at OpenAI" not in said
