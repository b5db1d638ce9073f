"""A provider job's news on the run: figures, history, and the card that follows."""

from dataclasses import replace

import pytest
from sqlmodel import select

from providers.base import MetricPoint, ProviderEvent, ProviderJob, ProviderJobStatus
from workers.run_status import RunStatus
from workers.runs import progress
from workers.tables import Announcement, Dataset, Run, RunEvent, RunMetric, Task

JOB = ProviderJob("job-1", ProviderJobStatus.RUNNING, vendor_status="running", stage="training")


@pytest.fixture
def run(db):
    with db.write() as session:
        dataset = Dataset(
            team_id="T1", channel_id="C1", name="a", sha256="a", storage_key="a", format="openai-chat", method="sft",
            examples=9, trainable=True,
        )  # fmt: skip
        session.add(dataset)
        session.flush()
        row = Run(
            team_id="T1", channel_id="C1", creator_id="U1", name="recipes", status=RunStatus.TRAINING, request_key="k",
            dataset_id=dataset.id, provider="local", base_model="m", method="sft", submit_attempt=1,
        )  # fmt: skip
        session.add(row)
        session.flush()
        return row


def record(db, run, job, attempt=1):
    with db.write() as session:
        row = session.get_one(Run, run.id)
        row.submit_attempt = attempt
        progress.record(session, row, job)
        return row


def rows(db, table):
    with db.read() as session:
        return session.exec(select(table)).all()


def test_figures_come_together_from_many_polls(db, run):
    points = [MetricPoint(1, 0.1, 3.0, learning_rate=1e-4), MetricPoint(2, 0.2, 2.0, validation_loss=2.2)]
    record(db, run, replace(JOB, step=2, total_steps=20, eta_seconds=99.0, metrics=points, cursor="2"))
    row = record(db, run, replace(JOB, step=3, eta_seconds=None, metrics=[MetricPoint(3, 0.3, 1.0)], cursor="3"))
    assert row.poll_cursor == "3"
    assert row.progress == {
        "stage": "training", "vendor_status": "running", "step": 3, "total_steps": 20, "eta_seconds": 99.0,
        "epoch": 0.3, "loss": 1.0, "first_loss": 3.0, "validation_loss": 2.2, "learning_rate": 1e-4,
    }  # fmt: skip
    assert [(one.step, one.loss) for one in rows(db, RunMetric)] == [(1, 3.0), (2, 2.0), (3, 1.0)]


def test_the_card_is_redrawn_only_for_news_and_in_its_turn(db, run):
    for _ in range(3):
        record(db, run, replace(JOB, step=1))
    (card,) = rows(db, Announcement)
    assert (card.kind, card.revision, card.urgent) == ("run_card", 1, False)
    record(db, run, replace(JOB, step=2))
    assert rows(db, Announcement)[0].revision == 2


def test_a_resumed_attempt_overwrites_the_steps_it_repeats(db, run):
    record(db, run, replace(JOB, metrics=[MetricPoint(1, loss=3.0), MetricPoint(2, loss=2.0)]))
    record(db, run, replace(JOB, metrics=[MetricPoint(2, loss=2.5)]), attempt=2)
    assert [(one.step, one.attempt, one.loss) for one in rows(db, RunMetric)] == [(1, 1, 3.0), (2, 2, 2.5)]


def test_figures_that_are_no_numbers_are_not_shown(db, run):
    row = record(
        db, run, replace(JOB, eta_seconds=float("inf"), metrics=[MetricPoint(1, loss=float("nan"), memory_bytes=2**40)])
    )
    assert row.progress == {
        "stage": "training", "vendor_status": "running", "step": 0, "memory_bytes": 2**40
    }  # fmt: skip
    (metric,) = rows(db, RunMetric)
    assert (metric.loss, metric.memory_bytes) == (None, 2**40)


def test_the_providers_own_lines_are_kept_and_cut(db, run):
    events = [ProviderEvent("1", 5.0, "warning", "slow\x00"), ProviderEvent("2", 6.0, "info", "x" * 9000)]
    record(db, run, replace(JOB, events=events))
    kept = rows(db, RunEvent)
    assert [(one.at, one.kind, len(one.message)) for one in kept] == [
        (5.0, "provider_warning", 4), (6.0, "provider_info", 2000)
    ]  # fmt: skip


def test_after_the_training_the_curve_and_the_evaluation(db, run):
    record(db, run, replace(JOB, metrics=[MetricPoint(1, loss=2.0)]))
    with db.write() as session:
        progress.trained(session, session.get_one(Run, run.id))
    (row,) = rows(db, Run)
    assert (row.status, row.progress["stage"]) == (RunStatus.EVALUATING, "")
    assert row.trained_at
    assert {one.kind for one in rows(db, Announcement)} == {"run_card", "loss_curve"}
    assert [(one.kind, one.queue, one.subject_id) for one in rows(db, Task)] == [("evaluate", "cpu", run.id)]


def test_without_a_loss_there_is_no_curve(db, run):
    record(db, run, replace(JOB, metrics=[MetricPoint(1, epoch=0.5)]))
    with db.write() as session:
        progress.trained(session, session.get_one(Run, run.id))
    assert {one.kind for one in rows(db, Announcement)} == {"run_card"}


@pytest.mark.parametrize(("provider", "told"), [("local", 1), ("openai", 0)])
def test_what_our_own_trainer_says_is_said_in_the_thread_once(db, run, provider, told):
    with db.write() as session:
        session.get_one(Run, run.id).provider = provider
    event = ProviderEvent("memory", 1.0, "warning", "The memory did not hold a batch.")
    record(db, run, replace(JOB, events=[event]))
    record(db, run, replace(JOB, events=[event]), attempt=2)
    with db.read() as session:
        notes = session.exec(select(Announcement).where(Announcement.kind == "note")).all()
    assert [note.data["text"] for note in notes] == ["The memory did not hold a batch."] * told
