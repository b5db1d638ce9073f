"""A cross-checked run: three short runs test the plan on every example; the model kept has learnt from all."""

import json
from dataclasses import replace

import pytest
from sqlmodel import select

from providers.base import ProviderJobStatus
from tests.workers.jobs.conftest import TUNER
from workers.jobs import following
from workers.plans import plan
from workers.plans.choices import Choices, TestOn
from workers.run_status import RunStatus
from workers.runs import comparison, division, lifecycle
from workers.tables import Announcement, Dataset, Endpoint, Evaluation, Run, TaskStatus

pytestmark = pytest.mark.parametrize("db", ["sqlite"], indirect=True)
COUNT = 20
NOTHING = {"prompt_tokens": 0, "completion_tokens": 0, "dollars": 0.0}


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(following, "WRITE_SECONDS", 0.0)


def rows(db, table):
    with db.read() as session:
        return session.exec(select(table).order_by(table.id)).all()


@pytest.fixture
def runs(db, context, upload, carry):
    """Start it on twenty examples. Returns the run and its three short runs."""
    records = [
        {"messages": [{"role": "user", "content": f"q{one}"}, {"role": "assistant", "content": f"answer {one} is so"}]}
        for one in range(COUNT)
    ]
    uploaded = upload("".join(json.dumps(one) + "\n" for one in records).encode(), "few.jsonl")
    assert carry("check_dataset", uploaded).status is TaskStatus.DONE
    with db.write() as session:
        dataset = session.exec(select(Dataset)).one()
        choices = plan.propose(session, context.settings, TUNER).choices
        assert (choices.dataset_id, choices.test_on) == (dataset.id, TestOn.NOTHING)
        chosen = replace(choices, test_on=TestOn.CROSS_CHECK)
        run = lifecycle.start(session, context.settings, TUNER, chosen, "form-1")
        assert lifecycle.start(session, context.settings, TUNER, chosen, "form-1").id == run.id
        return run, lifecycle.parts(session, run)


@pytest.fixture
def train(trainer, carry, tmp_path):
    """Train a run to its end. Returns the questions that it learnt from."""
    folder = tmp_path / "trained"
    folder.mkdir()
    (folder / "adapter.safetensors").write_bytes(b"weights")

    def to_the_end(run):
        done = replace(trainer.job, status=ProviderJobStatus.SUCCEEDED, step=9, tuned_model=str(folder), cursor="9")
        trainer.polled = [done]
        assert carry("train_local", run.id).status is TaskStatus.DONE
        return {line["messages"][0]["content"] for line in trainer.lines}

    return to_the_end


def test_every_example_is_answered_by_a_run_that_has_not_learnt_from_it(
    db, context, runs, train, carry, talker, run_now
):
    run, parts = runs
    assert [part.name for part in parts] == [f"few-v1, part {number} of 3" for number in (1, 2, 3)]
    assert len(train(run)) == COUNT
    waiting = carry("evaluate", run.id)
    assert (waiting.status, waiting.crashes) == (TaskStatus.QUEUED, 0)
    assert run_now(run.id).progress["stage"] == "cross-checking: 0 of 3 short runs have ended"

    learnt = {}
    talker.say = lambda model, question: f"answer {question[1:]} is so" if "part" in model else "no idea"
    for part in parts:
        learnt[part.model_name] = train(part)
        assert carry("evaluate", part.id).status is TaskStatus.DONE
        assert run_now(part.id).status is RunStatus.READY
    asked = [(one.model, one.messages[-1].content) for one in talker.asked]
    assert sorted(question for model, question in asked if model in learnt) == sorted(f"q{n}" for n in range(COUNT))
    assert all(question not in learnt[model] for model, question in asked if model in learnt)
    assert [len(one) for one in learnt.values()] in ([13, 13, 14], [13, 14, 13], [14, 13, 13])

    assert carry("evaluate", run.id).status is TaskStatus.DONE
    assert len(talker.asked) == 2 * COUNT
    summary = next(one.summary for one in rows(db, Evaluation) if one.run_id == run.id)
    assert (summary["examples"], summary["verdict"], summary["tuned"]["f1"]) == (COUNT, "better", 1)
    assert summary["words"].endswith(comparison.CHECKED)
    assert run_now(run.id).status is RunStatus.READY
    assert [one.run_id for one in rows(db, Endpoint)] == [run.id]
    kept = [one.name for one in context.settings.models_folder.iterdir()]
    assert kept == [run.model_name]
    assert [key for key in context.storage.list("models") if not key.startswith(f"models/{run.id}/")] == []


def test_the_short_runs_are_told_of_in_one_thread(db, context, runs, train, carry):
    run, parts = runs
    train(parts[0])
    by_slot = {one.slot: one for one in rows(db, Announcement)}
    card = lifecycle.card_slot(run)
    assert by_slot[card].thread_slot == ""
    assert [by_slot[lifecycle.card_slot(part)].thread_slot for part in parts] == [card] * 3
    assert not any(one.kind == "loss_curve" for one in by_slot.values())
    with db.read() as session:
        assert [one.id for one in lifecycle.visible(session, TUNER)] == [run.id]


def test_cancelling_it_cancels_its_short_runs(db, runs, train, run_now):
    run, parts = runs
    train(parts[0])
    with db.write() as session:
        lifecycle.cancel(session, TUNER, run.id)
    assert run_now(run.id).status is RunStatus.CANCELLED
    assert [run_now(part.id).status for part in parts] == [
        RunStatus.CANCELLING, RunStatus.CANCELLED, RunStatus.CANCELLED
    ]  # fmt: skip


def test_if_it_fails_there_is_nothing_to_check(db, runs, run_now):
    run, parts = runs
    with db.write() as session:
        lifecycle.fail(session, session.get_one(Run, run.id), "Out of memory.")
    assert {run_now(part.id).status for part in parts} == {RunStatus.CANCELLED}


def test_a_short_run_that_does_not_come_to_its_end_leaves_a_model_and_no_claim(db, runs, train, carry, run_now):
    run, parts = runs
    train(run)
    with db.write() as session:
        for part in parts:
            lifecycle.cancel(session, TUNER, part.id)
    assert carry("evaluate", run.id).status is TaskStatus.DONE
    assert rows(db, Evaluation)[0].summary == {"problem": comparison.CHECK_FAILED, "spent": NOTHING}
    assert run_now(run.id).status is RunStatus.READY
    assert [one.run_id for one in rows(db, Endpoint)] == [run.id]


def test_without_a_test_the_evaluation_says_what_cannot_be_claimed(db, context, runs, train, carry, run_now, talker):
    with db.write() as session:
        dataset = session.exec(select(Dataset)).one()
        choices = Choices(dataset_id=dataset.id, name="x", test_on=TestOn.NOTHING, base_model="smollm2-135m-instruct")
        run = lifecycle.start(session, context.settings, TUNER, choices, "form-2")
    train(run)
    assert carry("evaluate", run.id).status is TaskStatus.DONE
    assert [one.summary for one in rows(db, Evaluation)] == [{"problem": division.NO_TEST, "spent": NOTHING}]
    assert run_now(run.id).status is RunStatus.READY
    assert talker.asked == []
