"""Starting, cancelling and ending runs: rows, tasks and announcements in one transaction."""

import pytest
from sqlmodel import select

from workers.errors import IllegalTransition, InvalidPlan, NotAllowed, NotFound, UserError
from workers.plans import plan
from workers.plans.plan import Choices
from workers.rights import Actor
from workers.run_status import RunStatus
from workers.runs import lifecycle
from workers.settings import Settings
from workers.tables import Announcement, AuditEntry, Dataset, DatasetRole, Run, Task

TUNER = Actor("T1", "U1", "C1")
SETTINGS = Settings()


def add_dataset(session, name="recipes.jsonl", role=DatasetRole.TRAIN, **values):
    row = Dataset(
        team_id="T1", channel_id="C1", creator_id="U1", name=name, sha256=name, storage_key=name, role=role,
        format="openai-chat", method="sft", examples=101, trainable=True, message_ts="1.1",
        report={"epochs": 3, "tokens": {"total": 1000}},
    )  # fmt: skip
    for key, value in values.items():
        setattr(row, key, value)
    session.add(row)
    session.flush()
    return row


@pytest.fixture
def choices(db):
    with db.write() as session:
        add_dataset(session)
        add_dataset(session, "held-out.jsonl", DatasetRole.TEST)
        return plan.propose(session, SETTINGS, TUNER).choices


def test_the_form_comes_filled_in(choices):
    assert (choices.dataset_id, choices.test_dataset_id) == (1, 2)
    assert choices.name == "recipes-v1"
    assert choices.provider == "local"


def test_without_a_dataset_the_form_says_what_to_do(db):
    with db.read() as session:
        form = plan.propose(session, SETTINGS, TUNER)
    assert form.choices is None
    assert "Attach a .jsonl file" in form.problems[0]


def test_another_channels_dataset_is_not_offered(db, choices):
    with db.read() as session:
        assert plan.propose(session, SETTINGS, Actor("T1", "U1", "C2")).datasets == []


def test_starting_twice_with_one_submission_is_starting_once(db, choices):
    for _ in range(2):
        with db.write() as session:
            lifecycle.start(session, SETTINGS, TUNER, choices, "view-1")
    with db.read() as session:
        (run,) = session.exec(select(Run)).all()
        (task,) = session.exec(select(Task)).all()
        (card,) = session.exec(select(Announcement)).all()
        assert len(session.exec(select(AuditEntry)).all()) == 1
    assert run.status is RunStatus.QUEUED
    assert (task.kind, task.queue, task.subject_id) == ("train_local", "gpu", run.id)
    assert (card.kind, card.channel_id) == ("run_card", "C1")
    assert run.cost["steps"] == 78


def test_every_problem_is_named_at_once(db, choices):
    bad = Choices.from_json(
        {**choices.to_json(), "name": "", "knobs": {"epochs": 0, "learning_rate": 5}, "base_model": "../etc"}
    )
    with db.write() as session, pytest.raises(InvalidPlan) as caught:
        lifecycle.start(session, SETTINGS, TUNER, bad, "v")
    assert set(caught.value.problems) == {"name", "epochs", "learning_rate", "base_model"}


def test_the_training_data_is_no_test(db, choices):
    bad = Choices.from_json({**choices.to_json(), "test_dataset_id": choices.dataset_id})
    with db.write() as session, pytest.raises(InvalidPlan) as caught:
        lifecycle.start(session, SETTINGS, TUNER, bad, "v")
    assert "training data itself" in caught.value.problems["test_dataset_id"]


def test_cancelling_what_waits_ends_it_at_once(db, choices):
    with db.write() as session:
        run = lifecycle.start(session, SETTINGS, TUNER, choices, "v")
    with db.write() as session:
        assert lifecycle.cancel(session, TUNER, run.id).status is RunStatus.CANCELLED


def test_cancelling_is_for_the_owner_and_unseen_elsewhere(db, choices):
    with db.write() as session:
        run = lifecycle.start(session, SETTINGS, TUNER, choices, "v")
    with db.write() as session, pytest.raises(NotAllowed):
        lifecycle.cancel(session, Actor("T1", "U2", "C1"), run.id)
    with db.write() as session, pytest.raises(NotFound):
        lifecycle.cancel(session, Actor("T1", "U1", "C9"), run.id)
    with db.write() as session, pytest.raises(NotFound):
        lifecycle.cancel(session, Actor("T2", "U1", "C1"), run.id)


