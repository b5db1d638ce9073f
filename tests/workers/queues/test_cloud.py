"""The cloud worker as a real process that watches runs: killed again and again, stopped, put to sleep."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import update
from sqlmodel import select

from providers.base import Method, TrainingRequest
from providers.settings import ProviderSettings
from providers.stub import BASE_MODEL, build_training
from tests.workers.jobs.watched import add_run
from workers import tasks
from workers.jobs import kinds, runner
from workers.queues.connection import QueueName
from workers.queues.job import Wanted
from workers.queues.threaded import ThreadedWorker
from workers.run_status import RunStatus
from workers.settings import Settings
from workers.supervisor import exported
from workers.tables import Run, RunEvent, RunMetric, Task, TaskStatus
from workers.timing import Timing

WORKER = Path(__file__).with_name("cloud_worker.py")
RUNS = 60


@pytest.fixture
def runs(installation, tmp_path):
    """Runs at the pretending vendor, whose jobs outlive every process and succeed at their fifth poll."""
    vendor = build_training(ProviderSettings(home=installation.settings.folder), {})
    path = tmp_path / "train.jsonl"
    path.write_text("{}\n")
    ids = []
    for number in range(RUNS):
        folder = tmp_path / f"job-{number}"
        job = vendor.submit(TrainingRequest(f"run-{number}", BASE_MODEL, Method.SFT, path, "r", folder))
        with installation.db.write() as session:
            ids.append(add_run(session, team=f"T{number % 3}", provider_job_id=job.id))
    return ids


@pytest.fixture
def start(installation):
    def begin():
        with (installation.settings.folder / "cloud.log").open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, str(WORKER)], env=os.environ | exported(installation.settings), stdout=log, stderr=log
            )
        installation.processes.append(worker)
        return worker

    return begin


def states(installation):
    with installation.db.read() as session:
        return Counter(session.exec(select(Run.status)).all())


def check_all_is_there_once(installation):
    with installation.db.read() as session:
        ends = Counter(session.exec(select(RunEvent.run_id).where(RunEvent.kind == "evaluating")).all())
        evaluations = Counter(session.exec(select(Task.subject_id).where(Task.kind == "evaluate")).all())
        steps = Counter(session.exec(select(RunMetric.run_id)).all())
        watchers = session.exec(select(Task).where(Task.kind == "watch")).all()
    assert set(ends.values()) == set(evaluations.values()) == {1}
    assert len(ends) == len(evaluations) == RUNS
    assert set(steps.values()) == {20}  # five polls of four steps: none lost, none twice
    assert len(watchers) <= 4


def test_a_worker_that_is_killed_again_and_again_loses_nothing_and_does_nothing_twice(
    installation, runs, start, eventually
):
    worker = start()
    eventually(lambda: states(installation)[RunStatus.TRAINING] == RUNS and _any_polled(installation))
    for _ in range(6):
        time.sleep(random.uniform(0.1, 1.5))
        worker.kill()
        worker.wait()
        worker = start()
    eventually(lambda: states(installation)[RunStatus.EVALUATING] == RUNS, seconds=90)
    check_all_is_there_once(installation)


def _any_polled(installation):
    with installation.db.read() as session:
        return session.exec(select(Run.id).where(Run.poll_cursor != "").limit(1)).first() is not None


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_worker_that_slept_and_one_that_took_over_harm_nothing(installation, runs, start, eventually):
    sleeper = start()
    eventually(lambda: _any_polled(installation))
    sleeper.send_signal(signal.SIGSTOP)
    start()
    time.sleep(6)
    sleeper.send_signal(signal.SIGCONT)
    eventually(lambda: states(installation)[RunStatus.EVALUATING] == RUNS, seconds=90)
    check_all_is_there_once(installation)
    assert sleeper.poll() is None


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_worker_that_is_told_to_stop_ends_soon_and_another_goes_on(installation, runs, start, eventually):
    worker = start()
    eventually(lambda: _any_polled(installation))
    worker.terminate()
    assert worker.wait(20) == 0
    with installation.db.read() as session:
        assert all(one.crashes == 0 for one in session.exec(select(Task)))
        running = select(Task.id).where(Task.status == TaskStatus.RUNNING)
        assert session.exec(running).all() == []
    start()
    eventually(lambda: states(installation)[RunStatus.EVALUATING] == RUNS, seconds=90)
    check_all_is_there_once(installation)


def stubborn(_context, lease):
    """Notices nothing for as long as its process lives."""
    while not lease.closed:
        time.sleep(0.05)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_an_attempt_that_does_not_notice_its_lost_lease_ends_the_process(context, monkeypatch, eventually):
    ended = threading.Event()
    monkeypatch.setattr(runner, "ABANDON_SECONDS", 0.2)
    monkeypatch.setattr(Settings, "timing", property(lambda _self: Timing(lease_seconds=0.4)))
    monkeypatch.setitem(kinds.KINDS, "stubborn", kinds.Kind(QueueName.CLOUD, f"{__name__}:stubborn"))
    monkeypatch.setitem(sys.modules, __name__, SimpleNamespace(stubborn=stubborn))
    with context.db.write() as session:
        task_id = tasks.add(session, "stubborn", 1, queue="cloud", team_id="T1").id
    leases = []
    monkeypatch.setattr(tasks, "claim", lambda *given: leases.append(_claim(*given)) or leases[-1])
    worker = ThreadedWorker(context, QueueName.CLOUD, abandon=ended.set)
    worker._take(Wanted(task_id, 1), threading.Event())
    try:
        eventually(lambda: leases)
        assert not ended.wait(1.0)  # as long as the lease is its own
        with context.db.write() as session:
            session.execute(update(Task).values(lease_owner="another"))
        assert ended.wait(10)
    finally:
        leases[0].closed = True
        for thread in worker._running:
            thread.join()


_claim = tasks.claim
