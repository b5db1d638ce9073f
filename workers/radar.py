"""Models that will not answer for long: looked for once a day at each vendor, told once in the run's thread."""

from collections.abc import Mapping
from datetime import date, timedelta

from sqlmodel import Session, col, select

from providers import prices, retirements
from providers.retirements import in_words
from workers import announcements, clock, tasks
from workers.queues.connection import QueueName
from workers.run_status import RunStatus
from workers.runs import division, lifecycle
from workers.settings import Settings
from workers.tables import Announcement, Credential, CredentialStatus, Run

AHEAD = timedelta(days=60)
"""So long before its end a model is told about."""


def tend(session: Session, settings: Settings) -> None:
    """Ask for today's look at every vendor that a workspace has credentials for. Bounded work, no network."""
    day = clock.today(settings).isoformat()
    rows = session.exec(
        select(Credential.id, Credential.team_id).where(col(Credential.status) != CredentialStatus.REFUSED)
    ).all()
    for credential_id, team_id in rows:
        assert credential_id is not None
        key = f"radar:{credential_id}:{day}"
        tasks.add(session, "radar", credential_id, queue=QueueName.CLOUD, team_id=team_id, key=key)


def warn(
    session: Session, settings: Settings, team_id: str, provider: str, offered: Mapping[str, date], *, own: bool
) -> list[int]:
    """Tell in the threads of ready runs at this vendor whose model ends soon; those that were told now.

    `offered` are the ends that the vendor itself says, by model; `own`: whether this is the vendor's own address,
    where the dates that are known of it hold.
    """
    today = clock.today(settings)
    told = []
    for run in session.exec(
        select(Run).where(Run.team_id == team_id, Run.provider == provider, Run.status == RunStatus.READY)
    ).all():
        ends = _end(run, offered, own=own)
        slot = f"run:{run.id}:retiring"
        if ends is None or ends - today > AHEAD or division.part_of(run) is not None or _is_told(session, run, slot):
            continue
        announcements.post(
            session,
            owner=run,
            slot=slot,
            kind="retiring",
            subject_id=run.id,
            data={"words": _words(run, ends, today), "on": ends.isoformat()},
            thread_slot=lifecycle.thread_slot(run),
            broadcast=True,
        )
        told.append(run.id or 0)
    return told


def _end(run: Run, offered: Mapping[str, date], *, own: bool) -> date | None:
    """The earliest day that is known: of the tuned model, or of what it is made of."""
    known = [offered.get(name) for name in (run.tuned_model, run.base_model, prices.base_of(run.base_model)) if name]
    if own:
        known.append(retirements.ends(run.provider, run.base_model))
    return min((one for one in known if one is not None), default=None)


def _is_told(session: Session, run: Run, slot: str) -> bool:
    there = select(Announcement.id).where(Announcement.team_id == run.team_id, Announcement.slot == slot)
    return session.exec(there).first() is not None


def _words(run: Run, ends: date, today: date) -> str:
    vendor = prices.vendor(run.provider).text
    if ends < today:
        return f"{vendor} ended {run.base_model} on {in_words(ends)}: the model that was tuned from it answers no more."
    return (
        f"the model answers until {in_words(ends)} only, as {vendor} ends {run.base_model} then. Its keys and threads "
        "stop working on that day."
    )
