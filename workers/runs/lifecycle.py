"""The only place that moves a run: start, pause, resume, cancel, transitions, ends.

Every move writes the run's history and redraws its card in the same transaction.
"""

import re
import time

from sqlmodel import Session, col, select

from providers.capabilities import CAPABILITIES, ON_THIS_MACHINE
from providers.prices import vendor
from workers import announcements, tasks
from workers.errors import NotFound, UserError
from workers.plans import cost, plan
from workers.plans.billing import Count
from workers.plans.choices import FOLDS, Choices
from workers.plans.cost import Estimate
from workers.rights import Actor, Verb, allowed, require
from workers.run_status import FINAL, RunStatus, check_transition
from workers.runs import division
from workers.settings import Settings
from workers.tables import AuditEntry, Dataset, Run, RunEvent

LOCAL_PROVIDERS = ON_THIS_MACHINE
"""Providers whose training is done by the gpu queue's own worker; the others are polled."""


PART = ":part:"
"""In the request key of a short run that cross-checks another; before it is the other's key."""


def card_slot(run: Run) -> str:
    """The slot of the run's card."""
    return f"run:{run.id}:card"


def thread_slot(run: Run) -> str:
    """The slot of the card in whose thread the run is told about: its own, or that of the run it cross-checks."""
    part = division.part_of(run)
    return card_slot(run) if part is None else f"run:{part.run}:card"


def start(
    session: Session,
    settings: Settings,
    actor: Actor,
    choices: Choices,
    request_key: str,
    *,
    counted: Count | None = None,
) -> Run:
    """Confirm a plan: the run (with those that cross-check it), its first task and its card, in one transaction.

    `counted` are the dataset's tokens as the plan showed them, where they were counted anew. The same `request_key`
    (one submission of the form) finds the run it made. Raises InvalidPlan, NotAllowed.
    """
    known = session.exec(select(Run).where(Run.request_key == request_key)).one_or_none()
    if known is not None:
        require(session, actor, Verb.VIEW, known)
        return known
    require(session, actor, Verb.START)
    dataset, _ = plan.checked(session, settings, actor, choices)
    estimate = cost.estimate(session, settings, choices, counted=counted)
    run = _queued(session, actor, dataset, choices, estimate, request_key)
    audit(session, actor, "start", run)
    if choices.cross_checked:
        short = cost.estimate(session, settings, choices, share=(FOLDS - 1) / FOLDS, counted=counted)
        for number in range(FOLDS):
            _queued(session, actor, dataset, choices, short, f"{request_key}{PART}{number}", part=(number, run))
    return run


def _queued(
    session: Session,
    actor: Actor,
    dataset: Dataset,
    choices: Choices,
    estimate: Estimate,
    request_key: str,
    *,
    part: tuple[int, Run] | None = None,
) -> Run:
    """A run that waits for its worker; `part`: a short one that cross-checks another run."""
    name = choices.name.strip()
    run = Run(
        team_id=actor.team_id,
        enterprise_id=actor.enterprise_id,
        channel_id=actor.channel_id or dataset.channel_id,
        creator_id=actor.user_id,
        name=name if part is None else f"{name}, part {part[0] + 1} of {FOLDS}",
        request_key=request_key,
        dataset_id=dataset.id or 0,
        test_dataset_id=choices.test_dataset_id,
        validation_dataset_id=choices.validation_dataset_id,
        provider=choices.provider,
        base_model=choices.base_model,
        method=choices.method,
        plan=choices.to_json() | ({"part": division.part_json(*part)} if part is not None else {}),
        cost=estimate.to_json(),
    )
    session.add(run)
    session.flush()
    run.model_name = f"{re.sub(r'[^a-z0-9]+', '-', run.name.lower()).strip('-') or 'model'}-{run.id}"
    transition(session, run, RunStatus.QUEUED)
    local = run.provider in LOCAL_PROVIDERS
    tasks.add(
        session,
        "train_local" if local else "submit",
        run.id or 0,
        queue="gpu" if local else "cloud",
        team_id=run.team_id,
    )
    return run


