"""What a workspace's vendor credentials are needed for now: models that are billed, and runs that are not over."""

from collections.abc import Mapping

from sqlalchemy import func
from sqlmodel import Session, col, select

from providers import prices
from providers.credentials import Credentials
from workers.errors import InvalidPlan, UserError
from workers.run_status import FINAL
from workers.tables import HostedModel, Run

PLACE: Mapping[str, tuple[str, ...]] = {
    "azure_openai": ("endpoint", "subscription_id", "resource_group", "account"),
    "azure_ml": ("subscription_id", "resource_group", "workspace"),
}
"""The fields that say where models are hosted: with others nobody finds the ones that are hosted already."""
MOST_NAMED = 5


def runs(session: Session, team_id: str) -> dict[str, int]:
    """How many runs are not over, by provider."""
    wanted = select(Run.provider, func.count()).where(Run.team_id == team_id, col(Run.status).not_in(FINAL))
    return dict(session.exec(wanted.group_by(Run.provider)).all())


def refuse_to_forget(session: Session, team_id: str, provider: str) -> None:
    """Raise UserError while something is hosted that only these credentials can delete."""
    hosted = _hosted(session, team_id, provider)
    if hosted:
        raise UserError(hosted)


def refuse_to_move(session: Session, team_id: str, provider: str, before: Credentials, after: Credentials) -> None:
    """Raise InvalidPlan where the credentials would reach another place while something is hosted at the one before."""
    moved = [name for name in PLACE.get(provider, ()) if _plain(before.get(name)) != _plain(after.get(name))]
    hosted = _hosted(session, team_id, provider) if moved else ""
    if hosted:
        problems = dict.fromkeys(moved, "This must stay as it was, too.")
        raise InvalidPlan({**problems, moved[0]: f"This must stay “{before.get(moved[0], '')}”. {hosted}"})


def _plain(value: str | None) -> str:
    return (value or "").strip().rstrip("/").lower()


def _hosted(session: Session, team_id: str, provider: str) -> str:
    """What is hosted there and what to do first, in words; empty where nothing is."""
    from workers.hosting import BILLED  # which needs runs, and so what needs this module

    wanted = (
        select(Run.name, Run.id)
        .join(HostedModel, col(HostedModel.run_id) == col(Run.id))
        .where(HostedModel.team_id == team_id, HostedModel.provider == provider, col(HostedModel.status).in_(BILLED))
        .distinct()
        .order_by(col(Run.id))
    )
    found = [f"{name} (run {number})" for name, number in session.exec(wanted)]
    if not found:
        return ""
    named = ", ".join(found[:MOST_NAMED]) + (f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else "")
    return (
        f"{prices.vendor(provider).text} still hosts models of {named}. Without these credentials nobody here could "
        "delete them, and they may go on costing. Click Delete now in those runs' threads (or cancel a run that is "
        "not over), wait until they are deleted, and try again."
    )
