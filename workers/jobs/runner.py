"""Carries out one attempt at a task: claim, keep the lease, call the handler, note how it ended."""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import structlog
from sqlalchemy.exc import DBAPIError
from structlog.contextvars import bound_contextvars

from workers import tasks
from workers.context import Context, build
from workers.errors import LeaseLost, RetryLater
from workers.jobs import kinds
from workers.settings import Settings
from workers.tasks import Lease

log = structlog.get_logger()

ABANDON_SECONDS = 8.0
"""How long a handler may go on after its lease was lost."""


@lru_cache(maxsize=1)
def context() -> Context:
    """This process's context, built from its settings on first use."""
    return build(Settings())


def carry_out(task_id: int, attempt: int) -> None:
    """What a job names. Ids in, nothing out; harmless however often it is delivered."""
    carry(context(), task_id, attempt)


def carry(
    context: Context,
    task_id: int,
    attempt: int,
    *,
    stopping: threading.Event | None = None,
    abandon: Callable[[], None] | None = None,
) -> None:
    """Carry out an attempt if it is still to be had.

    `stopping` tells the handler to end soon. `abandon` is called if the handler goes on long after the
    lease was lost; it should end the process.
    """
    try:
        lease = tasks.claim(context.db, task_id, attempt, context.settings.timing)
    except DBAPIError as error:  # the task is still queued, and will be dispatched again
        log.warning("task_not_claimed", task_id=task_id, attempt=attempt, error=type(error).__name__)
        return
    if lease is None:
        log.debug("task_not_to_be_had", task_id=task_id, attempt=attempt)
        return
    lease.stopping = stopping or lease.stopping
    task = lease.task
    with bound_contextvars(task_id=task_id, attempt=attempt, kind=task.kind, subject_id=task.subject_id):
        log.info("task_started")
        with lease.kept(), _watched(lease, abandon):
            try:
                _handle(context, lease)
            except DBAPIError as error:  # not even its end could be noted: the lease runs out
                log.exception("task_left_to_its_lease", error=type(error).__name__)
            except LeaseLost:
                log.warning("task_lost")


def _handle(context: Context, lease: Lease) -> None:
    """Call the handler and note a failure. Raises LeaseLost, and DBAPIError if nothing could be noted."""
    try:
        kinds.handler_of(lease.task.kind)(context, lease)
        if not lease.closed:
            raise RuntimeError(f"the handler of {lease.task.kind!r} returned without finishing its task")
    except LeaseLost:
        raise
    except RetryLater as error:
        log.info("task_retries_later", reason=str(error), seconds=error.seconds)
        lease.retry_later(str(error), error.seconds)
    except Exception as error:  # the process's edge for everything that a handler may raise
        error_id = uuid.uuid4().hex[:12]
        log.exception("task_crashed", error_id=error_id)
        if not lease.closed:
            lease.crash(type(error).__name__, error_id, kinds.give_up)
    else:
        log.info("task_done")


@contextmanager
def _watched(lease: Lease, abandon: Callable[[], None] | None) -> Iterator[None]:
    """Call `abandon` if the block goes on for long after the lease was lost."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            if lease.lost.is_set() and not lease.closed:
                if abandon is not None and not over.wait(ABANDON_SECONDS):
                    abandon()
                return

    thread = threading.Thread(target=watch, name=f"watch-{lease.task_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
