"""A dataset's report in a workspace with vendors: it can be started where one of them learns by its method."""

from datetime import date

import pytest
from sqlmodel import select

from bot import dataset_announcements, deliver, transcript
from workers.settings import Settings
from workers.tables import Announcement, Credential, CredentialStatus, Dataset, Upload, UploadStatus

SHAPES = {"sft": "openai-chat", "dpo": "openai-preference", "rft": "rft", "kto": "kto"}
ELSEWHERE = {"openai_url": "http://127.0.0.1:9/v1"}
NOVEMBER, SEPTEMBER, NEXT_YEAR = date(2026, 11, 25), date(2026, 9, 1), date(2027, 2, 1)
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


def test_without_a_vendor_what_is_named_is_still_open(reported):
    said, starts = reported("dpo")
    assert not starts
    assert "This would: gpt-4.1-nano-2025-04-14 at Azure OpenAI: $0.27 to train" in said
    assert "at OpenAI" not in said  # whose cheapest model is shut down


def test_preferences_start_at_a_vendor_that_is_set_up_on_a_model_that_is_open(reported):
    said, starts = reported("dpo", "openai")
    assert starts
    assert "Best fit: gpt-4o-mini-2024-07-18 at OpenAI: $0.54 to train" in said
    assert "not set up here" not in said


def test_a_file_of_examples_still_fits_this_machine_best(reported):
    said, starts = reported("sft", "openai", "azure_ml")
    assert starts
    assert "Best fit: smollm2-135m-instruct on this machine: $0" in said


@pytest.mark.parametrize(
    ("today", "settings", "starts"),
    [(SEPTEMBER, {}, True), (NOVEMBER, {}, False), (NOVEMBER, ELSEWHERE, True)],
)
def test_with_a_grader_while_the_vendors_model_is_there(reported, today, settings, starts):
    said, does = reported("rft", "openai", today=today, **settings)
    assert does == starts
    assert ("o4-mini-2025-04-16 at OpenAI: $100.00 for each hour of training" in said) == starts
    assert "o4-mini-2025-04-16 at Azure OpenAI" not in said  # where nothing is trained with a grader


@pytest.mark.parametrize(
    "given", [{"today": NEXT_YEAR}, {"status": CredentialStatus.REFUSED}], ids=["closed", "refused"]
)
def test_a_vendor_that_has_closed_or_refuses_us_starts_nothing(reported, given):
    said, starts = reported("dpo", "openai", **given)
    assert not starts
    assert "This would: gpt-4.1-nano-2025-04-14 at Azure OpenAI" in said


@pytest.mark.parametrize("vendor", ["azure_ml", "openai"])
def test_a_vendor_that_does_not_learn_so_starts_nothing(reported, vendor):
    said, starts = reported("kto" if vendor == "openai" else "dpo", vendor)
    assert not starts
    assert "Nothing that is set up here trains on it" in said
