"""What runs ask of hosting: begin after training, the names to ask for answers, the end of an evaluation."""

import re

from sqlmodel import Session, col, select

from providers.capabilities import CAPABILITIES
from providers.errors import NotFound
from workers.hosting.models import BASE, TUNED, ask, end, end_of_lease, living, newest, now, stop, why_not
from workers.hosting.owed import is_compared
from workers.runs import division
from workers.tables import Endpoint, EndpointStatus, LeaseStatus, Run


def begin(session: Session, run: Run) -> None:
    """Training succeeded where a tuned model must be hosted: ask for it, and for the base model to compare it with."""
    ask(session, run, TUNED, run.tuned_model or run.model_name)
    if CAPABILITIES[run.provider].base_must_deploy and is_compared(run):
        ask(session, run, BASE, run.base_model)


def chat_names(session: Session, run: Run) -> tuple[str, str]:
    """What questions to the base and to the tuned model must name. Raises providers.errors.NotFound."""
    can = CAPABILITIES[run.provider]
    tuned = _target(session, run, TUNED) if can.must_deploy else run.model_name
    return _target(session, run, BASE) if can.base_must_deploy else run.base_model, tuned


def _target(session: Session, run: Run, purpose: str) -> str:
    row = newest(session, run, purpose, (LeaseStatus.READY,))
    if row is None:
        raise NotFound(why_not(session, run, purpose))
    return row.target


def evaluated(session: Session, run: Run) -> None:
    """The evaluation is over: only the tuned model stays hosted, for its endpoint; its lease begins anew."""
    if not CAPABILITIES[run.provider].must_deploy:
        return
    if division.part_of(run) is not None:
        stop(session, run)
        return
    endpoint = session.exec(
        select(Endpoint).where(Endpoint.run_id == run.id).order_by(col(Endpoint.id).desc()).limit(1)
    ).one()
    endpoint.model = public_name(run)
    tuned = None
    for row in living(session, run):
        if row.purpose == TUNED and row.status is LeaseStatus.READY:
            tuned = row
        else:
            end(session, row)
    if tuned is None:
        endpoint.status = EndpointStatus.ASLEEP
    else:
        tuned.endpoint_id, tuned.extended, tuned.warned_at = endpoint.id, 0, None
        tuned.ends_at = end_of_lease(tuned, now(session), tuned.lease_hours)
        session.add(tuned)
    session.add(endpoint)


def compared(session: Session, run: Run) -> None:
    """The comparison that a ready run owed is made: its base model is not needed any more."""
    for row in living(session, run):
        if row.purpose == BASE:
            end(session, row)


def public_name(run: Run) -> str:
    """What programs name to reach the run's model; deployed again it has another name at the vendor, and this one."""
    return f"{re.sub(r'[^a-z0-9]+', '-', run.name.lower()).strip('-') or 'model'}-{run.id}"
