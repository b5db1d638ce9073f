"""What an installation says of its newest finished run."""

import pytest

from bot import launch
from workers.errors import SetupProblem
from workers.plans import cost
from workers.plans.choices import Choices, TestOn
from workers.run_status import RunStatus
from workers.runs.lifecycle import PART
from workers.settings import Settings
from workers.tables import Dataset, Evaluation, Run

pytestmark = pytest.mark.parametrize("db", ["sqlite"], indirect=True)
SUMMARY = {"examples": 9, "base": {}, "tuned": {}, "answers": []}


@pytest.fixture
def finish(db):
    """A run that has ended well, by these choices; `part`: a short one of a cross-check."""

    def make(key="k", summary=SUMMARY, **choices):
        with db.write() as session:
            row = Dataset(
                team_id="T1", name="d", sha256="d", storage_key="d", format="openai-chat", method="sft", examples=100,
                trainable=True, report={"tokens": {"total": 1000}},
            )  # fmt: skip
            session.add(row)
            session.flush()
            plan = Choices(row.id, base_model="m", **choices)
            run = Run(
                team_id="T1", name="r", request_key=key, dataset_id=row.id, provider="local", base_model="m",
                method="sft", status=RunStatus.READY, plan=plan.to_json(),
                cost=cost.estimate(session, Settings(), plan).to_json(),
            )  # fmt: skip
            session.add(run)
            session.flush()
            session.add(Evaluation(team_id="T1", run_id=run.id, summary=summary))

    return make


@pytest.mark.parametrize(("test_on", "learnt"), [("held-out", 80), ("nothing", 100), ("cross-check", 100)])
def test_how_many_were_learnt_from_is_what_the_run_says(db, finish, test_on, learnt):
    finish(test_on=TestOn(test_on))
    finish(key=f"k{PART}0", summary={"problem": "a short run"})
    with db.read() as session:
        assert launch._figures(session)["examples"] == {"train": learnt, "test": 9}


def test_no_run_has_figures_that_did_not_come_to_its_end(db, finish):
    with db.read() as session, pytest.raises(SetupProblem, match="No run"):
        launch._figures(session)
    finish(summary={"problem": "Nothing was held out."})
    with db.read() as session, pytest.raises(SetupProblem, match="Nothing was held out"):
        launch._figures(session)
