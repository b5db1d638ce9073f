"""Training runs: at this machine's trainer, and at a vendor that must never be asked twice for the same."""

import json
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from sqlmodel import select

from bot.blocks import run_card
from providers.base import MetricPoint, ProviderJobStatus
from providers.errors import InvalidRequest, Unavailable
from tests.workers.jobs.conftest import TUNER
from tests.workers.jobs.watched import watch_once
from workers.jobs import following, training
from workers.run_status import RunStatus
from workers.runs import lifecycle
from workers.settings import Settings
from workers.tables import Announcement, Run, RunMetric, Task, TaskStatus
from workers.tasks import Lease
from workers.timing import Timing


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(following, "WRITE_SECONDS", 0.0)


def rows(db, table):
    with db.read() as session:
        return session.exec(select(table)).all()


def watch(context, run_id):
    """Let a watcher ask about the run, whenever its turn would have been."""
    with context.db.write() as session:
        session.get_one(Run, run_id).next_poll_at = 0.0
    return watch_once(context)


def card(run):
    return json.dumps(run_card.draw(run).blocks, ensure_ascii=False)


def cancel(db, run_id):
    with db.write() as session:
        lifecycle.cancel(session, TUNER, run_id)


@pytest.fixture
def finished(trainer, tmp_path):
    """What the trainer says at the end: there is a model."""
    folder = tmp_path / "trained"
    folder.mkdir()
    (folder / "adapter.safetensors").write_bytes(b"weights")
    return replace(trainer.job, status=ProviderJobStatus.SUCCEEDED, step=9, tuned_model=str(folder), cursor="9")


def test_a_local_run_from_its_files_to_its_model(db, context, start, carry, trainer, finished, run_now):
    run_id = start()
    trainer.polled = [replace(trainer.job, metrics=[MetricPoint(1, 0.1, 2.5)]), finished]
    assert carry("train_local", run_id).status is TaskStatus.DONE
    run = run_now(run_id)
    assert (run.status, run.provider_job_id, run.submit_attempt) == (RunStatus.EVALUATING, "job-1", 1)
    assert (run.progress["first_loss"], run.progress["total_steps"], run.progress["step"]) == (2.5, 9, 9)
    assert run.trained_at
    (request,) = trainer.requests
    assert (request.key, request.suffix, request.resume_from) == (f"run-{run_id}-1", run.model_name, None)
    assert len(trainer.lines) == 101
    assert trainer.lines[0]["messages"][0]["role"] == "system"
    assert (context.settings.models_folder / run.model_name / "adapter.safetensors").read_bytes() == b"weights"
    assert context.storage.exists(f"models/{run_id}/adapter.safetensors")
    assert not (context.settings.runs_folder / str(run_id)).exists()
    assert [one.kind for one in rows(db, Task)].count("evaluate") == 1
    assert "loss_curve" in {one.kind for one in rows(db, Announcement)}


def test_what_is_held_out_is_not_learnt(start, carry, trainer, finished):
    run_id = start(alone=True)
    trainer.polled = [finished]
    carry("train_local", run_id)
    assert len(trainer.lines) == 81


def test_a_trainer_that_fails_says_why(start, carry, trainer, run_now):
    run_id = start()
    trainer.polled = [replace(trainer.job, status=ProviderJobStatus.FAILED, error="Out of\x00 memory: use less.")]
    assert carry("train_local", run_id).status is TaskStatus.DONE
    run = run_now(run_id)
    assert (run.status, run.status_reason) == (RunStatus.FAILED, "Out of memory: use less.")


def test_a_refused_request_fails_the_run_in_words(start, carry, trainer, run_now):
    run_id = start()
    trainer.submitted = [InvalidRequest("The model's name is not known.", detail="a secret")]
    carry("train_local", run_id)
    run = run_now(run_id)
    assert (run.status, run.status_reason) == (RunStatus.FAILED, "The model's name is not known.")


