"""What is said to vendors about hosted models: deploy, look, undeploy. Nothing waits: what takes long is asked again.

Every step may be killed and carried out again: the row is there before the vendor hears of it, deploying is idempotent
by name, and deleting is asked for until the vendor has it no more.
"""

from contextlib import suppress

import structlog
from sqlmodel import Session, select

from providers import prices
from providers.base import Deployment, DeploymentRequest, DeploymentStatus, HostingProvider, HostingTier
from providers.errors import ProviderError
from workers import announcements, tasks, vendors
from workers.context import Context
from workers.errors import RetryLater
from workers.hosting import estimate, leases, models
from workers.runs import lifecycle, progress
from workers.tables import Announcement, Endpoint, HostedModel, LeaseStatus, Run, Task, TaskStatus
from workers.tasks import Lease

log = structlog.get_logger()

PATIENCE_SECONDS = 2700.0
"""A deployment that does not answer so long after it was asked for is given up."""
LOUD_SECONDS = 1800.0
"""A deployment that is still there so long after its end was asked for is told of: it may be billed."""
FIRST_PAUSE, LONGEST_PAUSE = 3.0, 20.0
"""Between two looks at what a vendor is at: somebody waits for it, for no longer than this after it is done."""
LONGEST_ENDING_PAUSE = 300.0
AFTER_FAULT_SECONDS = 600.0
ASK_AGAIN = 20
"""A deletion that does not come to its end is asked for anew with every so manieth look."""
VANISHED = frozenset({DeploymentStatus.GONE, DeploymentStatus.FAILED, DeploymentStatus.DELETING})
"""A model that was hosted is not to be asked any more."""


def host(context: Context, lease: Lease) -> None:
    """Have a model hosted, and see until it answers. Raises RetryLater until then."""
    row = _wanted(lease)
    if row is None:
        return
    try:
        seen = _brought_on(context, lease, row)
    except ProviderError as error:
        if not error.retryable or _is_late(context, row):
            _failed(lease, row, error.user_message)
            return
        pause = min(error.retry_after or _pause(context, lease), LONGEST_ENDING_PAUSE)
        raise RetryLater(progress.words(error.user_message), pause) from error
    if seen is None or seen.status is DeploymentStatus.READY:
        with lease.finish() as session:
            run, held = _locked(session, row)
            if seen is not None and held.status in models.COMING:
                models.ready(session, run, held, seen, context.settings.hosting_hours)
        return
    if seen.status in {DeploymentStatus.FAILED, DeploymentStatus.DELETING}:
        deleting = "It is being deleted at the vendor." if seen.status is DeploymentStatus.DELETING else ""
        _failed(lease, row, seen.error or deleting or "The vendor says that it failed, and not why.")
        return
    if _is_late(context, row):
        _failed(lease, row, f"It did not answer within {PATIENCE_SECONDS / 60:.0f} minutes.")
        return
    raise RetryLater(
        progress.words(f"the vendor is at it: {seen.vendor_status or seen.status}"), _pause(context, lease)
    )


def _wanted(lease: Lease) -> HostedModel | None:
    """The row, if it is still to come. None: nothing is to be done any more."""
    with lease.write() as session:
        seen = session.get_one(HostedModel, lease.task.subject_id)
        run, row = _locked(session, seen)
        models.go_on(session, run)  # it may have been cancelled
    if row.status in models.COMING:
        return row
    with lease.finish():
        return None


def _locked(session: Session, row: HostedModel) -> tuple[Run, HostedModel]:
    run = session.get_one(Run, row.run_id, with_for_update=True)
    return run, session.get_one(HostedModel, row.id, with_for_update=True)


def _brought_on(context: Context, lease: Lease, row: HostedModel) -> Deployment | None:
    """How the deployment is, asked for if the vendor does not have it or waits for us. None: it is wanted no more."""
    provider = vendors.hosting(context, row.team_id, row.provider)
    if row.status is LeaseStatus.CREATING:
        seen = provider.deployment(row.name)
        if seen.status is not DeploymentStatus.GONE and not seen.waiting:
            return seen
    with context.db.read() as session:
        base_model = session.get_one(Run, row.run_id).base_model
    tiers = provider.tiers(base_model)
    with lease.write() as session:
        _, held = _locked(session, row)
        if held.status not in models.COMING:
            return None
        if held.status is LeaseStatus.ASKED:
            _settle_tier(held, estimate.chosen(tiers, held, base_model), base_model)
            held.asked_at = held.asked_at or models.now(session)
            session.add(held)
    seen = provider.deploy(DeploymentRequest(held.name, held.model, held.tier, held.capacity, base_model))
    with lease.write() as session:
        _, held = _locked(session, row)
        if held.status in models.COMING:
            held.status, held.vendor_status = LeaseStatus.CREATING, progress.words(seen.vendor_status)
            session.add(held)
    return seen


def _settle_tier(row: HostedModel, tier: HostingTier, base_model: str) -> None:
    """From now on it is asked for in this tier; what that costs is noted as it is listed today."""
    row.tier = tier.id
    if tier.lives_hours is not None:
        row.lives_until = row.created_at + tier.lives_hours * 3600.0
    row.price_per_hour, row.price_words = estimate.hourly(row, base_model)


def _failed(lease: Lease, row: HostedModel, words: str) -> None:
    with lease.finish() as session:
        run, held = _locked(session, row)
        models.failed(session, run, held, words)


