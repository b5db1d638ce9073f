"""Carries out `watch`: asks vendors about the runs that are due, many at once, and writes down what they say.

One attempt serves whatever becomes due for about a minute, and ends sooner where nothing does; the dispatcher asks for
the next. Vendors answer slowly, so each poll has a thread; the database is spoken to by the attempt's own thread alone,
in few transactions. A lane (a workspace's credentials at one provider) has its own few threads and its own pauses: one
that hangs or is told to slow down takes nothing from the others.

Killed at any point it leaves runs whose claims run out, and are claimed again: nothing else is remembered.
"""

import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError

from providers.base import Checkpoint, ProviderJob, ProviderJobStatus, TrainingProvider
from providers.errors import InvalidRequest, NotAllowed, NotConfigured, ProviderError, RateLimited
from workers import vendors
from workers.context import Context
from workers.errors import LeaseLost
from workers.run_status import RunStatus
from workers.runs import news, watching
from workers.runs.news import Seen
from workers.runs.pace import Pace, limited_for
from workers.runs.watching import Due, Lane
from workers.tasks import Lease

log = structlog.get_logger()

WATCH_SECONDS = 60.0
"""An attempt takes no more runs after this."""
LINGER_SECONDS = 1.5
"""An attempt with nothing to do waits so long for the next run to become due."""
AT_ONCE = 128
"""Polls under way together."""
LANE_AT_ONCE, DOUBTFUL_AT_ONCE = 16, 2
"""Polls of one lane under way together; fewer while its vendor does not answer."""
BEGUN_A_SECOND, BEGUN_AT_ONCE = 250.0, 50.0
"""How many polls begin: what has become due while nobody watched is no reason for a crowd."""
WRITTEN_AT_ONCE = 100
GATHER_SECONDS = 0.2
"""News are gathered for so long before they are written."""
PACE_SECONDS = 10.0
"""How old a count of what is watched may be."""
DRAIN_SECONDS = 6.0
"""How long the polls under way at an attempt's end are waited for."""

AWAY = (OperationalError, InterfaceError)
"""The database is away for a moment, or two watchers wait for each other: what is not written is asked for again."""


@dataclass
class _Lane:
    """What waits for a workspace's credentials at one provider."""

    waiting: deque[tuple[Due, float]] = field(default_factory=deque)
    """Runs, and when (monotonic) their claim ends."""
    running: int = 0
    doubtful: bool = False
    provider: TrainingProvider | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def width(self) -> int:
        """How many of its polls may be under way together."""
        return DOUBTFUL_AT_ONCE if self.doubtful else LANE_AT_ONCE

    @property
    def is_full(self) -> bool:
        """Whether it has enough to do for now."""
        return self.running + len(self.waiting) >= self.width


def watch(context: Context, lease: Lease) -> None:
    """Ask about whatever is due, for about a minute."""
    _Watch(context, lease).run()
    with lease.finish():
        pass


