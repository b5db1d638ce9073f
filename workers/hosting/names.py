"""Names of deployments: never used twice, and marked as this installation's own, as several may share an account."""

import hashlib
import secrets

from sqlmodel import Session, col, select

from workers.tables import Run

MARK_DIGITS = 6
"""With it a name has at most the 32 characters that Azure Machine Learning takes."""


def new(session: Session, run: Run, purpose: str) -> str:
    """A name for a deployment of the run's model."""
    return f"{beginning(session)}r{run.id}-{purpose[0]}-{secrets.token_hex(4)}"


def beginning(session: Session) -> str:
    """How the names of this installation's deployments begin; "" before its first run.

    The mark is made of that first run, which all hosts of an installation have in their database.
    """
    first = session.exec(select(Run).order_by(col(Run.id)).limit(1)).one_or_none()
    if first is None:
        return ""
    own = hashlib.sha256(f"{first.team_id}:{first.request_key}:{first.created_at!r}".encode()).hexdigest()
    return f"ftb-{own[:MARK_DIGITS]}-"
