"""Durable background work: the lease protocol.

    add       in the same transaction as the change that calls for the work
    dispatch  due tasks become RQ jobs after commit, again every `redispatch_seconds` until claimed
    claim     one attempt takes the task under a lease with a fencing token; duplicates find nothing to claim
    renew     a thread extends the lease; losing it stops the attempt
    finish    effects and status commit in one transaction, only while the lease is ours
    reap      an expired lease is a crash: queued again, and after `max_crashes` dead

Redis may be wiped and a worker killed between any two lines; the row still says what is to be done.
"""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from sqlalchemy import func, or_, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlmodel import Session, col, select

from workers.db import Database, epoch_now
from workers.errors import LeaseLost
from workers.tables import Task, TaskStatus
from workers.timing import Timing

log = structlog.get_logger()

OnDead = Callable[[Session, Task], None]
"""What is to happen when a task is given up, in the transaction that gives it up."""


@dataclass(frozen=True)
class Dispatch:
    """One RQ job to enqueue: the task's id and attempt, and a job id that is never used twice."""

    task_id: int
    attempt: int
    queue: str
    job_id: str


def add(
    session: Session, kind: str, subject_id: int, *, queue: str, team_id: str, key: str = "", due_in: float = 0.0
) -> Task:
    """Ask for work in this transaction. A second request with the same `key` returns the first's row."""
    key = key or f"{kind}:{subject_id}"
    asked = select(Task).where(Task.key == key)
    existing = session.exec(asked).one_or_none()
    if existing is not None:
        return existing
    due_at = session.scalar(select(epoch_now() + due_in)) if due_in else 0.0
    task = Task(kind=kind, subject_id=subject_id, queue=queue, team_id=team_id, key=key, due_at=due_at or 0.0)
    try:
        with session.begin_nested():
            session.add(task)
    except IntegrityError:  # a concurrent request on PostgreSQL was first, and has committed
        return session.exec(asked).one()
    assert task.id is not None
    if not due_in:
        session.info.setdefault("new_tasks", []).append(task.id)
    return task


def repeat(session: Session, kind: str, *, queue: str, key: str) -> None:
    """Ask for work that is done again and again: this key's one row begins anew once it has ended.

    (A row that were deleted instead could give its id, and so its jobs that Redis still has, to another task.)
    """
    add(session, kind, 0, queue=queue, team_id="", key=key)
    session.execute(
        update(Task)
        .where(col(Task.key) == key, col(Task.status).in_((TaskStatus.DONE, TaskStatus.DEAD)))
        .values(
            status=TaskStatus.QUEUED,
            attempt=Task.attempt + 1,
            crashes=0,
            due_at=0.0,
            dispatch_after=0.0,
            lease_owner="",
            lease_until=None,
            finished_at=None,
        )
        .execution_options(synchronize_session=False)
    )


def take_due(session: Session, timing: Timing, *, only: list[int] | None = None, limit: int = 100) -> list[Dispatch]:
    """Mark due tasks as dispatched and return what to enqueue once this transaction has committed."""
    now = session.scalar(select(epoch_now())) or 0.0
    wanted = select(Task).where(
        Task.status == TaskStatus.QUEUED, col(Task.due_at) <= now, col(Task.dispatch_after) <= now
    )
    if only is not None:
        wanted = wanted.where(col(Task.id).in_(only))
    rows = session.exec(wanted.order_by(col(Task.id)).limit(limit).with_for_update(skip_locked=True)).all()
    backlog = session.scalar(select(func.count()).where(Task.status == TaskStatus.QUEUED)) or 0
    patience = timing.redispatch_seconds * max(1.0, backlog / 100)
    dispatches = []
    for task in rows:
        assert task.id is not None
        task.dispatch_after = now + patience
        task.dispatch_no += 1
        session.add(task)
        job_id = f"t{task.id}-{task.attempt}-{task.dispatch_no}"
        dispatches.append(Dispatch(task.id, task.attempt, task.queue, job_id))
    return dispatches