def parts(session: Session, run: Run, *, lock: bool = False) -> list[Run]:
    """The short runs that cross-check this one, in their order; with `lock` as they are now, to be changed."""
    wanted = select(Run).where(
        Run.team_id == run.team_id, col(Run.request_key).startswith(f"{run.request_key}{PART}", autoescape=True)
    )
    wanted = wanted.order_by(col(Run.id))
    if lock:
        wanted = wanted.with_for_update().execution_options(populate_existing=True)
    return list(session.exec(wanted))


def transition(session: Session, run: Run, status: RunStatus, reason: str = "") -> None:
    """Move the run, write its history and redraw its card. Raises IllegalTransition."""
    check_transition(run.status, status)
    reason = reason.replace("\x00", "")  # a character that PostgreSQL cannot keep
    run.status = status
    run.status_reason = reason
    now = time.time()
    if status is RunStatus.TRAINING and run.started_at is None:
        run.started_at = now
    if status in FINAL:
        run.ended_at = now
        run.next_poll_at = None
    session.add(run)
    session.add(RunEvent(run_id=run.id or 0, kind=str(status), message=reason))
    redraw(session, run, urgent=True)


def redraw(session: Session, run: Run, *, urgent: bool) -> None:
    """Want the run's card to show what the run is now; not urgent: when its turn comes."""
    slot, thread = card_slot(run), thread_slot(run)
    announcements.post(
        session,
        owner=run,
        slot=slot,
        kind="run_card",
        subject_id=run.id,
        thread_slot=thread if thread != slot else "",
        urgent=urgent,
    )


def note(session: Session, run: Run, name: str, text: str) -> None:
    """A milestone in the run's thread, once per `name`."""
    slot = f"run:{run.id}:{name}"
    announcements.post(session, owner=run, slot=slot, kind="note", data={"text": text}, thread_slot=thread_slot(run))


def fail(session: Session, run: Run, reason: str, error_id: str = "") -> None:
    """End the run without a model: the card says so, a message in its thread says why and what to do."""
    run.error_id = error_id
    transition(session, run, RunStatus.FAILED, reason)
    announcements.post(
        session,
        owner=run,
        slot=f"run:{run.id}:problem",
        kind="problem",
        subject_id=run.id,
        data={"title": f"{run.name} failed", "text": reason, "error_id": error_id},
        thread_slot=thread_slot(run),
        broadcast=division.part_of(run) is None,
    )
    for part in parts(session, run, lock=True):
        _ask_to_end(session, part)  # there is nothing left to cross-check


def cancel(session: Session, actor: Actor, run_id: int) -> Run:
    """Ask a run to end. What waits ends at once; what trains ends within seconds, keeping a checkpoint."""
    run = controlled(session, actor, run_id)
    if run.status in FINAL or run.status is RunStatus.CANCELLING:
        return run
    run.cancel_requested_by = actor.user_id
    audit(session, actor, "cancel", run)
    for one in (run, *parts(session, run, lock=True)):
        _ask_to_end(session, one)
    return run


def _ask_to_end(session: Session, run: Run) -> None:
    """What nobody carries out ends here; whoever carries out the rest sees that it should end."""
    if run.status in FINAL or run.status is RunStatus.CANCELLING:
        return
    waiting = run.status in {RunStatus.DRAFT, RunStatus.AWAITING_APPROVAL, RunStatus.QUEUED}
    paused_here = run.status is RunStatus.PAUSED and run.provider in LOCAL_PROVIDERS
    transition(session, run, RunStatus.CANCELLING)
    if waiting or paused_here:
        transition(session, run, RunStatus.CANCELLED, "" if paused_here else "Cancelled before it started.")
    _hurry(run)


def pause(session: Session, actor: Actor, run_id: int) -> Run:
    """Ask a run that trains to stand still, keeping what it has learnt. Raises NotFound, NotAllowed, UserError."""
    run = controlled(session, actor, run_id)
    name = vendor(run.provider).text
    if run.status is RunStatus.PAUSED or (run.status is RunStatus.TRAINING and run.pause_requested):
        return run
    if not can_pause(run):
        raise UserError(f"{name} cannot pause a training. You can let it go on, or cancel it.")
    if run.status is not RunStatus.TRAINING:
        raise UserError("Only a run that trains can be paused. This one does not train now: look at its card.")
    run.pause_requested = True
    _wish(session, actor, "pause", run)
    return run


