"""Deployments of ours that a vendor has and nobody wants: asked for late, or forgotten with a lost database.

Found once a day among all that the vendor hosts, by the mark in their names, and ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func
from sqlmodel import Session, select

from providers import prices
from workers import announcements
from workers.hosting import models
from workers.runs import lifecycle
from workers.tables import Credential, HostedModel, Owned, Run, Task

MOST_UNKNOWN = 50
"""So many that nothing is known of are ended with one look; the rest with the next."""
ENDED_SECONDS = 2 * models.LOOK_AGAIN_SECONDS
"""What has ended since then is asked for once more anyway, by a task of its own."""
MOST_NAMED = 10


@dataclass(frozen=True)
class Strays:
    """What nobody wants: hosted models that have ended here, and names that nothing is known of."""

    rows: Sequence[HostedModel] = ()
    unknown: Sequence[str] = ()


def among(session: Session, names: Sequence[str]) -> Strays:
    """What of all that a vendor hosts of ours nobody wants. `names` were listed before this is asked.

    (A row is committed before its vendor hears of it, so whatever was listed has its row by now.)
    """
    wanted = [one.lower() for one in names]
    rows = session.exec(select(HostedModel).where(func.lower(HostedModel.name).in_(wanted))).all()
    known = {one.name.lower() for one in rows}
    long_ago = models.now(session) - ENDED_SECONDS
    ended = [one for one in rows if one.status not in models.BILLED and (one.ended_at or 0.0) < long_ago]
    return Strays(ended, [one for one in names if one.lower() not in known][:MOST_UNKNOWN])


def end(session: Session, found: Sequence[HostedModel], task: Task) -> None:
    """Have those deleted that have ended here already, and tell in their runs' threads."""
    for row in found:
        if not models.ask_for_end(session, row):
            continue
        run = session.get_one(Run, row.run_id)
        text = (
            f"🧹 {prices.vendor(row.provider).text} had the deployment {row.name} of {run.name} although it had been "
            "deleted: it is being deleted again. What it cost meanwhile is not counted in the run's cost."
        )
        lifecycle.note(session, run, f"hosting-{row.id}-stray-{task.id}", text)


def tell_unknown(session: Session, credential: Credential, names: Sequence[str], task: Task) -> None:
    """Tell whoever entered the credentials what was deleted that nothing was known of."""
    if not names:
        return
    in_channel = credential.channel_id and not credential.channel_id.startswith("D")
    owner = Owned(
        team_id=credential.team_id,
        enterprise_id=credential.enterprise_id,
        channel_id=credential.channel_id or credential.creator_id,
        creator_id=credential.creator_id,
    )
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    text = (
        f"🧹 {prices.vendor(credential.provider).text} had deployments that Finetune Bot made and that nothing is "
        "known of here any more. They may cost something by the hour, so they are being deleted: "
        f"{', '.join(names[:MOST_NAMED])}{more}."
    )
    announcements.post(
        session,
        owner=owner,
        slot=f"strays:{task.id}",
        kind="note",
        data={"text": text},
        only_for=credential.creator_id if in_channel else "",
    )
