"""The task that reads an attached job file: a plan is kept, or words are; what is nobody's business goes."""

import pytest
from sqlmodel import select

from workers import tasks
from workers.jobs import runner
from workers.plans.job_file import JobFilePlan
from workers.tables import Announcement, JobFile, Task, TaskStatus, Upload, UploadStatus

pytestmark = pytest.mark.parametrize("db", ["sqlite"], indirect=True)
KEY = "uploads/1"


@pytest.fixture
def read(context, tmp_path):
    """The upload after the task has read these bytes."""

    def carry(text, *, addressed=False, stored=True):
        path = tmp_path / "job.yml"
        path.write_bytes(text)
        if stored:
            context.storage.put(KEY, path)
        with context.db.write() as session:
            row = Upload(
                team_id="T1", channel_id="C1", creator_id="U1", slack_file_id="F1", message_ts="job-file:1.1",
                thread_ts="1.1", name="job.yml", addressed=addressed, status=UploadStatus.STORED, storage_key=KEY,
            )  # fmt: skip
            session.add(row)
            session.flush()
            task = tasks.add(session, "read_job_file", row.id, queue="cpu", team_id="T1")
            task_id = task.id
        runner.carry(context, task_id, 1)
        with context.db.read() as session:
            assert session.get_one(Task, task_id).status is TaskStatus.DONE
            return session.get_one(Upload, row.id)

    return carry


def kept(context, table):
    with context.db.read() as session:
        return session.exec(select(table)).all()


@pytest.mark.parametrize(
    ("scalar", "name"),
    [
        ("2026-01-01", "2026-01-01"), ("2026-01-01 10:00:00", "2026-01-01 10:00:00"), ("12:30:45", "12:30:45"),
        ("0x1f", "0x1f"), ("7", "7"), ("text", "text"), ("'yes'", "yes"), ("~", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_scalar_of_every_type_is_a_plan(read, context, scalar, name):
    upload = read(f"finetune: 1\nname: {scalar}\n".encode())
    assert upload.status is UploadStatus.CHECKED
    (row,) = kept(context, JobFile)
    plan = JobFilePlan.from_json(row.plan)
    assert (plan.name, plan.problems, row.message_ts) == (name, (), "1.1")
    assert context.storage.exists(KEY)


@pytest.mark.parametrize(
    "scalar",
    ["!!binary aGVsbG8=", "!!int 5", "!!timestamp 2026-01-01", "!!set {a}", ".nan", ".inf", "-.inf", "9" * 30, r'"\0"',
     r'"\ud800"', r'"\e"', "1.0e+999", "&a x", "{1: 2}"],
)  # fmt: skip
def test_one_that_cannot_be_kept_is_refused_with_words(read, context, scalar):
    upload = read(f"finetune: 1\nname: x\nopenai: {{metadata: {scalar}}}\n".encode())
    assert upload.status is UploadStatus.REFUSED
    assert upload.problem.startswith("This YAML cannot be read. line 3, column ")
    assert kept(context, JobFile) == []
    assert [one.kind for one in kept(context, Announcement)] == ["dataset_report"]


@pytest.mark.parametrize("text", [b"services: {web: {image: nginx}}\n", b"on: push\n", b"\xff", b"a: !Ref b\n"])
def test_other_peoples_yaml_gets_no_answer_and_goes(read, context, text):
    upload = read(text)
    assert (upload.status, upload.storage_key) == (UploadStatus.REFUSED, "")
    assert not context.storage.exists(KEY)
    assert kept(context, Announcement) == []


def test_what_was_handed_to_the_bot_is_answered(read, context):
    upload = read(b"services: {web: {image: nginx}}\n", addressed=True)
    assert "is no job file" in upload.problem
    assert len(kept(context, Announcement)) == 1


@pytest.mark.parametrize(("addressed", "told"), [(True, 1), (False, 0)])
def test_what_is_gone_already_ends_the_task(read, context, addressed, told):
    assert read(b"", addressed=addressed, stored=False).status is UploadStatus.REFUSED
    assert len(kept(context, Announcement)) == told
