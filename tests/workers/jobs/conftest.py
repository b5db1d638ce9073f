"""A run that was started, its files in storage, and providers that do what a test wants."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlmodel import select

from providers.base import ChatChunk, ProviderJob, ProviderJobStatus, nobody_objects
from workers.context import Context
from workers.jobs import runner
from workers.plans import plan
from workers.rights import Actor
from workers.runs import lifecycle
from workers.tables import Dataset, DatasetRole, Run, Task, TaskStatus, Upload, UploadStatus

ROOT = Path(__file__).resolve().parents[3]
TUNER = Actor("T1", "U1", "C1")


class ScriptedTraining:
    """Answers each call from a list: an error is raised, anything else returned; an empty list means `job`.

    `alive` is how many trainers work now, `most_alive` how many ever did at once.
    """

    def __init__(self):
        self.job = ProviderJob("job-1", ProviderJobStatus.RUNNING, stage="training", step=1, total_steps=9, cursor="1")
        self.found: list = []
        self.uploading: Callable[[], None] = nobody_objects
        self.submitted: list = []
        self.polled: list = []
        self.calls: list[str] = []
        self.requests: list = []
        self.lines: list[dict] = []
        self.alive = 0
        self.most_alive = 0
        self._cancelled = False

    def _next(self, name, answers):
        self.calls.append(name)
        answer = answers.pop(0) if answers else self.job
        if isinstance(answer, Exception):
            raise answer
        return answer

    def submit(self, request, about_to_create=nobody_objects):
        self.requests.append(request)
        self.lines = [json.loads(line) for line in request.train_path.read_text().splitlines()]
        self.uploading()
        about_to_create()
        job = self._next("submit", self.submitted)
        self._cancelled = False
        self.alive += 1
        self.most_alive = max(self.most_alive, self.alive)
        return job

    def find(self, key):
        return self._next("find", self.found or [None])

    def poll(self, job_id, cursor=""):
        told = bool(self.polled)
        news = self._next(f"poll {job_id} {cursor}", self.polled)
        if self._cancelled and not told:
            news = dataclasses.replace(news, status=ProviderJobStatus.CANCELLED)
        if news.status not in {ProviderJobStatus.PENDING, ProviderJobStatus.RUNNING}:
            self.alive = 0
        return news

    def cancel(self, job_id):
        self.calls.append(f"cancel {job_id}")
        self._cancelled = True

    def pause(self, job_id):
        self.calls.append(f"pause {job_id}")


class ScriptedChat:
    """Answers by `say(model, question)`, which may raise."""

    def __init__(self):
        self.asked: list = []
        self.say: Callable[[str, str], str] = lambda _model, _question: "[]"

    def stream(self, request):
        self.asked.append(request)
        yield ChatChunk(text=self.say(request.model, request.messages[-1].content))
        yield ChatChunk(finish_reason="stop", prompt_tokens=5, completion_tokens=2)


@dataclasses.dataclass
class TwoProviders:
    """Stands where the registry stands."""

    trainer: ScriptedTraining
    talker: ScriptedChat

    def training(self, _name, _credentials):
        return self.trainer

    def chat(self, _name, _credentials):
        return self.talker


@pytest.fixture
def trainer():
    return ScriptedTraining()


@pytest.fixture
def talker():
    return ScriptedChat()


@pytest.fixture
def scripted(context: Context, trainer, talker) -> Context:
    """The context with these providers."""
    return dataclasses.replace(context, providers=TwoProviders(trainer, talker))


@pytest.fixture
def upload(context):
    """Attach a file: its bytes are in storage, its check is asked for. Returns the upload's id."""

    def attach(content, name="file.jsonl", message_ts="1.1"):
        path = Path("attached")
        path.write_bytes(content)
        with context.db.write() as session:
            row = Upload(
                team_id="T1", channel_id="C1", creator_id="U1", slack_file_id=name, message_ts=message_ts,
                thread_ts=message_ts, name=name,
                size=len(content), status=UploadStatus.STORED,
            )  # fmt: skip
            session.add(row)
            session.flush()
            row.storage_key = f"uploads/{row.id}/file"
            session.add(row)
            session.add(Task(kind="check_dataset", queue="cpu", subject_id=row.id, key=f"check_dataset:{row.id}"))
        context.storage.put(row.storage_key, path)
        return row.id

    return attach


@pytest.fixture
def carry(scripted):
    """Carry out the newest attempt at a kind of task for its subject, and return the task as it is then."""

    def do(kind, subject_id, **options):
        row = task(scripted.db, kind, subject_id)
        runner.carry(scripted, row.id, row.attempt, **options)
        return task(scripted.db, kind, subject_id)

    return do


@pytest.fixture
def start(context, upload, carry):
    """Start a run on the cookbook's two files (or the first alone), at this provider. Returns its id."""

    def begin(provider="local", *, alone=False):
        names = ["cookbook_recipe_training.jsonl"] + ([] if alone else ["cookbook_recipe_validation.jsonl"])
        for name in names:
            uploaded = upload((ROOT / "examples" / name).read_bytes(), name)
            assert carry("check_dataset", uploaded).status is TaskStatus.DONE
        with context.db.write() as session:
            rows = session.exec(select(Dataset).order_by(Dataset.id)).all()
            choices = plan.Choices(
                dataset_id=rows[0].id, test_dataset_id=None if alone else rows[1].id, name="recipes", provider=provider,
                base_model="stub-1" if provider == "stub" else "smollm2-135m-instruct",
            )  # fmt: skip
            assert [row.role for row in rows] == [DatasetRole.TRAIN, DatasetRole.TEST][: len(rows)]
            return lifecycle.start(session, context.settings, TUNER, choices, "form-1").id

    return begin


@pytest.fixture
def run_now(context):
    """The run as it is now."""

    def look(run_id):
        with context.db.read() as session:
            return session.get_one(Run, run_id)

    return look


def task(db, kind, subject_id):
    with db.read() as session:
        return session.exec(
            select(Task).where(Task.kind == kind, Task.subject_id == subject_id).order_by(Task.id.desc()).limit(1)
        ).one()
