"""What Slack delivers, counted once: redeliveries of the same event find its key already there."""

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from workers.tables import InboundEvent


def first_time(session: Session, team_id: str, key: str) -> bool:
    """Record `key` in this transaction. False if it was recorded before."""
    name = f"{team_id}:{key}"
    if session.get(InboundEvent, name) is not None:
        return False
    try:
        with session.begin_nested():
            session.add(InboundEvent(key=name, team_id=team_id))
    except IntegrityError:  # a concurrent twin on PostgreSQL was first, and has committed
        return False
    return True
