"""Time: a lease is warned of, lengthened while its model is in use, and ended; what was left behind is found.

Called by the dispatcher every half a minute. No network: what must be said to a vendor becomes a task.
"""

from collections.abc import Callable

import structlog
from sqlalchemy import func, or_
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from workers import announcements
from workers.hosting import models, serving
from workers.run_status import RunStatus
from workers.runs import lifecycle
from workers.settings import Settings
from workers.tables import Endpoint, EndpointStatus, HostedModel, LeaseStatus, Run, Task

log = structlog.get_logger()

BATCH = 100
IN_USE_SECONDS = 1800.0
"""A model that was asked so recently is in use when its lease ends."""
MOST_HOURS_MORE = 24
LOOK_SECONDS = 3600.0
"""How often a vendor is asked whether a model that we believe to be hosted is there."""
AT_WORK = (RunStatus.DEPLOYING, RunStatus.EVALUATING)


def tend(session: Session, settings: Settings) -> None:
    """Everything about hosting that time or somebody's crash calls for. Bounded; several may run at once."""
    at, ahead = models.now(session), settings.hosting_warning_minutes * 60.0
    due = select(HostedModel).where(HostedModel.status == LeaseStatus.READY, col(HostedModel.ends_at) <= at + ahead)
    _each(session, due.order_by(col(HostedModel.ends_at)), lambda run, row: _tend_lease(session, run, row, at, ahead))
    _end_what_nobody_wants(session)
    _find_lost_tasks(session)
    looked = func.coalesce(HostedModel.looked_at, HostedModel.ready_at)
    old = select(HostedModel).where(HostedModel.status == LeaseStatus.READY, looked < at - LOOK_SECONDS)
    _each(session, old.order_by(looked, col(HostedModel.id)), lambda _, row: _look(session, row, at))


def _each(session: Session, wanted: SelectOfScalar[HostedModel], act: Callable[[Run, HostedModel], None]) -> None:
    """Do this to the rows as they are now, each locked after its run; what somebody else works on is left to them.

    What breaks at one of them is logged and undone, and does not keep the others from it.
    """
    found = session.execute(wanted.with_only_columns(col(HostedModel.id), col(HostedModel.run_id)).limit(BATCH)).all()
    for hosted_id, run_id in found:
        try:
            with session.begin_nested():
                asked = select(Run).where(Run.id == run_id).with_for_update(skip_locked=True)
                run = session.exec(asked).one_or_none()
                if run is not None:
                    session.refresh(run)
                    act(run, session.get_one(HostedModel, hosted_id, with_for_update=True))
        except OperationalError:
            raise  # the database is away
        except Exception:  # the edge of one row: the others may cost by the hour
            log.exception("hosted_model_not_tended", hosted_id=hosted_id)


def _look(session: Session, row: HostedModel, at: float) -> None:
    if row.status is LeaseStatus.READY:
        row.looked_at = at
        session.add(row)
        serving.ask_for_look(session, row, every=LOOK_SECONDS)


def _tend_lease(session: Session, run: Run, row: HostedModel, at: float, ahead: float) -> None:
    if row.status is not LeaseStatus.READY:
        return
    assert row.ends_at is not None
    if run.status in AT_WORK:
        if row.ends_at <= at:
            _lengthen_or_end(session, run, row, at, in_use=True)
        return
    if row.ends_at <= at:
        _lengthen_or_end(session, run, row, at, in_use=_is_in_use(row, at))
    elif row.warned_at is None and row.ends_at - at <= min(ahead, row.lease_hours * 3600.0 / 4):
        row.warned_at = at
        session.add(row)
        models.warn(session, run, row, models.warning_slot(row))


def _is_in_use(row: HostedModel, at: float) -> bool:
    return row.used_at is not None and at - row.used_at <= IN_USE_SECONDS


def _lengthen_or_end(session: Session, run: Run, row: HostedModel, at: float, *, in_use: bool) -> None:
    assert row.ends_at is not None
    longer = models.end_of_lease(row, at, 1.0)
    if in_use and row.extended < MOST_HOURS_MORE and longer > at:
        row.ends_at, row.extended = longer, row.extended + 1
        session.add(row)
        if row.warned_at is not None:
            models.warn(session, run, row, models.warning_slot(row))
        models.redraw(session, row)
        return
    models.end(session, row)
    if row.warned_at is not None:
        models.warn(session, run, row, models.warning_slot(row))
    if row.endpoint_id is not None:
        why = _why(row, in_use=in_use)
        tell_asleep(session, session.get_one(Endpoint, row.endpoint_id), f"hosted:{row.id}:ended", why)
    if run.status in AT_WORK:
        lifecycle.note(
            session, run, f"hosting-{row.id}-ended", "Hosting ended before the comparison did: it took a day."
        )


def _why(row: HostedModel, *, in_use: bool) -> str:
    if row.lives_until is not None and (row.ends_at or 0.0) >= row.lives_until:
        return "The vendor lets a deployment of this kind live no longer, so it is deleted."
    if in_use:
        return f"It was lengthened {MOST_HOURS_MORE} times by an hour because it was in use; now it is deleted."
    return "It was not used in the last half an hour, and its time is over, so it is being deleted at the vendor."


def tell_asleep(session: Session, endpoint: Endpoint, slot: str, why: str, *, thread_ts: str = "") -> None:
    """Say in the thread that nobody answers there, why, and how to wake the model."""
    run = session.get_one(Run, endpoint.run_id)
    announcements.post(
        session,
        owner=endpoint,
        slot=slot,
        kind="hosting_asleep",
        subject_id=endpoint.id,
        data={"why": why},
        thread_slot="" if thread_ts else lifecycle.thread_slot(run),
        thread_ts=thread_ts,
    )


def _end_what_nobody_wants(session: Session) -> None:
    """Models of runs that ended without them, however they ended, and endpoints' that were deleted."""
    over = (RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.CANCELLING)
    unwanted = or_(col(Run.status).in_(over), col(Endpoint.status) == EndpointStatus.DELETED)
    found = (
        select(HostedModel)
        .join(Run, col(Run.id) == col(HostedModel.run_id))
        .outerjoin(Endpoint, col(Endpoint.id) == col(HostedModel.endpoint_id))
        .where(col(HostedModel.status).in_(models.LIVING), unwanted)
        .order_by(col(HostedModel.id))
    )

    def end(run: Run, row: HostedModel) -> None:
        if run.status is RunStatus.CANCELLING:
            models.go_on(session, run)
        else:
            models.end(session, row)

    _each(session, found, end)


def _find_lost_tasks(session: Session) -> None:
    """What is to be said to a vendor has a task that is not given up, whatever became of the first one."""
    tasked = select(Task.id).where(
        Task.subject_id == HostedModel.id,
        col(Task.kind).in_(["host_model", "unhost_model"]),
        col(Task.status).in_(models.UNFINISHED),
    )
    waiting = (*models.COMING, LeaseStatus.ENDING)
    found = select(HostedModel).where(col(HostedModel.status).in_(waiting), ~tasked.exists())
    lost = "What should have asked the vendor was lost because of a fault on our side."

    def ask_again(run: Run, row: HostedModel) -> None:
        if row.status is LeaseStatus.ENDING:
            models.ask_for_end(session, row)
        else:
            models.failed(session, run, row, lost)

    _each(session, found.order_by(col(HostedModel.id)), ask_again)
