"""A run's card as things are now, for its message and for whoever asks for it."""

from sqlmodel import Session, col, select

from bot.blocks import run_card
from bot.blocks.elements import Drawn
from workers.run_status import RunStatus
from workers.runs import lifecycle
from workers.tables import Endpoint, Run


def shown(session: Session, run: Run) -> Drawn:
    """The card with its place in the queue, and with whether its model answers."""
    ahead = lifecycle.queue_position(session, run) if run.status is RunStatus.QUEUED else 0
    own = select(Endpoint).where(Endpoint.run_id == run.id).order_by(col(Endpoint.id).desc()).limit(1)
    endpoint = session.exec(own).first() if run.status is RunStatus.READY else None
    return run_card.draw(run, ahead=ahead, endpoint=endpoint)