def test_a_cancelled_run_tells_the_trainer_and_ends(db, start, carry, trainer, run_now):
    run_id = start()

    def cancelled_meanwhile(_request):
        cancel(db, run_id)
        return trainer.job

    trainer.submit = cancelled_meanwhile
    trainer.polled = [trainer.job, trainer.job, replace(trainer.job, status=ProviderJobStatus.CANCELLED, step=4)]
    assert carry("train_local", run_id).status is TaskStatus.DONE
    assert "cancel job-1" in trainer.calls
    run = run_now(run_id)
    assert (run.status, run.status_reason) == (RunStatus.CANCELLED, "Cancelled at step 4.")


def test_a_worker_that_must_stop_keeps_a_checkpoint_and_another_goes_on(
    context, start, carry, trainer, finished, run_now, tmp_path
):
    run_id = start()
    checkpoint = tmp_path / "checkpoint-7"
    checkpoint.mkdir()
    (checkpoint / "state.bin").write_bytes(b"half")
    trainer.polled = [trainer.job, replace(trainer.job, status=ProviderJobStatus.PAUSED, checkpoints=[checkpoint])]
    stopping = threading.Event()
    stopping.set()
    waiting = carry("train_local", run_id, stopping=stopping)
    assert (waiting.status, waiting.attempt, waiting.crashes) == (TaskStatus.QUEUED, 2, 0)
    assert "pause job-1" in trainer.calls
    assert run_now(run_id).checkpoint_step == 7

    def submit(request):
        trainer.requests.append(request)
        assert (request.resume_from / "state.bin").read_bytes() == b"half"
        return trainer.job

    trainer.submit, trainer.polled = submit, [trainer.job, finished]
    assert carry("train_local", run_id).status is TaskStatus.DONE
    assert trainer.requests[-1].key == f"run-{run_id}-2"
    assert trainer.requests[-1].resume_from.name == "checkpoint-7"
    assert run_now(run_id).status is RunStatus.EVALUATING
    assert context.storage.list(f"runs/{run_id}") == []


@pytest.fixture
def database_away(monkeypatch):
    """Transactions of an attempt that are to fail: put one error in for each."""
    errors = []
    whole = Lease.write

    @contextmanager
    def write(lease):
        if errors:
            raise errors.pop()
        with whole(lease) as session:
            yield session

    monkeypatch.setattr(Lease, "write", write)
    return errors


def away():
    return OperationalError("UPDATE task", {}, Exception("database is locked"))


def test_a_database_that_is_away_for_a_moment_does_not_interrupt(
    db, start, carry, trainer, finished, run_now, database_away
):
    run_id = start()
    told = [replace(trainer.job, step=step, metrics=[MetricPoint(step, 0.1, 2.5)]) for step in range(1, 6)]
    poll = trainer.poll

    def polled(job_id, cursor=""):
        if len(trainer.polled) in {4, 1}:  # in the middle, and when the trainer has just ended
            database_away.extend([away(), away()])
        return poll(job_id, cursor)

    trainer.poll, trainer.polled = polled, [*told, finished]
    assert carry("train_local", run_id).status is TaskStatus.DONE
    assert (trainer.calls.count("submit"), trainer.most_alive) == (1, 1)
    assert not database_away
    assert run_now(run_id).status is RunStatus.EVALUATING
    assert [metric.step for metric in rows(db, RunMetric)] == [1, 2, 3, 4, 5]


def test_a_database_that_stays_away_ends_the_trainer_first(
    start, carry, trainer, finished, run_now, database_away, monkeypatch
):
    run_id = start()
    monkeypatch.setattr(Settings, "timing", property(lambda _self: Timing(lease_seconds=0.4)))
    poll = trainer.poll

    def polled(job_id, cursor=""):
        database_away[:] = [] if "cancel job-1" in trainer.calls else [away() for _ in range(9)]
        return poll(job_id, cursor)

    trainer.poll = polled
    waiting = carry("train_local", run_id)
    assert (waiting.status, waiting.crashes, trainer.alive) == (TaskStatus.QUEUED, 1, 0)
    trainer.poll, trainer.polled = poll, [trainer.job, finished]
    assert carry("train_local", run_id).status is TaskStatus.DONE
    assert trainer.most_alive == 1
    assert run_now(run_id).status is RunStatus.EVALUATING


