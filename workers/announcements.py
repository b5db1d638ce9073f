"""What Slack is to show: an outbox of wanted messages.

Each row is one Slack message, named by its slot, as it is wanted. Asking again for a slot raises its
revision and the same message is edited. The notifier claims rows, makes Slack agree, and records the
message's ts; a row is never lost, and a doubtful post is looked up before it is tried again.
"""

import uuid
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from sqlalchemy import func, or_, update
from sqlalchemy.engine import CursorResult
from sqlmodel import Session, col, select

from workers.db import Database, epoch_now
from workers.tables import Announcement, AnnouncementStatus, Owned

MOST_ATTEMPTS = 12
"""After so many refusals in a row a message is given up (about half an hour of trying)."""
MOST_COUNTED = 9
"""What an outage can count up to: enough for the longest pause, too little to give a message up."""
LOOKED_THROUGH = 500
"""Messages that wait for their thread must not hide those behind them that can be sent."""


class Trouble(StrEnum):
    """Why Slack does not show a message, which decides how long it is tried."""

    LIMITED = "limited"  # Slack takes no more for now: nothing went out, the attempt does not count
    AWAY = "away"  # no answer: it may be there after all; tried for as long as it takes
    REFUSED = "refused"  # refused, or it could not be drawn: given up after MOST_ATTEMPTS
    HOPELESS = "hopeless"  # refused for a reason that no later attempt changes: given up at once


def post(
    session: Session,
    *,
    owner: Owned,
    slot: str,
    kind: str,
    subject_id: int | None = None,
    data: Mapping[str, Any] | None = None,
    thread_slot: str = "",
    thread_ts: str = "",
    urgent: bool = True,
    broadcast: bool = False,
    only_for: str = "",
) -> Announcement:
    """Want this message in Slack. For a known slot: want it redrawn (urgent: without waiting)."""
    known = session.exec(
        select(Announcement)
        .where(Announcement.team_id == owner.team_id, Announcement.slot == slot)
        .with_for_update()  # two changes at once are two revisions
    ).one_or_none()
    if known is not None:
        known.revision += 1
        known.urgent = known.urgent or urgent
        known.status = AnnouncementStatus.PENDING
        if data is not None:
            known.data = dict(data)
        if urgent and not known.problem:
            known.not_before = 0.0  # else it waits as long as the last edit or failure asked for
        session.add(known)
        return known
    row = Announcement(
        team_id=owner.team_id,
        enterprise_id=owner.enterprise_id,
        channel_id=owner.channel_id,
        creator_id=owner.creator_id,
        slot=slot,
        kind=kind,
        subject_id=subject_id,
        data=dict(data or {}),
        thread_slot=thread_slot,
        thread_ts=thread_ts,
        urgent=urgent,
        broadcast=broadcast,
        only_for=only_for,
    )
    session.add(row)
    session.flush()
    return row


def any_due(session: Session) -> bool:
    """Whether there may be something to send; costs no lock."""
    found = select(Announcement.id).where(
        Announcement.status == AnnouncementStatus.PENDING,
        col(Announcement.not_before) <= epoch_now(),
        or_(col(Announcement.lease_until).is_(None), col(Announcement.lease_until) < epoch_now()),
    )
    return session.exec(found.limit(1)).first() is not None


def take_due(session: Session, lease_seconds: float, limit: int = 20) -> list[Announcement]:
    """Claim what can be sent now: in a thread the oldest first, a reply only after its root is there."""
    now = session.scalar(select(epoch_now())) or 0.0
    pending = session.exec(
        select(Announcement)
        .where(
            Announcement.status == AnnouncementStatus.PENDING,
            col(Announcement.not_before) <= now,
            or_(col(Announcement.lease_until).is_(None), col(Announcement.lease_until) < now),
        )
        .order_by(col(Announcement.id))
        .limit(LOOKED_THROUGH)
        .with_for_update(skip_locked=True)
    ).all()
    claimed: list[Announcement] = []
    for row in pending:
        if len(claimed) == limit:
            break
        if _blocked(session, row):
            continue
        row.lease_owner = uuid.uuid4().hex
        row.lease_until = now + lease_seconds
        session.add(row)
        claimed.append(row)
    return claimed


