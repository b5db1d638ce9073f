"""Choices of a form that is on somebody's screen, kept here as a view of Slack's carries only little of them."""

import time

from sqlalchemy import delete
from sqlmodel import Session, col

from workers.errors import NotFound
from workers.plans.choices import Choices
from workers.rights import Actor
from workers.tables import PlanDraft

KEEP_SECONDS = 7 * 86_400.0
TOO_OLD = "This form is too old. Close it and open it again: /finetune start"


def keep(session: Session, actor: Actor, choices: Choices) -> int:
    """Keep these choices; returns the id that finds them again. What nobody can have open any more is forgotten."""
    session.execute(delete(PlanDraft).where(col(PlanDraft.created_at) < time.time() - KEEP_SECONDS))
    row = PlanDraft(
        team_id=actor.team_id,
        enterprise_id=actor.enterprise_id,
        channel_id=actor.channel_id,
        creator_id=actor.user_id,
        plan=choices.to_json(),
    )
    session.add(row)
    session.flush()
    assert row.id is not None
    return row.id


def find(session: Session, actor: Actor, draft_id: int) -> Choices:
    """The choices that this person's form has. Raises NotFound."""
    return Choices.from_json(_row(session, actor, draft_id).plan)


def change(session: Session, actor: Actor, draft_id: int, choices: Choices) -> None:
    """Keep these instead. Raises NotFound."""
    row = _row(session, actor, draft_id)
    row.plan = choices.to_json()
    session.add(row)


def _row(session: Session, actor: Actor, draft_id: int) -> PlanDraft:
    row = session.get(PlanDraft, draft_id)
    if row is None or (row.team_id, row.creator_id) != (actor.team_id, actor.user_id):
        raise NotFound(TOO_OLD)
    return row