def reap(session: Session, timing: Timing, *, limit: int = 100) -> list[Task]:
    """Queue again what lost its worker. Returns the tasks that died of it (crashed too often)."""
    expired = session.exec(
        select(Task)
        .where(Task.status == TaskStatus.RUNNING, col(Task.lease_until) < epoch_now())
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    dead = []
    for task in expired:
        log.warning("task_lease_expired", task_id=task.id, kind=task.kind, attempt=task.attempt)
        if _crashed(session, task, timing, "its worker stopped answering"):
            dead.append(task)
    return dead


def _crashed(session: Session, task: Task, timing: Timing, reason: str, error_id: str = "") -> bool:
    """Count a crash. True if the task is dead now; else it waits a moment and is queued again."""
    task.crashes += 1
    task.attempt += 1
    task.lease_owner = ""
    task.lease_until = None
    task.last_error = reason
    task.error_id = error_id or task.error_id
    now = session.scalar(select(epoch_now())) or 0.0
    dead = task.crashes >= timing.max_crashes
    task.status = TaskStatus.DEAD if dead else TaskStatus.QUEUED
    task.finished_at = now if dead else None
    task.due_at = now if not error_id else now + 2.0**task.crashes
    task.dispatch_after = 0.0
    session.add(task)
    return dead


class Lease:
    """One attempt's hold on a task. Every transaction that has effects goes through it."""

    def __init__(self, db: Database, task: Task, token: str, timing: Timing) -> None:
        assert task.id is not None
        self.db = db
        self.task = task
        self.task_id = task.id
        self.token = token
        self.timing = timing
        self.lost = threading.Event()
        """Set once another worker has the task."""
        self.stopping = threading.Event()
        """Set once this worker is to stop: end soon, or save what there is and `retry_later`."""
        self.closed = False
        """Whether the attempt is over, however it ended."""

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that commits only while the lease is ours. Raises LeaseLost, committing nothing."""
        with self.db.write() as session:
            self._hold(session)
            yield session

    @contextmanager
    def finish(self) -> Iterator[Session]:
        """The last transaction: its effects and "done" commit together, or neither does."""
        with self.write() as session:
            yield session
            self._set(session, status=TaskStatus.DONE, finished_at=epoch_now(), lease_owner="", lease_until=None)
        self.closed = True

    def retry_later(self, reason: str, seconds: float) -> None:
        """Give the task back: it has not crashed, it is to be tried again after `seconds`."""
        with self.write() as session:
            self._set(
                session,
                status=TaskStatus.QUEUED,
                attempt=self.task.attempt + 1,
                due_at=epoch_now() + seconds,
                dispatch_after=0.0,
                lease_owner="",
                lease_until=None,
                last_error=reason,
            )
        self.closed = True

    def crash(self, reason: str, error_id: str, on_dead: OnDead | None = None) -> bool:
        """The attempt broke. True if that was once too often: `on_dead` then ran in the same transaction."""
        with self.write() as session:
            task = session.get_one(Task, self.task_id)
            dead = _crashed(session, task, self.timing, reason, error_id)
            if dead and on_dead is not None:
                on_dead(session, task)
        self.closed = True
        return dead

    def renew(self) -> None:
        """Extend the lease. Raises LeaseLost if another worker has the task."""
        with self.write():
            pass

    @contextmanager
    def kept(self) -> Iterator["Lease"]:
        """Renew in a thread for the length of the block; `lost` is set as soon as the lease is gone."""
        stop = threading.Event()
        thread = threading.Thread(target=self._keep, args=(stop,), name=f"lease-{self.task_id}", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            thread.join()

    def check(self) -> None:
        """Raise LeaseLost if the renewing thread has found the lease gone."""
        if self.lost.is_set():
            raise LeaseLost(f"task {self.task_id} is no longer ours")

    def _keep(self, stop: threading.Event) -> None:
        while not stop.wait(self.timing.lease_seconds / 4):
            if self.closed:
                return
            try:
                self.renew()
            except LeaseLost:
                return  # `lost` is set
            except DBAPIError as error:  # the database is away for a moment: the lease may survive it
                log.warning("lease_not_renewed", task_id=self.task_id, error=type(error).__name__)

    def _hold(self, session: Session) -> None:
        self._set(session, lease_until=epoch_now() + self.timing.lease_seconds)

    def _set(self, session: Session, **values: object) -> None:
        result = session.execute(
            update(Task)
            .where(
                col(Task.id) == self.task_id,
                col(Task.lease_owner) == self.token,
                col(Task.attempt) == self.task.attempt,
                col(Task.status) == TaskStatus.RUNNING,
            )
            .values(**values)
            .execution_options(synchronize_session=False)
        )
        if _rows(result) == 0:
            self.lost.set()
            raise LeaseLost(f"task {self.task_id} is no longer ours")


def claim(db: Database, task_id: int, attempt: int, timing: Timing) -> Lease | None:
    """Take the task for this attempt. None: somebody else has it, or it is done; leave quietly."""
    token = uuid.uuid4().hex
    with db.write() as session:
        result = session.execute(
            update(Task)
            .where(col(Task.id) == task_id, col(Task.attempt) == attempt, col(Task.status) == TaskStatus.QUEUED)
            .values(status=TaskStatus.RUNNING, lease_owner=token, lease_until=epoch_now() + timing.lease_seconds)
            .execution_options(synchronize_session=False)
        )
        if _rows(result) == 0:
            return None
        task = session.get_one(Task, task_id)
    return Lease(db, task, token, timing)


def expire_lease(db: Database, task_id: int, attempt: int) -> None:
    """Somebody saw the attempt's process die: let the next reap queue it again at once."""
    with db.write() as session:
        session.execute(
            update(Task)
            .where(col(Task.id) == task_id, col(Task.attempt) == attempt, col(Task.status) == TaskStatus.RUNNING)
            .values(lease_until=epoch_now() - 1.0)
            .execution_options(synchronize_session=False)
        )


def unfinished(session: Session, *, queue: str | None = None) -> int:
    """How many tasks are queued or running (of one queue)."""
    wanted = select(func.count()).where(
        or_(col(Task.status) == TaskStatus.QUEUED, col(Task.status) == TaskStatus.RUNNING)
    )
    if queue is not None:
        wanted = wanted.where(Task.queue == queue)
    return session.scalar(wanted) or 0


def _rows(result: object) -> int:
    assert isinstance(result, CursorResult)
    return result.rowcount