def test_storage_that_is_full_ends_the_trainer_before_the_task_is_given_back(
    context, start, carry, trainer, finished, run_now, tmp_path, monkeypatch
):
    run_id = start()
    checkpoint = tmp_path / "checkpoint-7"
    checkpoint.mkdir()
    (checkpoint / "state.bin").write_bytes(b"half")
    put, alive_at_crash = context.storage.put_folder, []

    def full(key, _folder):
        context.storage.put(f"{key}/state.bin", checkpoint / "state.bin")
        raise OSError(28, "No space left on device")

    crash = Lease.crash
    monkeypatch.setattr(Lease, "crash", lambda *given: (alive_at_crash.append(trainer.alive), crash(*given))[1])
    monkeypatch.setattr(context.storage, "put_folder", full)
    trainer.polled = [replace(trainer.job, checkpoints=[checkpoint])]
    assert carry("train_local", run_id).status is TaskStatus.QUEUED
    assert alive_at_crash == [0]
    assert context.storage.list(f"runs/{run_id}")

    monkeypatch.setattr(context.storage, "put_folder", put)
    trainer.polled = [trainer.job, finished]
    assert carry("train_local", run_id).status is TaskStatus.DONE
    assert trainer.most_alive == 1
    assert run_now(run_id).status is RunStatus.EVALUATING
    assert context.storage.list(f"runs/{run_id}") == []  # nothing half copied stays


def test_a_trainer_that_cannot_be_heard_is_told_to_end(start, carry, trainer, run_now):
    run_id = start()
    trainer.polled = [trainer.job, Unavailable("its folder is gone")]
    assert carry("train_local", run_id).status is TaskStatus.DONE
    assert (trainer.alive, "cancel job-1" in trainer.calls) == (0, True)
    assert (run_now(run_id).status, run_now(run_id).status_reason) == (RunStatus.FAILED, "its folder is gone")


def test_a_copy_that_was_taken_over_publishes_nothing(
    db, context, start, carry, trainer, finished, run_now, monkeypatch
):
    run_id = start()
    followed = training.follow

    def then_taken_over(*given):
        job = followed(*given)
        with db.write() as session:
            session.execute(update(Task).where(Task.kind == "train_local").values(lease_owner="another"))
        return job

    monkeypatch.setattr(training, "follow", then_taken_over)
    trainer.polled = [finished]
    carry("train_local", run_id)
    assert not context.storage.exists(f"models/{run_id}")
    assert not (context.settings.models_folder / run_now(run_id).model_name).exists()


def test_figures_that_a_killed_attempt_had_no_time_to_record_are_not_lost(
    db, context, start, carry, trainer, finished, run_now, tmp_path
):
    run_id = start()
    with db.write() as session:  # as a killed work-horse leaves it
        run = session.get_one(Run, run_id)
        run.status, run.provider_job_id, run.submit_attempt = RunStatus.TRAINING, "job-1", 1
        session.add(run)
    checkpoint = tmp_path / "checkpoint-7"
    checkpoint.mkdir()
    (checkpoint / "state.bin").write_bytes(b"half")
    left = [MetricPoint(step, step / 3, 2.0) for step in range(1, 8)]
    trainer.polled = [replace(trainer.job, metrics=left, step=7, checkpoints=[checkpoint]), finished]
    assert carry("train_local", run_id).status is TaskStatus.DONE
    assert trainer.requests[-1].resume_from.name == "checkpoint-7"
    assert sorted(one.step for one in rows(db, RunMetric)) == list(range(1, 8))


