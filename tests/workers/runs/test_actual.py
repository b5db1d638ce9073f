"""What a run has really cost: tokens as the vendor counts them, hosting by the hour, the evaluation; or not known."""

import time

import pytest
from sqlmodel import select

from workers.plans.choices import Choices
from workers.run_status import RunStatus
from workers.runs import actual
from workers.tables import Announcement, Dataset, Evaluation, HostedModel, LeaseStatus, Run

MINI = "gpt-4.1-mini-2025-04-14"


def add(session, **values):
    dataset = Dataset(
        team_id="T1", name="d", sha256="s", storage_key="k", format="openai-chat", method="sft", examples=9,
        trainable=True,
    )  # fmt: skip
    session.add(dataset)
    session.flush()
    plan = Choices(dataset_id=dataset.id, options=values.pop("options", {})).to_json()
    fixed = {
        "team_id": "T1", "channel_id": "C1", "name": "r", "status": RunStatus.READY, "request_key": "k",
        "dataset_id": dataset.id, "provider": "openai", "base_model": MINI, "method": "sft", "plan": plan,
        "progress": {"trained_tokens": 1_000_000}, "started_at": 1000.0, "trained_at": 4600.0, "cost": {"dollars": 4.0},
    }  # fmt: skip
    run = Run(**{**fixed, **values})
    session.add(run)
    session.flush()
    return run


def hosted(session, run, **values):
    fixed = {"team_id": "T1", "run_id": run.id, "provider": run.provider, "name": f"m{len(values)}", "model": "x"}
    asked = {"status": LeaseStatus.READY, "asked_at": values.get("ready_at")}
    session.add(HostedModel(**{**fixed, **asked, **values}))


def evaluated(session, run, summary, *, done=True):
    session.add(Evaluation(team_id="T1", run_id=run.id, done=done, summary=summary))


def settled(db, **values):
    with db.write() as session:
        run = add(session, **values)
        actual.settle(session, run)
        return run


