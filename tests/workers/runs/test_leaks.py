"""What is compared while somebody waits, and what is left to the run."""

import gzip
import json

import pytest

from workers.errors import InvalidPlan
from workers.plans.choices import Choices
from workers.runs import leaks, material
from workers.tables import Dataset

pytestmark = pytest.mark.parametrize("db", ["sqlite"], indirect=True)
LATER = "too large to be compared while you wait"


@pytest.fixture
def put(context, tmp_path):
    """A dataset of these bytes, with so many examples and tokens by its report; None: its file is not there."""

    def keep(name, content, *, examples=10, total=1000):
        if content is not None:
            path = tmp_path / name
            path.write_bytes(content)
            context.storage.put(name, path)
        with context.db.write() as session:
            row = Dataset(
                team_id="T1", name=name, sha256=name, size=len(content or b""), storage_key=name, format="openai-chat",
                method="sft", examples=examples, trainable=True, report={"tokens": {"total": total}},
            )  # fmt: skip
            session.add(row)
            session.flush()
            return row.id

    return keep


def lines(*questions):
    said = [
        {"messages": [{"role": "user", "content": one}, {"role": "assistant", "content": "a"}]} for one in questions
    ]
    return "".join(json.dumps(one) + "\n" for one in said).encode()


def test_what_was_learnt_is_found_and_counted(context, put):
    train, test, watched = put("train", lines("q1", "q2")), put("test", lines("Q1", "t")), put("val", lines("v", "q2"))
    found = leaks.look(context, Choices(train, test_dataset_id=test, validation_dataset_id=watched))
    assert found.left_out == 1
    assert "test: 1 of its 2" in found.words
    assert "left out of the validation" in found.words
    with pytest.raises(InvalidPlan, match="proves nothing"):
        leaks.look(context, Choices(train, test_dataset_id=put("all", lines("q2"))))


@pytest.mark.parametrize("figures", [{"total": 5_000_000}, {"examples": 50_000}])
def test_by_what_the_report_knows_of_large_files_nothing_is_read(context, put, figures):
    train, test = put("train", None, **figures), put("test", None)
    assert LATER in leaks.look(context, Choices(train, test_dataset_id=test)).words


def test_two_comparisons_share_the_time_of_one(context, put):
    figures = {"total": int(0.7 * leaks.MOST_SECONDS / leaks.SECONDS_PER_TOKEN)}
    train, test, watched = put("train", lines("q"), **figures), put("test", lines("t")), put("val", lines("v"))
    assert leaks.look(context, Choices(train, test_dataset_id=test)).words == ""
    both = leaks.look(context, Choices(train, test_dataset_id=test, validation_dataset_id=watched)).words
    assert both.count(LATER) == 2


def test_a_small_archive_of_much_that_is_no_token_is_not_unpacked_whole(context, put, monkeypatch):
    monkeypatch.setattr(material, "WHILE_WAITING", material.Limits(max_bytes=1_000_000, max_plain_bytes=1_000_000))
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    said = [{"role": "user", "content": [picture]}, {"role": "assistant", "content": "a"}]
    packed = gzip.compress((json.dumps({"messages": said}) + "\n").encode() * 40)
    assert len(packed) < 100_000
    train, test = put("train", packed), put("test", lines("t"))
    assert LATER in leaks.look(context, Choices(train, test_dataset_id=test)).words
    assert material.compare(context, train, test).tested == 1