def test_what_a_broken_run_leaves_is_removed_before_the_next_one(context, start, carry, trainer, run_now, tmp_path):
    broken = start()
    checkpoint = tmp_path / "checkpoint-7"
    checkpoint.mkdir()
    (checkpoint / "state.bin").write_bytes(b"half")
    for _ in range(context.settings.timing.max_crashes):
        trainer.polled = [replace(trainer.job, checkpoints=[checkpoint]), ValueError("a fault of ours")]
        ended = carry("train_local", broken)
    assert ended.status is TaskStatus.DEAD
    assert context.storage.list(f"runs/{broken}")
    assert (context.settings.runs_folder / str(broken)).exists()
    training._tidy(context)  # as the next run's task does first
    assert context.storage.list(f"runs/{broken}") == []
    assert not (context.settings.runs_folder / str(broken)).exists()
    assert run_now(broken).checkpoint_key == ""


def wish(db, run_id, act):
    with db.write() as session:
        act(session, TUNER, run_id)


def test_a_local_run_is_paused_and_goes_on_where_it_was(
    context, start, carry, trainer, finished, run_now, db, tmp_path
):
    run_id = start()
    checkpoint = tmp_path / "checkpoint-7"
    checkpoint.mkdir()
    (checkpoint / "state.bin").write_bytes(b"half")
    submit = trainer.submit

    def paused_meanwhile(request):
        job = submit(request)
        trainer.polled = [
            trainer.job, trainer.job, replace(trainer.job, status=ProviderJobStatus.PAUSED, step=7,
                                              checkpoints=[checkpoint])
        ]  # fmt: skip
        return job

    trainer.submit = paused_meanwhile
    advance = training._advance

    def and_pause(lease, run, status, **more):
        advance(lease, run, status, **more)
        if status is RunStatus.TRAINING:
            wish(db, run_id, lifecycle.pause)

    training._advance, before = and_pause, advance
    try:
        assert carry("train_local", run_id).status is TaskStatus.DONE  # the worker's place is free
    finally:
        training._advance = before
    run = run_now(run_id)
    assert (run.status, run.checkpoint_step, trainer.alive) == (RunStatus.PAUSED, 7, 0)
    assert '"Resume"' in card(run)
    assert "pause job-1" in trainer.calls

    trainer.submit = submit
    wish(db, run_id, lifecycle.resume)
    assert run_now(run_id).status is RunStatus.QUEUED
    trainer.polled = [trainer.job, finished]
    assert carry("train_local", run_id).status is TaskStatus.DONE
    assert trainer.requests[-1].resume_from.name == "checkpoint-7"
    assert run_now(run_id).status is RunStatus.EVALUATING
    assert trainer.most_alive == 1


def test_a_paused_local_run_is_cancelled_at_once(start, run_now, db):
    run_id = start()
    with db.write() as session:
        run = session.get_one(Run, run_id)
        run.status, run.pause_requested = RunStatus.PAUSED, True
    cancel(db, run_id)
    assert run_now(run_id).status is RunStatus.CANCELLED


def test_a_paused_run_that_is_cancelled_before_the_trainer_stood_still_ends(start, carry, trainer, run_now, db):
    run_id = start()

    def both_meanwhile(_request):
        with db.write() as session:
            session.get_one(Run, run_id).pause_requested = True
        cancel(db, run_id)
        return trainer.job

    trainer.submit = both_meanwhile
    assert carry("train_local", run_id).status is TaskStatus.DONE
    assert run_now(run_id).status is RunStatus.CANCELLED


@pytest.mark.parametrize("provider", ["local", "stub"])
def test_a_run_that_was_cancelled_while_it_waited_is_not_begun(start, carry, trainer, run_now, db, provider):
    run_id = start(provider)
    cancel(db, run_id)
    assert carry("train_local" if provider == "local" else "submit", run_id).status is TaskStatus.DONE
    assert trainer.calls == []
    assert run_now(run_id).status is RunStatus.CANCELLED
