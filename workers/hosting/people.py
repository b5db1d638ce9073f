"""The buttons of a hosted model: keep it, host it longer, end it now, deploy it again. Rights are asked each time."""

from sqlmodel import Session, col, select

from providers import prices
from providers.capabilities import CAPABILITIES
from providers.prices import Price
from workers import announcements
from workers.errors import NotFound
from workers.hosting import models
from workers.hosting.owed import is_owed
from workers.rights import Actor, Verb, allowed, require
from workers.runs import lifecycle
from workers.tables import AuditEntry, Endpoint, EndpointStatus, HostedModel, LeaseStatus, Run

KEEP_HOURS = 24.0
SAME_CLICK_SECONDS = 300.0
"""Kept again so soon, the lease does not change."""


def keep(session: Session, actor: Actor, hosted_id: int, hours: float = KEEP_HOURS) -> HostedModel:
    """Keep a model hosted for so long from now at least. Raises NotFound, NotAllowed."""
    row, run = _found(session, actor, hosted_id)
    if row.status is not LeaseStatus.READY:
        raise NotFound("This deployment is over already. Deploy the model again from its thread.")
    at = models.now(session)
    until = models.end_of_lease(row, at, hours)
    if until > (row.ends_at or 0.0) + SAME_CLICK_SECONDS:
        slot, warned = models.warning_slot(row), row.warned_at is not None
        row.ends_at, row.warned_at, row.extended = until, None, 0
        session.add(row)
        if warned:
            models.warn(session, run, row, slot)
        _audit(session, actor, "keep_hosted", row)
        models.redraw(session, row)
    return row


def is_at_vendors_end(row: HostedModel) -> bool:
    """Whether it is hosted for as long as the vendor lets it live, so that nobody can keep it longer."""
    return row.lives_until is not None and (row.ends_at or 0.0) + SAME_CLICK_SECONDS >= row.lives_until


def longer_tier(session: Session, row: HostedModel) -> Price | None:
    """The cheapest tier by the hour, for what the vendor itself would end where it is hosted now; None without any."""
    is_ready = row.status is LeaseStatus.READY and row.purpose == models.TUNED and row.endpoint_id is not None
    if row.lives_until is None or not is_ready:
        return None
    base_model = session.get_one(Run, row.run_id).base_model
    return prices.cheapest_hosting(row.provider, base_model, above=row.price_per_hour or 0.0)


def host_longer(session: Session, actor: Actor, hosted_id: int) -> HostedModel:
    """Host what the vendor would end in a tier by the hour instead, anew. Raises NotFound, NotAllowed."""
    row, run = _found(session, actor, hosted_id)
    price = longer_tier(session, row)
    if price is None or row.endpoint_id is None:
        raise NotFound("This deployment is over already, or there is no other way to host it.")
    endpoint = session.get_one(Endpoint, row.endpoint_id, with_for_update=True)
    models.end(session, row)
    if row.warned_at is not None:
        models.warn(session, run, row, models.warning_slot(row))
    made = models.ask(session, run, models.TUNED, row.model, endpoint=endpoint, tier=price.tier, capacity=row.capacity)
    made.creator_id = actor.user_id
    session.add(made)
    _audit(session, actor, "host_longer", made)
    models.redraw(session, made)
    return made


def end(session: Session, actor: Actor, hosted_id: int) -> HostedModel:
    """Delete a deployment now; it costs nothing once the vendor has done so. Raises NotFound, NotAllowed."""
    row, run = _found(session, actor, hosted_id)
    if row.status in models.LIVING:
        models.end(session, row)
        if row.warned_at is not None:
            models.warn(session, run, row, models.warning_slot(row))
        _audit(session, actor, "end_hosted", row)
        models.go_on(session, run)
    return row


