"""A comparison that a run still owes, as one of its models could not be asked: made when it is deployed again."""

from typing import Any

from sqlmodel import Session, select

from providers.capabilities import CAPABILITIES
from workers.hosting.estimate import BY_TOKEN, must_deploy
from workers.plans.billing import about
from workers.plans.choices import Choices, TestOn
from workers.run_status import RunStatus
from workers.runs import division
from workers.tables import Endpoint, Evaluation, Run

LATER = "Once it is deployed again, both models are compared after all."


def is_compared(run: Run) -> bool:
    """Whether the run's own models are to be compared; those of a cross-checked run's short runs are instead."""
    choices = Choices.from_json(run.plan)
    if choices.cross_checked and division.part_of(run) is None:
        return False
    return run.test_dataset_id is not None or choices.test_on is not TestOn.NOTHING


def unmade(run: Run, problem: str) -> dict[str, Any]:
    """The summary of a comparison that came to nothing, and whether it can be made up for."""
    if not must_deploy(run.provider) or division.part_of(run) is not None or not is_compared(run):
        return {"problem": problem}
    return {"problem": f"{problem} {LATER}", "owed": True}


def is_owed(session: Session, run: Run) -> bool:
    """Whether the run is ready but for its comparison, which can be made once its model is deployed again."""
    if run.status is not RunStatus.READY:
        return False
    kept = session.exec(select(Evaluation).where(Evaluation.run_id == run.id)).one_or_none()
    return kept is not None and bool(kept.summary.get("owed"))


def words(session: Session, run: Run) -> str:
    """What is compared once the model is deployed again, and for what price; empty where nothing is owed."""
    if not is_owed(session, run):
        return ""
    answers, dollars = run.cost.get("answers"), run.cost.get("answers_dollars")
    priced = f"{answers:,} answers, " if answers else ""
    cost = "price unknown" if not answers or dollars is None else about(dollars)
    base_by_hour = CAPABILITIES[run.provider].base_must_deploy and run.provider not in BY_TOKEN
    beside = "; the base model is hosted meanwhile" if base_by_hour else ""
    return f"Both models are then compared, as was planned: {priced}{cost}{beside}."


def words_of(session: Session, endpoint: Endpoint) -> str:
    """The same for an endpoint; empty for one that belongs to no run's end, such as a checkpoint's."""
    return words(session, session.get_one(Run, endpoint.run_id)) if endpoint.run_id is not None else ""
