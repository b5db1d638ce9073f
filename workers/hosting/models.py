"""A hosted model's life. Its row is there before the vendor is asked, and ends only when the vendor has it no more.

    ASKED -> CREATING -> READY -> ENDING -> ENDED, or FAILED where it never came
    ASKED, CREATING -----------> ENDING

From ASKED to ENDING the vendor may bill it; there is a task for whatever must be said to the vendor. A function here
that changes a row wants it locked, after its run where it needs both.
"""

from sqlalchemy import func
from sqlmodel import Session, col, select

from providers.base import Deployment
from providers.capabilities import HOSTING_CAPACITY
from workers import announcements, tasks
from workers.db import epoch_now
from workers.hosting import names
from workers.hosting.estimate import capacity_of, hourly, kept_in
from workers.hosting.owed import is_owed
from workers.plans import cost
from workers.plans.choices import Choices
from workers.run_status import RunStatus
from workers.runs import actual, lifecycle, model_deletion, progress
from workers.tables import Endpoint, EndpointStatus, HostedModel, LeaseStatus, Run, Task, TaskStatus

COMING = (LeaseStatus.ASKED, LeaseStatus.CREATING)
LIVING = (*COMING, LeaseStatus.READY)
BILLED = (*LIVING, LeaseStatus.ENDING)
"""In these states the vendor may bill it."""
TUNED, BASE = "tuned", "base"
UNFINISHED = (TaskStatus.QUEUED, TaskStatus.RUNNING)
MOST_PROBLEM = 1000
"""Characters of a vendor's words about what went wrong."""
LOOK_AGAIN_SECONDS = 600.0
"""So long after its end the vendor is asked once more: a request that was late may have brought it back."""


def ask(
    session: Session,
    run: Run,
    purpose: str,
    model: str,
    *,
    endpoint: Endpoint | None = None,
    tier: str = "",
    capacity: int | None = None,
) -> HostedModel:
    """Want a model hosted, in this tier and capacity or as is planned; one that is on its way or there is enough.

    Where the plan says that it stays in its region, that goes before.
    """
    known = newest(session, run, purpose, LIVING)
    if known is not None:
        return known
    choices = Choices.from_json(run.plan)
    tier = kept_in(cost.tier_of(choices)) or tier
    capacity = capacity or capacity_of(run.provider, choices.options.get(HOSTING_CAPACITY.name))
    row = HostedModel(
        team_id=run.team_id,
        enterprise_id=run.enterprise_id,
        channel_id=run.channel_id,
        creator_id=run.creator_id,
        created_at=now(session),
        run_id=run.id or 0,
        endpoint_id=endpoint.id if endpoint else None,
        provider=run.provider,
        name=names.new(session, run, purpose),
        model=model,
        purpose=purpose,
        tier=tier,
        capacity=capacity,
    )
    if tier:
        row.price_per_hour, row.price_words = hourly(row, run.base_model)
    session.add(row)
    session.flush()
    tasks.add(session, "host_model", row.id or 0, queue="cloud", team_id=row.team_id)
    return row


def newest(session: Session, run: Run, purpose: str, among: tuple[LeaseStatus, ...]) -> HostedModel | None:
    """The newest hosting of a run's model in one of these states."""
    wanted = select(HostedModel).where(
        HostedModel.run_id == run.id, HostedModel.purpose == purpose, col(HostedModel.status).in_(among)
    )
    return session.exec(wanted.order_by(col(HostedModel.id).desc()).limit(1)).one_or_none()


def ready(session: Session, run: Run, row: HostedModel, seen: Deployment, hours: float) -> None:
    """It answers: its lease begins, and what waited for it goes on."""
    at = now(session)
    row.status, row.vendor_status = LeaseStatus.READY, progress.words(seen.vendor_status)
    row.target = progress.words(seen.target, progress.LONGEST_NAME) or row.name
    row.ready_at, row.lease_hours = at, hours
    row.ends_at = end_of_lease(row, at, hours)
    session.add(row)
    if row.purpose == TUNED:
        run.model_name = row.target
        session.add(run)
    if row.endpoint_id is not None:
        endpoint = session.get_one(Endpoint, row.endpoint_id, with_for_update=True)
        if endpoint.status is EndpointStatus.ASLEEP:
            endpoint.status = EndpointStatus.ACTIVE
            session.add(endpoint)
            lifecycle.redraw(session, run, urgent=True)
            lifecycle.note(session, run, f"awake-{row.id}", f"☀️ {endpoint.name} is awake again: reply in this thread.")
    redraw(session, row)
    go_on(session, run)


def end_of_lease(row: HostedModel, at: float, hours: float) -> float:
    """When a lease of so many hours from `at` ends; the vendor's own end comes first."""
    wanted = at + hours * 3600.0
    return wanted if row.lives_until is None else min(wanted, row.lives_until)


def failed(session: Session, run: Run, row: HostedModel, words: str, error_id: str = "") -> None:
    """It does not come: it is ended at the vendor, and what waited for it is told."""
    if row.status not in COMING:
        return
    end(session, row, problem=words)
    if row.purpose == TUNED and run.status is not RunStatus.CANCELLING:
        safe = "The tuned model is safe at the vendor: deploy it again from here once that is mended."
        announcements.post(
            session,
            owner=run,
            slot=f"hosted:{row.id}:problem",
            kind="problem",
            data={"title": f"{run.name} could not be deployed", "text": f"{row.problem} {safe}", "error_id": error_id},
            thread_slot=lifecycle.thread_slot(run),
        )
    go_on(session, run)


