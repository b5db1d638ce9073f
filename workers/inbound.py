"""What Slack delivers, counted once: redeliveries of the same event find its key already there."""

from sqlmodel import Session

from workers.tables import InboundEvent


def first_time(session: Session, team_id: str, key: str) -> bool:
    """Record `key` in this transaction. False if it was recorded before."""
    name = f"{team_id}:{key}"
    if session.get(InboundEvent, name) is not None:
        return False
    session.add(InboundEvent(key=name, team_id=team_id))
    session.flush()  # a concurrent twin on PostgreSQL fails here, and its redelivery finds the key
    return True
