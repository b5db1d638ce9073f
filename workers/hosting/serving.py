"""Which name reaches an endpoint's model now, and when it was last asked."""

import structlog
from sqlalchemy import or_, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, select

from workers import tasks
from workers.db import Database
from workers.hosting import models
from workers.hosting.estimate import must_deploy
from workers.tables import Endpoint, HostedModel, LeaseStatus

log = structlog.get_logger()

USE_SECONDS = 60.0
"""`used_at` is as exact as this."""
REDRAW_SECONDS = 600.0
"""How old the time of use on an endpoint's message may be."""


def hosted_for(session: Session, endpoint: Endpoint) -> HostedModel | None:
    """How the endpoint's model is hosted, or was last; None where it needs no hosting."""
    if not must_deploy(endpoint.provider):
        return None
    wanted = select(HostedModel).where(HostedModel.endpoint_id == endpoint.id)
    return session.exec(wanted.order_by(col(HostedModel.id).desc()).limit(1)).one_or_none()


def name_now(session: Session, endpoint: Endpoint) -> str | None:
    """What a question to the endpoint must name now; None while its model is hosted nowhere."""
    if not must_deploy(endpoint.provider):
        return endpoint.model
    wanted = select(HostedModel.target).where(
        HostedModel.endpoint_id == endpoint.id, HostedModel.status == LeaseStatus.READY
    )
    return session.exec(wanted.order_by(col(HostedModel.id).desc()).limit(1)).first()


def used(db: Database, endpoint: Endpoint) -> None:
    """The endpoint is being asked: note it, at most once a minute. That it could not be noted is only logged."""
    if not must_deploy(endpoint.provider):
        return
    try:
        with db.read() as session:
            row = hosted_for(session, endpoint)
            if row is None or (row.used_at is not None and models.now(session) - row.used_at < USE_SECONDS):
                return
        with db.write() as session:
            _note(session, row)
    except SQLAlchemyError as error:
        log.warning("hosted_use_not_noted", endpoint_id=endpoint.id, error=type(error).__name__)


def _note(session: Session, row: HostedModel) -> None:
    at = models.now(session)
    session.execute(
        update(HostedModel)
        .where(
            col(HostedModel.id) == row.id,
            col(HostedModel.status) == LeaseStatus.READY,
            or_(col(HostedModel.used_at).is_(None), col(HostedModel.used_at) < at),
        )
        .values(used_at=at)
        .execution_options(synchronize_session=False)
    )
    if row.used_at is None or at - row.used_at > REDRAW_SECONDS:
        models.redraw(session, row, urgent=False)


def doubt(db: Database, endpoint: Endpoint) -> None:
    """The vendor said that the endpoint's model is not there: have it looked at, at most once a minute."""
    if not must_deploy(endpoint.provider):
        return
    with db.write() as session:
        row = hosted_for(session, endpoint)
        if row is not None and row.status is LeaseStatus.READY:
            ask_for_look(session, row, every=60.0)


def ask_for_look(session: Session, row: HostedModel, *, every: float) -> None:
    """Have the vendor asked whether it is still there, once in `every` seconds."""
    key = f"check_hosted_model:{row.id}:{every:.0f}:{int(models.now(session) / every)}"
    tasks.add(session, "check_hosted_model", row.id or 0, queue="cloud", team_id=row.team_id, key=key)