def resume(session: Session, actor: Actor, run_id: int) -> Run:
    """Let a paused run go on from where it was. Raises NotFound, NotAllowed, UserError."""
    run = controlled(session, actor, run_id)
    if run.status is RunStatus.TRAINING or (run.status is RunStatus.PAUSED and not run.pause_requested):
        if run.pause_requested:  # it has not been paused yet
            run.pause_requested = False
            _wish(session, actor, "resume", run)
        return run
    if run.status is not RunStatus.PAUSED:
        raise UserError("Only a paused run can go on. Look at its card for what this one does.")
    run.pause_requested = False
    if run.provider in LOCAL_PROVIDERS:
        transition(session, run, RunStatus.QUEUED, "Going on after a pause.")
        key = f"train_local:{run.id}:{run.submit_attempt}"
        tasks.add(session, "train_local", run.id or 0, queue="gpu", team_id=run.team_id, key=key)
    _wish(session, actor, "resume", run)
    return run


def can_pause(run: Run) -> bool:
    """Whether its provider can pause a training."""
    return run.provider in CAPABILITIES and CAPABILITIES[run.provider].can_pause


def drop_pause_wish(session: Session, run: Run, words: str) -> None:
    """The vendor would not pause the run, or let it go on: it stays as it is, and its thread is told why."""
    wished = "pause" if run.status is RunStatus.TRAINING else "resume"
    run.pause_requested = run.status is RunStatus.PAUSED
    text = f"{vendor(run.provider).text} would not {wished} this training: {words}"
    note(session, run, f"{wished}-refused-{int(time.time())}", text)
    redraw(session, run, urgent=True)


def _wish(session: Session, actor: Actor, verb: str, run: Run) -> None:
    audit(session, actor, verb, run)
    _hurry(run)
    session.add(run)
    redraw(session, run, urgent=True)


def _hurry(run: Run) -> None:
    """What is watched at a vendor is looked at at once."""
    if run.next_poll_at is not None:
        run.next_poll_at = 0.0


def controlled(session: Session, actor: Actor, run_id: int) -> Run:
    """A run that the person may pause or cancel, locked. Raises NotFound, NotAllowed."""
    run = session.get(Run, run_id, with_for_update=True, populate_existing=True)
    if run is None or not allowed(session, actor, Verb.VIEW, run):
        raise NotFound(f"There is no run {run_id} here.")
    require(session, actor, Verb.CONTROL, run)
    return run


def visible(session: Session, actor: Actor, *, limit: int = 20) -> list[Run]:
    """The runs that the person may see from this channel (or, outside any, their own), the newest first.

    The short runs of a cross-check are seen in the thread of the run that they check.
    """
    require(session, actor, Verb.VIEW)
    wanted = select(Run).where(Run.team_id == actor.team_id, ~col(Run.request_key).contains(PART))
    if actor.channel_id:
        wanted = wanted.where(Run.channel_id == actor.channel_id)
    else:
        wanted = wanted.where(Run.creator_id == actor.user_id)
    rows = session.exec(wanted.order_by(col(Run.id).desc()).limit(limit))
    return [run for run in rows if allowed(session, actor, Verb.VIEW, run)]


def find(session: Session, actor: Actor, run_id: int) -> Run:
    """A run that the person may see. Raises NotFound."""
    run = session.get(Run, run_id)
    if run is None or not allowed(session, actor, Verb.VIEW, run):
        raise NotFound(f"There is no run {run_id} here.")
    return run


def queue_position(session: Session, run: Run) -> int:
    """How many runs of its workspace are before this one in the queue of this machine; a vendor has none of ours."""
    if run.provider not in LOCAL_PROVIDERS:
        return 0
    ahead = session.exec(
        select(Run.id).where(
            Run.team_id == run.team_id,
            col(Run.provider).in_(LOCAL_PROVIDERS),
            col(Run.status).in_([RunStatus.QUEUED, RunStatus.PREPARING, RunStatus.SUBMITTING, RunStatus.TRAINING]),
            col(Run.id) < (run.id or 0),
        )
    ).all()
    return len(ahead)


def audit(session: Session, actor: Actor, verb: str, run: Run) -> None:
    """Append to the audit log."""
    session.add(
        AuditEntry(
            team_id=actor.team_id,
            enterprise_id=actor.enterprise_id,
            channel_id=run.channel_id,
            creator_id=actor.user_id,
            verb=verb,
            object_kind="run",
            object_id=run.id,
        )
    )
