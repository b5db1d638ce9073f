"""Messages about endpoints and how their models are hosted: how each kind is drawn."""

from collections.abc import Callable

from sqlmodel import Session

from bot.blocks import endpoint, hosting
from bot.blocks.elements import Drawn
from workers.hosting import hosted_for, longer_tier, owed_by
from workers.settings import Settings
from workers.tables import Announcement, Endpoint, HostedModel, Run


def _endpoint(session: Session, settings: Settings, row: Announcement) -> Drawn:
    target = session.get_one(Endpoint, row.subject_id)
    hosted = hosted_for(session, target)
    longer = longer_tier(session, hosted) if hosted is not None else None
    return endpoint.draw(target, settings.public_gateway, hosted, longer, owed_by(session, target))


def _warning(session: Session, _settings: Settings, row: Announcement) -> Drawn:
    hosted = session.get_one(HostedModel, row.subject_id)
    return hosting.warning(hosted, session.get_one(Run, hosted.run_id).name, longer_tier(session, hosted))


def _asleep(session: Session, _settings: Settings, row: Announcement) -> Drawn:
    target = session.get_one(Endpoint, row.subject_id)
    why = str(row.data.get("why") or "")
    return hosting.asleep(target, hosted_for(session, target), why, owed_by(session, target))


def _waking(session: Session, _settings: Settings, row: Announcement) -> Drawn:
    hosted = session.get_one(HostedModel, row.subject_id)
    target = session.get_one(Endpoint, hosted.endpoint_id)
    return hosting.waking(target, hosted, owed_by(session, target))


RENDERERS: dict[str, Callable[[Session, Settings, Announcement], Drawn]] = {
    "endpoint": _endpoint,
    "hosting_warning": _warning,
    "hosting_asleep": _asleep,
    "hosting_waking": _waking,
}
