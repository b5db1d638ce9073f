"""Carrying out a day's look at a vendor: models that end soon, and deployments of ours that nobody wants."""

import time
from collections.abc import Sequence
from datetime import date

import structlog
from sqlalchemy import delete
from sqlmodel import col

from providers.errors import ProviderError
from workers import radar, vendors
from workers.context import Context
from workers.hosting import names, strays
from workers.hosting.strays import Strays
from workers.plans import offered
from workers.tables import Credential, Task, TaskStatus
from workers.tasks import Lease

log = structlog.get_logger()

KEEP_SECONDS = 7 * 86_400.0


def look(context: Context, lease: Lease) -> None:
    """Warn of models that end soon, by the vendor's own list and by the dates that are known of it; end what is astray.

    A vendor that cannot be asked today is asked tomorrow; the known dates are told all the same.
    """
    with context.db.read() as session:
        row = session.get(Credential, lease.task.subject_id)
        own = offered.of(session, context.settings, row.team_id, None).own if row is not None else frozenset()
    ends = _ends(context, row) if row is not None else {}
    astray = _astray(context, row) if row is not None else Strays()
    unknown = _undeployed(context, lease, row, astray.unknown) if row is not None else []
    with lease.finish() as session:
        session.execute(
            delete(Task).where(
                col(Task.kind) == "radar",
                col(Task.status) == TaskStatus.DONE,
                col(Task.finished_at) < time.time() - KEEP_SECONDS,
            )
        )
        if row is not None:
            told = radar.warn(session, context.settings, row.team_id, row.provider, ends, own=row.provider in own)
            strays.end(session, astray.rows, lease.task)
            strays.tell_unknown(session, row, unknown, lease.task)
            log.info("radar", provider=row.provider, listed=len(ends), told=told, ended=len(unknown))


def _ends(context: Context, row: Credential) -> dict[str, date]:
    """The ends that the vendor itself says, by model."""
    if not context.providers.has(row.provider, "models"):
        return {}
    try:
        listed = vendors.models(context, row.team_id, row.provider).offered()
    except ProviderError as error:
        log.warning("radar_not_answered", provider=row.provider, error=type(error).__name__)
        return {}
    return {one.name: one.shutdown for one in listed if one.shutdown is not None}


def _astray(context: Context, row: Credential) -> Strays:
    """What the vendor hosts of ours although nobody wants it."""
    with context.db.read() as session:
        beginning = names.beginning(session)
    if not beginning or not context.providers.has(row.provider, "hosting"):
        return Strays()
    try:
        there = vendors.hosting(context, row.team_id, row.provider).ours(beginning)
    except ProviderError as error:
        log.info("hosting_not_listed", provider=row.provider, error=type(error).__name__)
        return Strays()
    with context.db.read() as session:
        return strays.among(session, there)


def _undeployed(context: Context, lease: Lease, row: Credential, unknown: Sequence[str]) -> list[str]:
    """Have those deleted that nothing is known of; the ones that were asked for. The next look sees what is left."""
    asked = []
    for name in unknown:
        lease.check()
        try:
            vendors.hosting(context, row.team_id, row.provider).undeploy(name)
        except ProviderError as error:
            log.warning("stray_not_deleted", provider=row.provider, name=name, error=type(error).__name__)
        else:
            asked.append(name)
    return asked
