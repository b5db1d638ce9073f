"""A run's tuned model at its vendor, and its end: deleted for ever when its owner or an admin wants that."""

from collections.abc import Sequence

from sqlmodel import Session, and_, col, delete, or_, select

from providers.prices import vendor
from providers.registry import ROOMS
from workers import announcements, tasks
from workers.errors import UserError
from workers.rights import Actor
from workers.runs import checkpoints, division, lifecycle
from workers.tables import Endpoint, EndpointStatus, HostedModel, LeaseStatus, Run, RunCheckpoint

HOSTED = (LeaseStatus.ASKED, LeaseStatus.CREATING, LeaseStatus.READY, LeaseStatus.ENDING)
"""The states in which a vendor may be hosting a model, and billing it."""


def ask_to_delete(session: Session, actor: Actor, run_id: int) -> Run:
    """Delete the tuned model and its checkpoints at the vendor; their endpoints answer no more from now on.

    Asking again is asking once. Raises NotFound, NotAllowed, UserError.
    """
    run = lifecycle.controlled(session, actor, run_id)
    if run.progress.get("deleting_model") or run.progress.get("model_deleted"):
        return run
    if not run.tuned_model or not run.status.is_final:
        raise UserError("There is no tuned model at a vendor to delete. A model is there once its run has ended well.")
    for endpoint in endpoints_of(session, run):
        endpoint.status = EndpointStatus.DELETED
        session.add(endpoint)
        _redraw(session, run, endpoint)
    for hosted in hosted_of(session, run):
        from workers import hosting  # which knows runs itself

        hosting.end(session, actor, hosted.id or 0)
    lifecycle.audit(session, actor, "delete_model", run)
    _begin(session, run)
    return run


def discard(session: Session, run: Run) -> None:
    """A short run of a cross-check is over: its model was only made to be tested, and is deleted at its vendor."""
    is_kept = run.provider in ROOMS and "models" in ROOMS[run.provider].sides
    if division.part_of(run) is not None and is_kept and run.tuned_model and not run.progress.get("deletions"):
        _begin(session, run)


def _begin(session: Session, run: Run) -> None:
    times = int(run.progress.get("deletions") or 0) + 1
    run.progress = {**run.progress, "deleting_model": True, "deletions": times}
    session.add(run)
    key = f"delete_model:{run.id}:{times}"
    tasks.add(session, "delete_model", run.id or 0, queue="cloud", team_id=run.team_id, key=key)
    lifecycle.redraw(session, run, urgent=True)


def _redraw(session: Session, run: Run, endpoint: Endpoint) -> None:
    """Want the endpoint's message to say that nobody answers there any more."""
    if endpoint.run_id == run.id:
        slot, thread_slot = f"run:{run.id}:endpoint", lifecycle.card_slot(run)
        announcements.post(
            session, owner=run, slot=slot, kind="endpoint", subject_id=endpoint.id, thread_slot=thread_slot
        )
    else:
        slot = checkpoints.slot_of(endpoint)
        announcements.post(session, owner=endpoint, slot=slot, kind="endpoint", subject_id=endpoint.id)


def models_of(session: Session, run: Run) -> list[str]:
    """The vendor's names of what the run has left there: checkpoints first, the tuned model last."""
    rows = session.exec(select(RunCheckpoint.model).where(RunCheckpoint.run_id == run.id)).all()
    return [*(name for name in dict.fromkeys(rows) if name != run.tuned_model), run.tuned_model]


def endpoints_of(session: Session, run: Run) -> Sequence[Endpoint]:
    """The endpoints that answer with the run's tuned model or one of its checkpoints."""
    by_name = and_(col(Endpoint.provider) == run.provider, col(Endpoint.model).in_(models_of(session, run)))
    wanted = select(Endpoint).where(Endpoint.team_id == run.team_id, or_(col(Endpoint.run_id) == run.id, by_name))
    return session.exec(wanted.where(Endpoint.status != EndpointStatus.DELETED).with_for_update()).all()


def hosted_of(session: Session, run: Run) -> Sequence[HostedModel]:
    """What the vendor still hosts of the run."""
    return session.exec(
        select(HostedModel).where(HostedModel.run_id == run.id, col(HostedModel.status).in_(HOSTED))
    ).all()


def deleted(session: Session, run: Run) -> None:
    """The vendor has none of it any more."""
    name = run.tuned_model
    session.execute(delete(RunCheckpoint).where(col(RunCheckpoint.run_id) == run.id))
    run.tuned_model = ""
    run.progress = {**run.progress, "deleting_model": False, "model_deleted": True, "checkpoints": 0}
    session.add(run)
    if division.part_of(run) is None:
        text = f"The tuned model {name} is deleted at {vendor(run.provider).text}."
        lifecycle.note(session, run, "model-deleted", text)
    lifecycle.redraw(session, run, urgent=True)


def not_deleted(session: Session, run: Run, words: str) -> None:
    """It cannot be deleted, for a reason that trying again does not change: the thread says so."""
    times = run.progress.get("deletions")
    run.progress = {**run.progress, "deleting_model": False}
    session.add(run)
    text = f"The tuned model {run.tuned_model} could not be deleted: {words}"
    lifecycle.note(session, run, f"model-not-deleted-{times}", text)
    lifecycle.redraw(session, run, urgent=True)