def wake(session: Session, actor: Actor, endpoint_id: int, capacity: int | None = None) -> HostedModel:
    """Deploy an endpoint's model again, in the tier that it last answered from; once however often it is asked.

    It gets this capacity, or the one that it last had. A comparison that its run still owes is made then. Anybody who
    may start a run may do it; the thread is told who did.

    Raises NotFound, NotAllowed.
    """
    require(session, actor, Verb.START)
    seen = session.get(Endpoint, endpoint_id)
    if seen is None or not allowed(session, actor, Verb.VIEW, seen) or seen.run_id is None:
        raise NotFound("This endpoint is not there any more, or not visible from this channel.")
    run = session.get_one(Run, seen.run_id, with_for_update=True)
    endpoint = session.get_one(Endpoint, endpoint_id, with_for_update=True)
    known = models.newest(session, run, models.TUNED, models.LIVING)
    if known is not None:
        return known
    if endpoint.status is not EndpointStatus.ASLEEP:
        raise NotFound(f"{endpoint.name} is not asleep, so it needs no deploying.")
    if not run.tuned_model:
        raise NotFound(f"The tuned model of {run.name} was deleted at the vendor. Start a new run with its dataset.")
    last = models.newest(session, run, models.TUNED, tuple(LeaseStatus))
    tier = last.tier if last is not None and last.ready_at is not None else ""
    capacity = capacity or (last.capacity if last is not None else None)
    row = models.ask(session, run, models.TUNED, run.tuned_model, endpoint=endpoint, tier=tier, capacity=capacity)
    row.creator_id = actor.user_id
    session.add(row)
    if is_owed(session, run) and CAPABILITIES[run.provider].base_must_deploy:
        models.ask(session, run, models.BASE, run.base_model, capacity=capacity)
    _audit(session, actor, "wake", row)
    models.redraw(session, row)
    slot, thread = f"hosted:{row.id}:waking", lifecycle.thread_slot(run)
    announcements.post(session, owner=endpoint, slot=slot, kind="hosting_waking", subject_id=row.id, thread_slot=thread)
    return row


def shown(session: Session, actor: Actor) -> list[tuple[Endpoint, HostedModel | None]]:
    """The endpoints that the person may see from here, the newest first, with how each is hosted."""
    require(session, actor, Verb.VIEW)
    wanted = select(Endpoint).where(Endpoint.team_id == actor.team_id, Endpoint.status != EndpointStatus.DELETED)
    if actor.channel_id:
        wanted = wanted.where(Endpoint.channel_id == actor.channel_id)
    else:
        wanted = wanted.where(Endpoint.creator_id == actor.user_id)
    rows = session.exec(wanted.order_by(col(Endpoint.id).desc()).limit(20))
    visible = [one for one in rows if allowed(session, actor, Verb.VIEW, one)]
    hosted = session.exec(
        select(HostedModel)
        .where(col(HostedModel.endpoint_id).in_([one.id for one in visible]))
        .order_by(col(HostedModel.id))
    )
    newest = {one.endpoint_id: one for one in hosted}
    return [(one, newest.get(one.id)) for one in visible]


def _found(session: Session, actor: Actor, hosted_id: int) -> tuple[HostedModel, Run]:
    """The locked row and its run, if the person may control either. Raises NotFound, NotAllowed."""
    seen = session.get(HostedModel, hosted_id)
    if seen is None or not allowed(session, actor, Verb.VIEW, seen):
        raise NotFound("This deployment is not there any more, or not visible from this channel.")
    run = session.get_one(Run, seen.run_id, with_for_update=True)
    if not allowed(session, actor, Verb.CONTROL, seen):
        require(session, actor, Verb.CONTROL, run)
    return session.get_one(HostedModel, hosted_id, with_for_update=True), run


def _audit(session: Session, actor: Actor, verb: str, row: HostedModel) -> None:
    session.add(
        AuditEntry(
            team_id=actor.team_id,
            enterprise_id=actor.enterprise_id,
            channel_id=row.channel_id,
            creator_id=actor.user_id,
            verb=verb,
            object_kind="hosted_model",
            object_id=row.id,
            detail={"name": row.name, "ends_at": row.ends_at},
        )
    )