def unhost(context: Context, lease: Lease) -> None:
    """Have a deployment deleted, and see until the vendor has it no more. Raises RetryLater until then."""
    with context.db.read() as session:
        row = session.get_one(HostedModel, lease.task.subject_id)
        being_asked = select(Task.id).where(
            Task.kind == "host_model", Task.subject_id == row.id, Task.status == TaskStatus.RUNNING
        )
        if session.exec(being_asked).first() is not None:
            raise RetryLater("it is just being asked for", FIRST_PAUSE)
    try:
        seen = _undeployed(vendors.hosting(context, row.team_id, row.provider), row.name, lease.task.attempt)
    except ProviderError as error:
        _tell_if_late(lease, row, error.user_message)
        pause = max(error.retry_after or 0.0, _pause(context, lease, LONGEST_ENDING_PAUSE))
        raise RetryLater(progress.words(error.user_message), min(pause, LONGEST_ENDING_PAUSE)) from error
    if seen.status is not DeploymentStatus.GONE:
        _tell_if_late(lease, row, seen.error or f"The vendor says: {seen.vendor_status or seen.status}.")
        raise RetryLater("it is being deleted", _pause(context, lease))
    with lease.finish() as session:
        run, held = _locked(session, row)
        if held.status is LeaseStatus.ENDING:
            models.gone(session, run, held)
            _look_again(session, held)
        if _told(session, row) is not None:
            text = f"✅ The deployment {row.name} of {run.name} is deleted at last: it costs nothing any more."
            lifecycle.note(session, run, f"hosting-{row.id}-gone", text)


def _undeployed(provider: HostingProvider, name: str, attempt: int) -> Deployment:
    """Ask for the end, and later whether it has come: asking again might begin the deletion anew."""
    if attempt % ASK_AGAIN != 1:
        with suppress(ProviderError):
            seen = provider.deployment(name)
            if seen.status in {DeploymentStatus.GONE, DeploymentStatus.DELETING}:
                return seen
    return provider.undeploy(name)


def _look_again(session: Session, row: HostedModel) -> None:
    """A request that was on its way for long may still bring it back: ask for its end once more, later."""
    key = f"unhost_model:{row.id}:again"
    after = models.LOOK_AGAIN_SECONDS
    tasks.add(session, "unhost_model", row.id or 0, queue="cloud", team_id=row.team_id, key=key, due_in=after)


def check(context: Context, lease: Lease) -> None:
    """Look whether a model that we believe to be hosted is there; one that is not puts its endpoint to sleep."""
    with context.db.read() as session:
        row = session.get_one(HostedModel, lease.task.subject_id)
    seen: Deployment | None = None
    if row.status is LeaseStatus.READY:
        try:
            seen = vendors.hosting(context, row.team_id, row.provider).deployment(row.name)
        except ProviderError as error:  # the next look tells
            log.info("hosted_model_not_looked_at", hosted_id=row.id, error=type(error).__name__)
    with lease.finish() as session:
        run, held = _locked(session, row)
        if held.status is not LeaseStatus.READY or seen is None or not (seen.status in VANISHED or seen.waiting):
            return
        models.end(session, held)
        if held.endpoint_id is not None:
            why = "Its deployment is not there any more: somebody deleted it at the vendor, or the vendor ended it."
            endpoint = session.get_one(Endpoint, held.endpoint_id)
            leases.tell_asleep(session, endpoint, f"hosted:{held.id}:ended", why)
        models.go_on(session, run)


def gave_up_hosting(session: Session, task: Task) -> None:
    """Asking broke too often: nothing comes of it, and what the vendor may have is ended."""
    run, row = _locked(session, session.get_one(HostedModel, task.subject_id))
    models.failed(session, run, row, "It broke several times in a row because of a fault on our side.", task.error_id)


def gave_up_ending(session: Session, task: Task) -> None:
    """Ending is never given up: it is tried again after a while, and somebody is told meanwhile."""
    run, row = _locked(session, session.get_one(HostedModel, task.subject_id))
    models.ask_for_end(session, row, due_in=AFTER_FAULT_SECONDS)
    _tell(session, run, row, "There was a fault on our side.", task.error_id)


def _tell_if_late(lease: Lease, row: HostedModel, words: str) -> None:
    with lease.write() as session:
        if models.now(session) - lease.task.created_at > LOUD_SECONDS and _told(session, row) is None:
            _tell(session, session.get_one(Run, row.run_id), row, words)


def _told(session: Session, row: HostedModel) -> Announcement | None:
    wanted = select(Announcement).where(Announcement.team_id == row.team_id, Announcement.slot == _stuck_slot(row))
    return session.exec(wanted).one_or_none()


def _stuck_slot(row: HostedModel) -> str:
    return f"hosted:{row.id}:stuck"


def _tell(session: Session, run: Run, row: HostedModel, words: str, error_id: str = "") -> None:
    """Say that it may still be billed, where to look, and that we go on."""
    where = prices.vendor(row.provider).text
    cost = "" if row.price_per_hour == 0 else f", so it may still cost {estimate.per_hour(row.price_per_hour)}"
    said = progress.words(words, models.MOST_PROBLEM)
    text = (
        f"The deployment {row.name} could not be deleted yet{cost}. {said} It is tried again "
        f"until it is gone. To be sure, look for {row.name} among the deployments at {where} and delete it there."
    )
    announcements.post(
        session,
        owner=run,
        slot=_stuck_slot(row),
        kind="problem",
        data={"title": f"Something of {run.name} is still hosted", "text": text, "error_id": error_id},
        thread_slot=lifecycle.thread_slot(run),
        broadcast=True,
    )


def _is_late(context: Context, row: HostedModel) -> bool:
    with context.db.read() as session:
        return models.now(session) - row.created_at > PATIENCE_SECONDS


def _pause(context: Context, lease: Lease, most: float = LONGEST_PAUSE) -> float:
    """Longer with each attempt, in seconds."""
    first = min(FIRST_PAUSE, context.settings.poll_seconds)
    return float(min(most, first * 1.4 ** min(lease.task.attempt, 30)))