def test_each_part_and_the_whole_and_how_it_differs_from_the_plan(db):
    with db.write() as session:
        run = add(session, provider="azure_openai")
        hosted(session, run, ready_at=1000.0, ended_at=8200.0, price_per_hour=1.7)
        hosted(session, run, name="never", price_per_hour=1.7)
        evaluated(session, run, {"words": "w", "spent": {"prompt_tokens": 5, "dollars": 0.02}})
        actual.settle(session, run)
        actual.settle(session, run)
        cards = session.exec(select(Announcement)).all()
    assert run.actual == {
        "trained_tokens": 1_000_000, "training_dollars": 5.0, "hosting_dollars": 3.4, "evaluation_dollars": 0.02,
        "total": pytest.approx(8.42),
    }  # fmt: skip
    assert [(one.slot, one.revision) for one in cards] == [(f"run:{run.id}:card", 1)]
    assert actual.words(run) == (
        "cost $8.42, without chat: training $5.00 (1,000,000 tokens), hosting $3.40, evaluation $0.02; training was "
        "estimated at $4.00, it was $1.00 more"
    )


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("values", "training", "words"),
    [
        ({"options": {"training_tier": "developerTier"}, "provider": "azure_openai", "cost": {}}, 2.5, "$2.50"),
        ({"cost": {"dollars": 5.1}}, 5.0, "training as estimated"),
        ({"base_model": "gpt-9"}, None, "cost not known as a whole: training not known (1,000,000 tokens)"),
        (
            {"progress": {}, "provider": "azure_ml", "base_model": "Ministral-3B", "cost": {"dollars": 0.04}},
            None,
            "training not known (Azure Machine Learning does not say how many tokens it has trained); training was est",
        ),
        ({"base_model": "gpt-9", "progress": {}}, None, "training not known; training was estimated at $4.00"),
        ({"progress": {"trained_tokens": float("inf")}}, None, "not known"),
        ({"base_model": "o4-mini-2025-04-16", "cost": {}}, 100.0, "$100.00"),
        ({"base_model": "o4-mini-2025-04-16", "trained_at": None}, None, "not known"),
        ({"started_at": None, "progress": {}}, 0.0, ""),
    ],
)
def test_training_by_tier_by_the_hour_and_where_it_is_not_known(db, values, training, words):
    run = settled(db, **values)
    assert run.actual["training_dollars"] == training
    assert words in actual.words(run)
    assert (run.actual["total"] is None) is (training is None)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_what_is_still_hosted_counts_until_now_and_an_unknown_hour_is_said(db):
    with db.write() as session:
        run = add(session)
        hosted(session, run, ready_at=time.time() - 7200, price_per_hour=1.0)
        actual.settle(session, run)
        assert run.actual["hosting_dollars"] == pytest.approx(2.0, abs=0.01)
        hosted(session, run, name="b", ready_at=1.0, price_per_hour=None)
        actual.settle(session, run)
    assert run.actual["hosting_dollars"] is None
    assert "hosting not known" in actual.words(run)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("summary", "done", "dollars"),
    [
        ({}, False, 0.0),
        ({"problem": "p"}, True, 0.0),
        ({"words": "w"}, True, None),
        ({"words": "w", "spent": {"dollars": None}}, True, None),
        ({"problem": "p", "spent": {"dollars": 0.5}}, True, 0.5),
        ({"words": "w", "spent": 0.25}, True, 0.25),
    ],
)
def test_the_evaluations_part(db, summary, done, dollars):
    with db.write() as session:
        run = add(session)
        evaluated(session, run, summary, done=done)
        actual.settle(session, run)
    assert run.actual["evaluation_dollars"] == dollars


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_here_it_is_free_and_nothing_is_said(db):
    run = settled(db, provider="local")
    assert (run.actual, actual.words(run)) == ({}, "")


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_so_far_is_said_while_something_may_still_cost(db):
    with db.write() as session:
        run = add(session, provider="azure_openai", status=RunStatus.EVALUATING)
        actual.settle(session, run)
        assert actual.words(run).startswith("cost $5.00 so far: training")
        run.status = RunStatus.READY
        assert actual.words(run).startswith("cost $5.00, without chat: training")
        hosted(session, run, name="free", asked_at=1000.0, ready_at=1000.0, price_per_hour=0.0)
        actual.settle(session, run)
        assert actual.words(run).startswith("cost $5.00 so far, without chat: training")
        row = session.exec(select(HostedModel)).one()
        row.status, row.ended_at = LeaseStatus.ENDED, 8200.0
        actual.settle(session, run)
        cards = session.exec(select(Announcement)).all()
    assert actual.words(run).startswith("cost $5.00, without chat: training")
    assert [one.revision for one in cards] == [3]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("provider", "cost", "words"),
    [
        ("openai", {"total": 7.5, "price": "$5.00 to train"}, "planned for about $7.50 in all"),
        ("openai", {"total": 0.001}, "planned for under $0.01 in all"),
        ("openai", {"total": None, "price": "price unknown"}, "price unknown"),
        ("local", {"total": 0.0, "price": "$0 (runs on your own machine)"}, "$0 (runs on your own machine)"),
        ("openai", {}, ""),
    ],
)
def test_until_then_it_is_what_the_plan_said(db, provider, cost, words):
    with db.write() as session:
        assert actual.planned(add(session, provider=provider, cost=cost)) == words


@pytest.mark.parametrize(
    ("values", "dollars"),
    [
        ({"asked_at": 1000.0, "ready_at": 4600.0, "ended_at": 8200.0}, 3.4),  # as the vendor bills it
        ({"asked_at": None, "ended_at": 8200.0, "status": LeaseStatus.FAILED}, 0.0),  # it never heard of it
        ({"asked_at": 1000.0, "ended_at": 8200.0, "status": LeaseStatus.FAILED}, None),
        ({"asked_at": 1000.0, "status": LeaseStatus.ENDING}, None),
        ({"asked_at": 1000.0, "ended_at": 8200.0, "status": LeaseStatus.FAILED, "price_per_hour": 0.0}, 0.0),
        ({"asked_at": 1000.0, "ready_at": 1000.0, "price_per_hour": None}, None),
    ],
)
def test_hosting_counts_from_when_the_vendor_was_asked(db, values, dollars):
    with db.write() as session:
        run = add(session, provider="azure_openai")
        hosted(session, run, **{"price_per_hour": 1.7, "ready_at": None, **values})
        actual.settle(session, run)
    assert run.actual["hosting_dollars"] == dollars
    assert (run.actual["total"] is None) is (dollars is None)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_what_is_being_made_counts_until_now(db):
    with db.write() as session:
        run = add(session, provider="azure_openai")
        hosted(session, run, asked_at=time.time() - 1800, price_per_hour=2.0, status=LeaseStatus.CREATING)
        actual.settle(session, run)
    assert run.actual["hosting_dollars"] == pytest.approx(1.0, abs=0.01)
