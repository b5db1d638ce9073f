"""Which runs at vendors are to be asked about now. The column `next_poll_at` is all that there is to know.

A watcher claims runs that are due by moving `next_poll_at` on, in one short transaction; what it does not write back by
then is due again. Two watchers of one run are harmless: whoever writes looks at the run's state again, under its lock.
Whoever wants a run looked at at once (a webhook, a wish to cancel, new credentials) sets `next_poll_at` to 0.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, func, not_, or_, update
from sqlmodel import Session, col, select

from workers.db import epoch_now
from workers.run_status import RunStatus
from workers.runs.pace import SHORTEST, Pace
from workers.tables import Run

CLAIM_SECONDS = 45.0
"""How long a claimed run is the watcher's own."""
WATCHED = frozenset({RunStatus.TRAINING, RunStatus.PAUSED, RunStatus.CANCELLING})
"""The states in which a vendor is asked."""
SUBMITTED = "?"
"""Stands for the provider job's id while a create call may be under way."""
CHECKPOINT_SECONDS = 600.0
"""How often a run that trains is asked for its checkpoints."""

Lane = tuple[str, str]
"""A workspace and a provider: what one set of credentials, and one limit of rate, is for."""


@dataclass(frozen=True)
class Due:
    """A run as it was claimed."""

    run_id: int
    team_id: str
    provider: str
    job_id: str
    cursor: str
    status: RunStatus
    pausing: bool  # whether somebody wants it paused
    wants_checkpoints: bool
    until: float  # the claim's end, which is `next_poll_at` meanwhile

    @property
    def lane(self) -> Lane:
        """Whose credentials it is polled with."""
        return self.team_id, self.provider


def claim(session: Session, limit: int, *, without: Collection[Lane] = ()) -> list[Due]:
    """Take runs that are due, the most overdue first, of other lanes than `without`."""
    now = session.scalar(select(epoch_now())) or 0.0
    wanted = select(Run).where(col(Run.next_poll_at) <= now)
    for team_id, provider in without:
        wanted = wanted.where(not_(and_(col(Run.team_id) == team_id, col(Run.provider) == provider)))
    rows = session.exec(wanted.order_by(col(Run.next_poll_at)).limit(limit).with_for_update(skip_locked=True)).all()
    until = now + CLAIM_SECONDS
    taken = [_due(run, now, until) for run in rows if is_watched(run)]
    _set(session, [one.run_id for one in taken], until)
    _set(session, [run.id or 0 for run in rows if not is_watched(run)], None)
    return taken


def is_watched(run: Run) -> bool:
    """Whether there is a provider job whose end is not known yet."""
    return run.status in WATCHED and run.trained_at is None and run.provider_job_id not in {"", SUBMITTED}


def _due(run: Run, now: float, until: float) -> Due:
    training = run.status is RunStatus.TRAINING
    asked = float(run.progress.get("checkpoints_at") or run.started_at or now)
    return Due(
        run_id=run.id or 0,
        team_id=run.team_id,
        provider=run.provider,
        job_id=run.provider_job_id,
        cursor=run.poll_cursor,
        status=run.status,
        pausing=run.pause_requested,
        wants_checkpoints=training and now - asked >= CHECKPOINT_SECONDS,
        until=until,
    )


def put_back(session: Session, taken: Sequence[Due], seconds: float = 0.0) -> None:
    """Give claimed runs back: they are due after `seconds`. What somebody has moved on meanwhile stays so."""
    due_at = epoch_now() + seconds if seconds else 0.0
    by_claim: dict[float, list[int]] = defaultdict(list)
    for one in taken:
        by_claim[one.until].append(one.run_id)
    for until, ids in by_claim.items():
        session.execute(
            update(Run)
            .where(col(Run.id).in_(ids), col(Run.next_poll_at) == until)
            .values(next_poll_at=due_at)
            .execution_options(synchronize_session=False)
        )


def defer(session: Session, lane: Lane, seconds: float) -> None:
    """Nothing of this lane is to be asked before so many seconds have gone by."""
    team_id, provider = lane
    until = epoch_now() + seconds
    session.execute(
        update(Run)
        .where(col(Run.team_id) == team_id, col(Run.provider) == provider, col(Run.next_poll_at) < until)
        .values(next_poll_at=until)
        .execution_options(synchronize_session=False)
    )


def hurry(session: Session, team_id: str, provider: str, job_id: str) -> int | None:
    """The vendor says that this provider job has news: its run is due at once. None: there is no such run."""
    run = session.exec(
        select(Run)
        .where(Run.team_id == team_id, Run.provider == provider, Run.provider_job_id == job_id)
        .order_by(col(Run.id).desc())
        .limit(1)
        .with_for_update()
    ).one_or_none()
    if run is None or not is_watched(run):
        return None
    run.next_poll_at = 0.0
    session.add(run)
    return run.id


def hurry_all(session: Session, lane: Lane) -> None:
    """The vendor takes this lane's credentials, perhaps after it refused others: what is watched is due at once."""
    team_id, provider = lane
    session.execute(
        update(Run)
        .where(col(Run.team_id) == team_id, col(Run.provider) == provider, col(Run.next_poll_at).is_not(None))
        .values(next_poll_at=0.0)
        .execution_options(synchronize_session=False)
    )


def due(session: Session) -> int:
    """How many runs are due."""
    return session.scalar(select(func.count()).where(col(Run.next_poll_at) <= epoch_now())) or 0


def seconds_until_next(session: Session) -> float | None:
    """When the next run is due, in seconds; below 0 for one that is. None: nothing is watched."""
    return session.scalar(select(func.min(Run.next_poll_at) - epoch_now()))


def pace(session: Session, shortest: float = SHORTEST) -> Pace:
    """How many runs are watched now; one is polled every `shortest` seconds at most."""
    living = or_(*(col(Run.status) == status for status in sorted(WATCHED)))
    rows = session.exec(
        select(Run.team_id, func.count()).where(col(Run.next_poll_at).is_not(None), living).group_by(col(Run.team_id))
    ).all()
    of_team = {team_id: int(many) for team_id, many in rows}
    return Pace(watched=max(1, sum(of_team.values())), of_team=of_team, shortest=shortest)


def _set(session: Session, ids: Sequence[int], value: float | None) -> None:
    if ids:
        session.execute(
            update(Run)
            .where(col(Run.id).in_(ids))
            .values(next_poll_at=value)
            .execution_options(synchronize_session=False)
        )