class _Watch:
    """One attempt."""

    def __init__(self, context: Context, lease: Lease) -> None:
        self._context = context
        self._lease = lease
        self._lanes: dict[Lane, _Lane] = {}
        self._running = 0
        self._may_begin, self._began_at = BEGUN_AT_ONCE, time.monotonic()
        self._answers: SimpleQueue[Seen] = SimpleQueue()
        self._pace = Pace(shortest=context.settings.poll_seconds)
        self._pace_until = 0.0

    def run(self) -> None:
        until = time.monotonic() + WATCH_SECONDS
        try:
            while time.monotonic() < until and not self._lease.stopping.is_set():
                self._lease.check()
                claimed = self._claim()
                self._start()
                if not claimed and not self._running and self._is_over():
                    break
                self._write(self._gathered())
        finally:
            self._end()

    def _claim(self) -> bool:
        """Take what is due and fits. False: nothing was."""
        now = time.monotonic()
        room = AT_ONCE - self._running - sum(len(lane.waiting) for lane in self._lanes.values() if not lane.is_full)
        if room <= 0:
            return True
        with self._context.db.read() as session:  # an idle look costs no lock
            if not watching.due(session):
                return False
            if now >= self._pace_until:
                self._pace = watching.pace(session, self._context.settings.poll_seconds)
                self._pace_until = now + PACE_SECONDS
        full = [key for key, lane in self._lanes.items() if lane.is_full]
        with self._lease.write() as session:
            taken = watching.claim(session, room, without=full)
        for one in taken:
            lane = self._lanes.setdefault(one.lane, _Lane())
            lane.waiting.append((one, now + watching.CLAIM_SECONDS))
        return bool(taken)

    def _is_over(self) -> bool:
        """Whether nothing becomes due soon."""
        with self._context.db.read() as session:
            seconds = watching.seconds_until_next(session)
        return seconds is None or seconds > LINGER_SECONDS

    def _start(self) -> None:
        """Begin what may be begun, a little of each lane in turn."""
        now = time.monotonic()
        self._may_begin = min(BEGUN_AT_ONCE, self._may_begin + (now - self._began_at) * BEGUN_A_SECOND)
        self._began_at = now
        while (left := min(int(self._may_begin), AT_ONCE - self._running)) > 0:
            ready = [key for key, lane in self._lanes.items() if lane.waiting and lane.running < lane.width][:left]
            if not ready:
                return
            for key in ready:
                lane = self._lanes[key] = self._lanes.pop(key)  # the next time after all others
                due, until = lane.waiting.popleft()
                if until <= now:  # it is anybody's again
                    continue
                self._may_begin -= 1
                lane.running += 1
                self._running += 1
                threading.Thread(target=self._poll, args=(lane, due), name=f"poll-{due.run_id}", daemon=True).start()

    def _poll(self, lane: _Lane, due: Due) -> None:
        """Ask, in a thread of its own; whatever happens, there is an answer."""
        try:
            seen = ask(self._context, self._provider(lane, due), due)
        except ProviderError as error:
            seen = Seen(due, error=error)
        except Exception:  # the edge of a vendor's room: the other runs must not suffer from it
            error_id = uuid.uuid4().hex[:12]
            log.exception("poll_broke", run_id=due.run_id, error_id=error_id)
            seen = Seen(due, error_id=error_id)
        self._answers.put(seen)

    def _provider(self, lane: _Lane, due: Due) -> TrainingProvider:
        with lane.lock:
            if lane.provider is None:
                lane.provider = vendors.training(self._context, due.team_id, due.provider)
            return lane.provider

    def _gathered(self) -> list[Seen]:
        """The answers of the next moment; their lanes are told how it went."""
        answers: list[Seen] = []
        until = time.monotonic() + GATHER_SECONDS
        while len(answers) < WRITTEN_AT_ONCE:
            try:
                answers.append(self._answers.get(timeout=max(0.001, until - time.monotonic())))
            except Empty:
                break
            self._went(answers[-1])
        return answers

    def _went(self, seen: Seen) -> None:
        lane = self._lanes[seen.due.lane]
        lane.running -= 1
        self._running -= 1
        if isinstance(seen.error, RateLimited):
            self._put_back(lane, limited_for(seen.error), all_of=seen.due.lane)
        elif isinstance(seen.error, NotAllowed | NotConfigured):
            with lane.lock:
                lane.provider = None  # the credentials may be renewed at any time
        lane.doubtful = seen.error is not None and seen.error.retryable

    def _put_back(self, lane: _Lane, seconds: float = 0.0, *, all_of: Lane | None = None) -> None:
        """Give back what waits, to be asked about after a while; with `all_of` the lane's other runs are not before."""
        left = [due for due, _ in lane.waiting]
        lane.waiting.clear()
        if left or all_of is not None:
            with self._lease.write() as session:
                watching.put_back(session, left, seconds)
                if all_of is not None:
                    watching.defer(session, all_of, seconds)

    def _write(self, answers: list[Seen]) -> None:
        """One transaction for all; where that fails, one for each. What cannot be written is asked for again."""
        if not answers:
            return
        answers = sorted(answers, key=lambda one: one.due.run_id)  # two watchers lock rows in the same order
        try:
            with self._lease.write() as session:
                for one in answers:
                    news.take_in(session, one, self._pace)
        except AWAY as error:
            log.warning("news_left_to_their_claims", count=len(answers), error=type(error).__name__)
        except LeaseLost:
            raise
        except Exception:  # one of them cannot be written: the others must not suffer from it
            log.exception("news_written_one_by_one", count=len(answers))
            for one in answers:
                self._write_alone(one)

    def _write_alone(self, seen: Seen) -> None:
        error_id = uuid.uuid4().hex[:12]
        for one in (seen, Seen(seen.due, error_id=error_id)):
            try:
                with self._lease.write() as session:
                    news.take_in(session, one, self._pace)
            except AWAY as error:
                log.warning("news_left_to_their_claims", count=1, error=type(error).__name__)
                return
            except LeaseLost:
                raise
            except Exception:  # as above; not even that it broke can be written: its claim runs out
                log.exception("news_unwritable", run_id=one.due.run_id, error_id=error_id)
            else:
                return

    def _end(self) -> None:
        """Wait a while for what is under way, and give back what was not begun."""
        until = time.monotonic() + DRAIN_SECONDS
        while self._running and time.monotonic() < until and not self._lease.lost.is_set():
            self._write(self._gathered())
        if not self._lease.lost.is_set():
            for lane in self._lanes.values():
                self._put_back(lane)


def ask(context: Context, provider: TrainingProvider, due: Due) -> Seen:
    """Ask about one run, passing on what people want of it. Raises ProviderError."""
    if due.status is RunStatus.CANCELLING:
        _wish(provider.cancel, due.job_id)  # again each time, until it is heard
    job = provider.poll(due.job_id, due.cursor)
    refused = ""
    if due.status is RunStatus.TRAINING and due.pausing and job.status is ProviderJobStatus.RUNNING:
        refused = _wish(provider.pause, due.job_id)
        job = _again(provider, job)
    elif due.status is RunStatus.PAUSED and not due.pausing and job.status is ProviderJobStatus.PAUSED:
        refused = _wish(provider.resume, due.job_id)
        job = _again(provider, job)
    return Seen(due, job, refused_wish=refused, checkpoints=_checkpoints(context, due))


def _wish(act: Callable[[str], None], job_id: str) -> str:
    """Pass it on. The vendor's words where it would not hear of it: the job may have ended, or never can."""
    try:
        act(job_id)
    except InvalidRequest as error:
        return error.user_message
    return ""


def _again(provider: TrainingProvider, job: ProviderJob) -> ProviderJob:
    """The job after a wish was passed on, with the news of before."""
    later = provider.poll(job.id, job.cursor)
    return replace(later, metrics=(*job.metrics, *later.metrics), events=(*job.events, *later.events))


def _checkpoints(context: Context, due: Due) -> list[Checkpoint] | None:
    """The checkpoints so far, once in a while. None: not now, or there was no answer."""
    if not due.wants_checkpoints:
        return None
    try:
        return list(vendors.models(context, due.team_id, due.provider).checkpoints(due.job_id))
    except ProviderError as error:
        log.info("checkpoints_not_listed", run_id=due.run_id, error=type(error).__name__)
        return None