def _blocked(session: Session, row: Announcement) -> bool:
    """Whether the row must wait: for its thread's root and what is new in it, or for an older message of its thread."""
    if row.ts:
        return False  # an edit depends on nothing
    if row.thread_slot:
        root = root_of(session, row)
        edited = root is not None and root.status is AnnouncementStatus.PENDING and root.urgent
        if root is None or not root.ts or edited:  # an edit finds out whether the root is still there
            if root is not None and root.status is AnnouncementStatus.DEAD:
                row.status = AnnouncementStatus.DEAD
                row.problem = "the message it belongs under could not be posted"
                session.add(row)
            return True
    older = select(func.count()).where(
        Announcement.team_id == row.team_id,
        Announcement.channel_id == row.channel_id,
        Announcement.thread_slot == row.thread_slot,
        Announcement.thread_ts == row.thread_ts,
        Announcement.ts == "",
        Announcement.status == AnnouncementStatus.PENDING,
        col(Announcement.id) < (row.id or 0),
    )
    in_a_thread = bool(row.thread_slot or row.thread_ts)
    return in_a_thread and bool(session.scalar(older))


def root_of(session: Session, row: Announcement) -> Announcement | None:
    """The announcement whose message is the root of this one's thread."""
    return session.exec(
        select(Announcement).where(Announcement.team_id == row.team_id, Announcement.slot == row.thread_slot)
    ).one_or_none()


def thread_of(session: Session, row: Announcement) -> str | None:
    """The ts of the thread that the message hangs in, or None for the channel itself."""
    if row.thread_slot:
        root = root_of(session, row)
        return root.ts if root else None
    return row.thread_ts or None


def delivered(db: Database, claimed: Announcement, ts: str, digest: str, *, next_edit_in: float = 0.0) -> bool:
    """Slack shows the claimed revision. A newer one stays pending, at the earliest after `next_edit_in` s."""
    with db.write() as session:
        row = _held(session, claimed)
        if row is None:
            return False
        row.ts = ts
        row.sent_revision = claimed.revision
        row.sent_digest = digest
        row.attempts = 0
        row.problem = ""
        newer = row.revision > claimed.revision
        row.status = AnnouncementStatus.PENDING if newer else AnnouncementStatus.SENT
        row.urgent = newer and row.urgent
        now = session.scalar(select(epoch_now())) or 0.0
        row.not_before = 0.0 if row.urgent else now + next_edit_in
        row.lease_owner, row.lease_until = "", None
        session.add(row)
        return True


def failed(db: Database, claimed: Announcement, trouble: Trouble, problem: str, retry_in: float) -> bool:
    """Slack does not show it. It is tried again after `retry_in` seconds, unless it is given up."""
    with db.write() as session:
        row = _held(session, claimed)
        if row is None:
            return False
        row.problem = problem
        if trouble is Trouble.LIMITED:
            row.attempts = claimed.attempts
        elif trouble is Trouble.AWAY:
            row.attempts = min(row.attempts, MOST_COUNTED)
        give_up = trouble is Trouble.HOPELESS or (trouble is Trouble.REFUSED and row.attempts >= MOST_ATTEMPTS)
        row.status = AnnouncementStatus.DEAD if give_up else AnnouncementStatus.PENDING
        now = session.scalar(select(epoch_now())) or 0.0
        row.not_before = now + retry_in
        row.lease_owner, row.lease_until = "", None
        session.add(row)
        return True


def vanished(db: Database, claimed: Announcement) -> bool:
    """Its message is not in Slack any more: it is posted anew, so that its thread goes on."""
    with db.write() as session:
        row = _held(session, claimed)
        if row is None:
            return False
        row.ts, row.sent_digest, row.attempts = "", "", 0
        row.not_before = 0.0
        row.lease_owner, row.lease_until = "", None
        session.add(row)
        return True


def attempting(db: Database, claimed: Announcement) -> bool:
    """Count the attempt before it goes out: a crash in the middle is then seen as doubtful. False: not ours."""
    with db.write() as session:
        result = session.execute(
            update(Announcement)
            .where(col(Announcement.id) == claimed.id, col(Announcement.lease_owner) == claimed.lease_owner)
            .values(attempts=Announcement.attempts + 1)
            .execution_options(synchronize_session=False)
        )
        assert isinstance(result, CursorResult)
        return result.rowcount == 1


def _held(session: Session, claimed: Announcement) -> Announcement | None:
    row = session.get_one(Announcement, claimed.id, with_for_update=True)
    return row if row.lease_owner == claimed.lease_owner else None