def go_on(session: Session, run: Run) -> None:
    """Compare the models once all are there; end a run that was cancelled meanwhile. Wants the run locked.

    A tuned model that does not come is there all the same: its run compares nothing, and it can be deployed again.
    """
    if run.status is RunStatus.CANCELLING and not _is_being_evaluated(session, run):
        stop(session, run)
        words = "Cancelled while its model was being deployed. What was hosted is being deleted."
        lifecycle.transition(session, run, RunStatus.CANCELLED, words)
        model_deletion.discard(session, run)
    if run.status is RunStatus.READY:
        _make_up(session, run)
    if run.status is not RunStatus.DEPLOYING:
        return
    if newest(session, run, TUNED, LIVING) is None:
        stop(session, run)
    if not any(newest(session, run, purpose, COMING) for purpose in (TUNED, BASE)):
        lifecycle.transition(session, run, RunStatus.EVALUATING)
        tasks.add(session, "evaluate", run.id or 0, queue="cpu", team_id=run.team_id)


def _make_up(session: Session, run: Run) -> None:
    """Make the comparison that a ready run owes, once what was deployed again for it is there."""
    tuned, base = newest(session, run, TUNED, LIVING), newest(session, run, BASE, LIVING)
    if tuned is None and base is not None:
        end(session, base)
    asked = newest(session, run, BASE, tuple(LeaseStatus))
    if tuned is None or asked is None or (asked.id or 0) < (tuned.id or 0) or not is_owed(session, run):
        return  # nothing is to be compared with this deployment
    if tuned.status is LeaseStatus.READY and asked.status not in COMING:
        key = f"evaluate:{run.id}:{tuned.id}"
        tasks.add(session, "evaluate", run.id or 0, queue="cpu", team_id=run.team_id, key=key)


def why_not(session: Session, run: Run, purpose: str) -> str:
    """Why a model of the run is not hosted, in words for people."""
    row = newest(session, run, purpose, (LeaseStatus.FAILED, LeaseStatus.ENDING, LeaseStatus.ENDED))
    if row is None or not row.problem:
        return f"The {purpose} model is not hosted at the vendor any more."
    return f"The {purpose} model could not be hosted at the vendor: {row.problem}"


def _is_being_evaluated(session: Session, run: Run) -> bool:
    wanted = select(Task.id).where(Task.kind == "evaluate", Task.subject_id == run.id, col(Task.status).in_(UNFINISHED))
    return session.exec(wanted.limit(1)).first() is not None


def stop(session: Session, run: Run) -> None:
    """End everything that is hosted for the run."""
    for row in living(session, run):
        end(session, row)


def living(session: Session, run: Run) -> list[HostedModel]:
    """What is hosted for the run, or to be, locked."""
    wanted = select(HostedModel).where(HostedModel.run_id == run.id, col(HostedModel.status).in_(LIVING))
    return list(session.exec(wanted.order_by(col(HostedModel.id)).with_for_update()))


def end(session: Session, row: HostedModel, *, problem: str = "") -> bool:
    """Nothing more is to be billed: ask the vendor to delete it, put its endpoint to sleep. False: it ends already."""
    if row.status not in LIVING:
        return False
    row.status, row.problem = LeaseStatus.ENDING, progress.words(problem, MOST_PROBLEM)
    session.add(row)
    ask_for_end(session, row)
    if row.endpoint_id is not None:
        endpoint = session.get_one(Endpoint, row.endpoint_id, with_for_update=True)
        if endpoint.status is EndpointStatus.ACTIVE:
            endpoint.status = EndpointStatus.ASLEEP
            session.add(endpoint)
            lifecycle.redraw(session, session.get_one(Run, row.run_id), urgent=True)
    redraw(session, row)
    return True


def ask_for_end(session: Session, row: HostedModel, *, due_in: float = 0.0) -> bool:
    """There is a task that tells the vendor, and it is not given up. False: there was one already."""
    own = (Task.kind == "unhost_model", Task.subject_id == row.id)
    if session.exec(select(Task.id).where(*own, col(Task.status).in_(UNFINISHED)).limit(1)).first() is not None:
        return False
    count = session.scalar(select(func.count()).select_from(Task).where(*own))
    key = f"unhost_model:{row.id}:{count}"
    tasks.add(session, "unhost_model", row.id or 0, queue="cloud", team_id=row.team_id, key=key, due_in=due_in)
    return True


def gone(session: Session, run: Run, row: HostedModel) -> None:
    """The vendor has it no more, so nothing is billed."""
    row.status = LeaseStatus.FAILED if row.problem else LeaseStatus.ENDED
    row.ended_at = now(session)
    session.add(row)
    redraw(session, row)
    actual.settle(session, run)


def warning_slot(row: HostedModel) -> str:
    """The slot of the message that warns of the lease's end: the same however often it is lengthened by an hour."""
    until = (row.ends_at or 0.0) - row.extended * 3600.0
    return f"hosted:{row.id}:warning:{int((until - (row.ready_at or 0.0)) // 86_400)}"


def warn(session: Session, run: Run, row: HostedModel, slot: str) -> None:
    """Want the warning in the thread to say how it stands now."""
    thread = lifecycle.thread_slot(run)
    announcements.post(session, owner=run, slot=slot, kind="hosting_warning", subject_id=row.id, thread_slot=thread)


def redraw(session: Session, row: HostedModel, *, urgent: bool = True) -> None:
    """Want the endpoint's message to show how its model is hosted now."""
    if row.endpoint_id is not None:
        run = session.get_one(Run, row.run_id)
        announcements.post(
            session,
            owner=run,
            slot=f"run:{run.id}:endpoint",
            kind="endpoint",
            subject_id=row.endpoint_id,
            thread_slot=lifecycle.card_slot(run),
            urgent=urgent,
        )


def now(session: Session) -> float:
    """The database's clock, in seconds since the epoch."""
    return float(session.scalar(select(epoch_now())) or 0.0)