def test_an_ended_run_stays_ended(db, choices):
    with db.write() as session:
        run = lifecycle.start(session, SETTINGS, TUNER, choices, "v")
        lifecycle.fail(session, run, "No.")
    with db.write() as session, pytest.raises(IllegalTransition):
        lifecycle.transition(session, session.get_one(Run, run.id), RunStatus.TRAINING)


@pytest.fixture
def training(db, choices):
    """A run that trains; change its provider for another vendor."""
    with db.write() as session:
        run = lifecycle.start(session, SETTINGS, TUNER, choices, "v")
        for status in (RunStatus.PREPARING, RunStatus.SUBMITTING, RunStatus.TRAINING):
            lifecycle.transition(session, run, status)
        run.next_poll_at = 5e9
        return run.id


def at_vendor(session, run_id, provider):
    run = session.get_one(Run, run_id)
    run.provider = provider
    session.add(run)
    session.flush()


def test_pausing_is_a_wish_that_is_seen_to_at_once(db, training):
    with db.write() as session:
        at_vendor(session, training, "openai")
        run = lifecycle.pause(session, TUNER, training)
        assert (run.status, run.pause_requested, run.next_poll_at) == (RunStatus.TRAINING, True, 0.0)
        lifecycle.pause(session, TUNER, training)
        run = lifecycle.resume(session, TUNER, training)
        assert not run.pause_requested
    with db.read() as session:
        assert [one.verb for one in session.exec(select(AuditEntry))] == ["start", "pause", "resume"]


def test_only_what_can_be_paused_is_paused(db, training):
    with db.write() as session:
        at_vendor(session, training, "azure_ml")
        with pytest.raises(UserError, match="cannot pause"):
            lifecycle.pause(session, TUNER, training)
        at_vendor(session, training, "openai")
        lifecycle.transition(session, session.get_one(Run, training), RunStatus.EVALUATING)
        for act in (lifecycle.pause, lifecycle.resume):
            with pytest.raises(UserError, match="Only a"):
                act(session, TUNER, training)


def test_pausing_is_for_the_owner_and_unseen_elsewhere(db, training):
    for act in (lifecycle.pause, lifecycle.resume):
        with db.write() as session, pytest.raises(NotAllowed):
            act(session, Actor("T1", "U2", "C1"), training)
        with db.write() as session, pytest.raises(NotFound):
            act(session, Actor("T1", "U1", "C9"), training)
        with db.write() as session, pytest.raises(NotFound):
            act(session, Actor("T2", "U1", "C1"), training)


def test_a_local_run_that_goes_on_waits_for_a_worker_again_each_time(db, training):
    for attempt in (1, 2):
        with db.write() as session:
            run = session.get_one(Run, training)
            run.status, run.pause_requested, run.submit_attempt = RunStatus.PAUSED, True, attempt
            session.add(run)
            assert lifecycle.resume(session, TUNER, training).status is RunStatus.QUEUED
    with db.read() as session:
        keys = [one.key for one in session.exec(select(Task).where(Task.kind == "train_local").order_by(Task.id))]
    assert keys == [f"train_local:{training}", f"train_local:{training}:1", f"train_local:{training}:2"]


def test_the_queue_is_this_machines_and_tells_nothing_of_other_workspaces(db, choices):
    def queued(session, key, provider="local", team="T1", status=RunStatus.QUEUED):
        run = Run(team_id=team, name=key, request_key=key, dataset_id=1, provider=provider, base_model="m",
                  method="sft", status=status)  # fmt: skip
        session.add(run)
        session.flush()
        return run

    with db.write() as session:
        for team in ("T1", "T2"):
            queued(session, f"{team}-trains", team=team, status=RunStatus.TRAINING)
            queued(session, f"{team}-over", team=team, status=RunStatus.READY)
            queued(session, f"{team}-there", "openai", team=team)
        assert lifecycle.queue_position(session, queued(session, "here")) == 1
        assert lifecycle.queue_position(session, queued(session, "next")) == 2
        assert lifecycle.queue_position(session, queued(session, "there", "openai")) == 0
