"""The models that a vendor's training left on its way: kept, listed, and talked to."""

from collections.abc import Sequence

from sqlmodel import Session, col, delete, select

from providers.base import Checkpoint
from providers.capabilities import CAPABILITIES
from workers import announcements, tasks
from workers.errors import NotFound, UserError
from workers.rights import Actor, Verb, require
from workers.run_status import RunStatus
from workers.runs import lifecycle, progress
from workers.tables import Endpoint, EndpointStatus, Run, RunCheckpoint

MOST_KEPT = 20
"""The newest of a run; vendors leave three or so."""


def keep(session: Session, run: Run, found: Sequence[Checkpoint]) -> None:
    """Note the run's checkpoints as the vendor lists them now, in place of what was noted before."""
    session.execute(delete(RunCheckpoint).where(col(RunCheckpoint.run_id) == run.id))
    by_step = {one.step: one for one in found if one.model and 0 <= one.step <= progress.MOST_STEPS}
    kept = sorted(by_step)[-MOST_KEPT:]
    for step in kept:
        one = by_step[step]
        session.add(
            RunCheckpoint(
                run_id=run.id or 0,
                step=step,
                model=progress.words(one.model, progress.LONGEST_NAME),
                loss=progress.known(one.loss),
                validation_loss=progress.known(one.validation_loss),
                accuracy=progress.known(one.accuracy),
                validation_accuracy=progress.known(one.validation_accuracy),
            )
        )
    if int(run.progress.get("checkpoints") or 0) != len(kept):
        run.progress = {**run.progress, "checkpoints": len(kept)}
        session.add(run)
        lifecycle.redraw(session, run, urgent=False)


def listed(session: Session, actor: Actor, run_id: int) -> tuple[Run, list[RunCheckpoint]]:
    """The run and its checkpoints, in the order of their steps. Raises NotFound."""
    run = lifecycle.find(session, actor, run_id)
    rows = session.exec(select(RunCheckpoint).where(RunCheckpoint.run_id == run_id).order_by(col(RunCheckpoint.step)))
    return run, list(rows)


def answer_by_themselves(run: Run) -> bool:
    """Whether a checkpoint can be asked without being hosted first."""
    return run.provider in CAPABILITIES and not CAPABILITIES[run.provider].must_deploy


def chat(session: Session, actor: Actor, run_id: int, step: int) -> Endpoint:
    """Make an endpoint of a checkpoint, with a message in the channel whose thread it answers in.

    It is not evaluated. Raises NotFound, NotAllowed, UserError.
    """
    run, rows = listed(session, actor, run_id)
    require(session, actor, Verb.CHAT, run)
    session.get_one(Run, run_id, with_for_update=True)  # two clicks at once are one endpoint
    chosen = next((row for row in rows if row.step == step), None)
    if chosen is None:
        raise NotFound("This checkpoint is not there any more.")
    if run.status is not RunStatus.READY or not answer_by_themselves(run):
        raise UserError("This checkpoint cannot be asked: only those of finished runs that need no hosting can.")
    known = _made_before(session, run, chosen.model)
    if known is not None:
        return known
    tuned = session.exec(select(Endpoint).where(Endpoint.run_id == run.id).order_by(col(Endpoint.id)).limit(1)).first()
    endpoint = Endpoint(
        team_id=run.team_id,
        enterprise_id=run.enterprise_id,
        channel_id=run.channel_id,
        creator_id=actor.user_id,
        name=f"{run.name} at step {step}",
        provider=run.provider,
        model=chosen.model,
        system_prompt=tuned.system_prompt if tuned is not None else "",
        max_tokens=tuned.max_tokens if tuned is not None else 512,
    )
    session.add(endpoint)
    session.flush()
    slot = slot_of(endpoint)
    announcements.post(session, owner=endpoint, slot=slot, kind="endpoint", subject_id=endpoint.id)
    tasks.add(session, "bind_thread", endpoint.id or 0, queue="cloud", team_id=run.team_id)
    return endpoint


def slot_of(endpoint: Endpoint) -> str:
    """The slot of the message whose thread the checkpoint answers in."""
    return f"checkpoint:{endpoint.id}:root"


def _made_before(session: Session, run: Run, model: str) -> Endpoint | None:
    """The endpoint that somebody has made of this checkpoint in this channel, if it still answers."""
    return session.exec(
        select(Endpoint)
        .where(
            Endpoint.team_id == run.team_id,
            Endpoint.channel_id == run.channel_id,
            Endpoint.provider == run.provider,
            Endpoint.model == model,
            Endpoint.status == EndpointStatus.ACTIVE,
            col(Endpoint.run_id).is_(None),
        )
        .limit(1)
    ).first()
