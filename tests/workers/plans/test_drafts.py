"""What a form says is found again by whoever has it open, and by nobody else."""

import pytest
from sqlmodel import select

from workers.errors import NotFound
from workers.plans import drafts
from workers.plans.choices import Choices
from workers.rights import Actor
from workers.tables import PlanDraft

TUNER = Actor("T1", "U1", "C1")
PLAN = Choices(dataset_id=1, name="x", options={"grader": {"source": "é" * 60_000}})


def test_a_large_plan_is_kept_changed_and_found(db):
    with db.write() as session:
        kept = drafts.keep(session, TUNER, PLAN)
    with db.write() as session:
        assert drafts.find(session, TUNER, kept) == PLAN
        drafts.change(session, TUNER, kept, Choices(dataset_id=2))
    with db.read() as session:
        assert drafts.find(session, TUNER, kept).dataset_id == 2


@pytest.mark.parametrize("other", [Actor("T1", "U2", "C1"), Actor("T2", "U1", "C1")])
def test_another_persons_form_is_not_found(db, other):
    with db.write() as session:
        kept = drafts.keep(session, TUNER, PLAN)
    with db.write() as session:
        for ask in (lambda: drafts.find(session, other, kept), lambda: drafts.change(session, other, kept, PLAN)):
            with pytest.raises(NotFound):
                ask()
        with pytest.raises(NotFound):
            drafts.find(session, TUNER, kept + 1)


def test_what_nobody_has_open_any_more_is_forgotten(db):
    with db.write() as session:
        old = drafts.keep(session, TUNER, PLAN)
        session.get(PlanDraft, old).created_at -= drafts.KEEP_SECONDS + 1
    with db.write() as session:
        new = drafts.keep(session, TUNER, Choices(dataset_id=2))
    with db.read() as session:
        assert [one.id for one in session.exec(select(PlanDraft))] == [new]
        assert drafts.find(session, TUNER, new).dataset_id == 2
