"""Runs at vendors that answer as a test wants, a watcher that is carried out by hand, and what became of the runs."""

import dataclasses
import json
import threading
import time
import uuid
from collections import defaultdict

from sqlmodel import Session, select

from bot.blocks import run_card
from bot.sandbox.block_kit import problems_of_blocks
from providers.base import ProviderJob, ProviderJobStatus
from providers.errors import NotConfigured
from workers import tasks
from workers.jobs import runner
from workers.plans.choices import Choices
from workers.rights import Actor
from workers.run_status import RunStatus
from workers.tables import Dataset, Run, Task

TUNER = Actor("T1", "U1", "C1")
RUNNING = ProviderJob("job", ProviderJobStatus.RUNNING, vendor_status="running", stage="training")
SUCCEEDED = dataclasses.replace(
    RUNNING, status=ProviderJobStatus.SUCCEEDED, tuned_model="ft:recipes", trained_tokens=4200, step=9
)


class Vendor:
    """Answers polls of each job from a list: an error is raised, a function called, the last one repeated."""

    def __init__(self):
        self.answers: dict[str, list] = defaultdict(list)
        self.wishes: dict[str, Exception] = {}
        self.calls: list[str] = []
        self.cursors: list[str] = []
        self.kept: list = []
        self.gone: list[str] = []
        self.refusals: dict[str, Exception] = {}
        self.at_once = 0
        self.most_at_once = 0
        self._lock = threading.Lock()

    def poll(self, job_id, cursor=""):
        with self._lock:
            self.calls.append(f"poll {job_id}")
            self.cursors.append(cursor)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            script = self.answers[job_id]
            answer = script.pop(0) if len(script) > 1 else (script[0] if script else RUNNING)
        try:
            if callable(answer):
                answer = answer()
            if isinstance(answer, BaseException):
                raise answer
            return dataclasses.replace(answer, id=job_id)
        finally:
            with self._lock:
                self.at_once -= 1

    def _wish(self, name, job_id):
        self.calls.append(f"{name} {job_id}")
        if name in self.wishes:
            raise self.wishes[name]

    def cancel(self, job_id):
        self._wish("cancel", job_id)

    def pause(self, job_id):
        self._wish("pause", job_id)

    def resume(self, job_id):
        self._wish("resume", job_id)

    def checkpoints(self, job_id):
        self.calls.append(f"checkpoints {job_id}")
        return self.kept

    def delete_model(self, model):
        self.calls.append(f"delete {model}")
        if model in self.refusals:
            raise self.refusals[model]
        self.gone.append(model)


class Vendors:
    """Stands where the registry stands: every provider is the one vendor, unless it is `unconfigured`."""

    def __init__(self, vendor):
        self.vendor = vendor
        self.unconfigured = False

    def training(self, _name, _credentials):
        if self.unconfigured:
            raise NotConfigured("There are no credentials for it here.")
        return self.vendor

    models = training


def add_run(session: Session, *, team="T1", provider="stub", due=0.0, **values) -> int:
    dataset = Dataset(
        team_id=team, channel_id="C1", creator_id="U1", name="a", sha256="a", storage_key="a", format="openai-chat",
        method="sft", examples=9, trainable=True,
    )  # fmt: skip
    session.add(dataset)
    session.flush()
    settings = {
        "status": RunStatus.TRAINING, "provider_job_id": "job", "started_at": time.time(), **values,
    }  # fmt: skip
    run = Run(
        team_id=team, channel_id="C1", creator_id="U1", name="recipes", request_key=uuid.uuid4().hex,
        dataset_id=dataset.id, provider=provider, base_model="m", method="sft", next_poll_at=due,
        plan=Choices(dataset_id=dataset.id).to_json(), **settings,
    )  # fmt: skip
    session.add(run)
    session.flush()
    return run.id


def watch_once(context, key="watch:0") -> Task:
    """Ask for a watcher and carry it out here. Returns its task as it is then."""
    with context.db.write() as session:
        tasks.repeat(session, "watch", queue="cloud", key=key)
        task = session.exec(select(Task).where(Task.key == key)).one()
    runner.carry(context, task.id, task.attempt)
    with context.db.read() as session:
        return session.get_one(Task, task.id)


def look(place, run_id):
    with place.db.read() as session:
        return session.get_one(Run, run_id)


def change(place, run_id, **values):
    with place.db.write() as session:
        row = session.get_one(Run, run_id)
        for name, value in values.items():
            setattr(row, name, value)
        session.add(row)


def again(place, run_id):
    """Watch once more, though it is not due yet."""
    change(place, run_id, next_poll_at=0.0)
    watch_once(place)
    return look(place, run_id)


def rows(place, table):
    with place.db.read() as session:
        return session.exec(select(table)).all()


def card(row):
    drawn = run_card.draw(row)
    assert problems_of_blocks(drawn.blocks) == []
    return json.dumps(drawn.blocks, ensure_ascii=False)


def waits(row):
    return row.next_poll_at - time.time()


def later(place, run_id, seconds):
    """As if the trouble had begun so long ago."""
    row = look(place, run_id)
    trouble = {**row.progress["trouble"], "since": row.progress["trouble"]["since"] - seconds}
    change(place, run_id, progress={**row.progress, "trouble": trouble})


def missing_for(place, run_id, seconds):
    """As if the vendor had begun so long ago to say that it has no such training."""
    row = look(place, run_id)
    trouble = row.progress["trouble"]
    missing = {**trouble["missing"], "since": trouble["missing"]["since"] - seconds}
    change(place, run_id, progress={**row.progress, "trouble": {**trouble, "missing": missing}})
