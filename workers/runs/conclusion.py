"""A run's end after its evaluation: the endpoint, what its thread is told, what stays hosted."""

from sqlmodel import Session, select

from workers import announcements, hosting
from workers.run_status import RunStatus
from workers.runs import actual, division, lifecycle, model_deletion
from workers.tables import Endpoint, Evaluation, Run, Task


def evaluation_of(session: Session, run: Run) -> Evaluation:
    """The run's evaluation; made where there is none yet."""
    known = session.exec(select(Evaluation).where(Evaluation.run_id == run.id)).one_or_none()
    if known is None:
        known = Evaluation(
            team_id=run.team_id,
            enterprise_id=run.enterprise_id,
            channel_id=run.channel_id,
            creator_id=run.creator_id,
            run_id=run.id or 0,
        )
        session.add(known)
        session.flush()
    return known


def ready(session: Session, run: Run, system_prompt: str, max_tokens: int) -> None:
    """The run is done: its endpoint, the summary and how to chat, in its thread."""
    summary = evaluation_of(session, run).summary
    run.progress = {**run.progress, "stage": "", "verdict": summary.get("words") or summary.get("problem") or ""}
    lifecycle.transition(session, run, RunStatus.READY)
    if division.part_of(run) is not None:  # its model was only made to be tested
        hosting.evaluated(session, run)
        actual.settle(session, run)
        model_deletion.discard(session, run)
        return
    endpoint = Endpoint(
        team_id=run.team_id,
        enterprise_id=run.enterprise_id,
        channel_id=run.channel_id,
        creator_id=run.creator_id,
        name=run.name,
        run_id=run.id,
        provider=run.provider,
        model=run.model_name,
        system_prompt=system_prompt,
        max_tokens=max(256, 2 * max_tokens),
    )
    session.add(endpoint)
    session.flush()
    hosting.evaluated(session, run)
    actual.settle(session, run)
    _tell(session, run, "evaluation_summary", run.id, broadcast=True)
    _tell(session, run, "endpoint", endpoint.id)


def made_up(session: Session, run: Run, task: Task) -> None:
    """The comparison that a ready run owed was tried again: its thread is told what came of it."""
    summary = evaluation_of(session, run).summary
    words = summary.get("words") or summary.get("problem") or ""
    run.progress = {**run.progress, "stage": "", "verdict": words}
    session.add(run)
    hosting.compared(session, run)
    actual.settle(session, run)
    lifecycle.redraw(session, run, urgent=True)
    _tell(session, run, "evaluation_summary", run.id, broadcast=True)
    lifecycle.note(session, run, f"compared-{task.id}", f"📊 {run.name}: {words}")


def _tell(session: Session, run: Run, kind: str, subject_id: int | None, *, broadcast: bool = False) -> None:
    announcements.post(
        session,
        owner=run,
        slot=f"run:{run.id}:{kind}",
        kind=kind,
        subject_id=subject_id,
        thread_slot=lifecycle.card_slot(run),
        broadcast=broadcast,
    )


def cancelled(session: Session, run: Run, words: str) -> None:
    """Nothing is compared any more: what is hosted for it ends."""
    lifecycle.transition(session, run, RunStatus.CANCELLED, words)
    hosting.stop(session, run)
    actual.settle(session, run)
    model_deletion.discard(session, run)
