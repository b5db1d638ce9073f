"""One poll of a provider job: its state, and the events and metrics since the last one."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile

import httpx2
import structlog
from openai import OpenAI

from providers._openai_api import answers, results
from providers._openai_api.answers import Json, Raw
from providers._openai_api.errors import Vendor, translated
from providers._openai_api.files import Files
from providers.base import MetricPoint, ProviderEvent, ProviderJob, ProviderJobStatus
from providers.errors import NotFound, ProviderError, Unavailable

log = structlog.get_logger()

POLL_SECONDS = 4.0
"""A whole poll takes no longer."""
PAGE, MOST_PAGES = 100, 3
"""So many events are read in one poll, the newest first; what is older is left out."""

STATUSES: Mapping[str, ProviderJobStatus] = {
    "created": ProviderJobStatus.PENDING,
    "validating_files": ProviderJobStatus.PENDING,
    "pending": ProviderJobStatus.PENDING,
    "queued": ProviderJobStatus.PENDING,
    "resuming": ProviderJobStatus.PENDING,
    "running": ProviderJobStatus.RUNNING,
    "pausing": ProviderJobStatus.RUNNING,
    "cancelling": ProviderJobStatus.RUNNING,
    "paused": ProviderJobStatus.PAUSED,
    "succeeded": ProviderJobStatus.SUCCEEDED,
    "failed": ProviderJobStatus.FAILED,
    "cancelled": ProviderJobStatus.CANCELLED,
    "canceled": ProviderJobStatus.CANCELLED,
}
"""The vendors' words for a state, OpenAI's and Azure's."""
_STAGES: Mapping[str, str] = {
    "created": "waiting to begin",
    "validating_files": "checking the files",
    "pending": "waiting in the vendor's queue",
    "queued": "waiting in the vendor's queue",
    "resuming": "about to go on",
    "running": "training",
    "pausing": "about to pause",
    "cancelling": "about to end",
}
ENDED = frozenset({ProviderJobStatus.SUCCEEDED, ProviderJobStatus.FAILED, ProviderJobStatus.CANCELLED})
_STEP = re.compile(r"\bstep\s+(\d{1,9})\s*/\s*(\d{1,9})", re.IGNORECASE)
_LEVELS: Mapping[str, str] = {"warn": "warning", "warning": "warning", "error": "error"}


@dataclass(frozen=True)
class _Seen:
    """How far the events were read: the newest one's time and id, and the step that it was at."""

    at: int = 0
    step: int = 0
    total: int = 0
    event_id: str = ""

    @classmethod
    def read(cls, cursor: str) -> "_Seen":
        """Raises NotFound for what is no cursor of ours."""
        parts = cursor.split("|", 3)
        if not cursor:
            return cls()
        if len(parts) != 4 or not all(one.isdecimal() and one.isascii() for one in parts[:3]):
            raise NotFound("This is no cursor of fine-tuning events.")
        return cls(int(parts[0]), int(parts[1]), int(parts[2]), parts[3])

    def __str__(self) -> str:
        return f"{self.at}|{self.step}|{self.total}|{self.event_id}" if self != _Seen() else ""


class _Clock:
    """What is left of a poll's time."""

    def __init__(self) -> None:
        self.until = time.monotonic() + POLL_SECONDS

    def timeout(self, vendor: Vendor) -> httpx2.Timeout:
        """For the next request. Raises Unavailable if there is no time for one."""
        left = self.until - time.monotonic()
        if left < 0.3:
            raise Unavailable(f"{vendor.name} took too long to answer. Try again.")
        return httpx2.Timeout(left * 0.7, connect=left * 0.3)

    def seconds(self) -> float:
        """Those that are left."""
        return max(self.until - time.monotonic(), 0.0)


class Watcher:
    """Polls a vendor's provider jobs. Safe in threads."""

    def __init__(self, client: OpenAI, vendor: Vendor, files: Files) -> None:
        """`files` deletes a job's training files once it has ended."""
        self._client = client.with_options(max_retries=0)
        self._vendor, self._files = vendor, files

    def poll(self, job_id: str, cursor: str = "") -> ProviderJob:
        """The job now, with what its events say after `cursor`; its own state counts, should they not be had.

        Returns within 5 s. When the job has ended, its training files are deleted there.
        """
        seen, clock = _Seen.read(cursor), _Clock()
        if not job_id:
            raise NotFound(f"{self._vendor.name} has no training without an id.")
        with translated(self._vendor, "training"):
            opening = self._client.fine_tuning.jobs.with_streaming_response.retrieve(
                job_id, timeout=clock.timeout(self._vendor)
            )
            raw = answers.bounded(opening, self._vendor, clock.until)
        data = answers.read(raw, self._vendor)
        job = job_of(data, self._vendor)
        events = self._events(job_id, seen, clock)
        seen = _newest(seen, events)
        points = {one.step: one for event in events if (one := _point(event)) is not None}
        if job.status is ProviderJobStatus.SUCCEEDED:
            points = results.merged(points, self._results(data, clock))
            seen = replace(seen, step=max([seen.step, seen.total, *points]))
        if job.status in ENDED:
            used = [answers.identifier(data, name) for name in ("training_file", "validation_file")]
            self._files.discard([one for one in used if one], clock.seconds)
        return replace(
            job,
            step=seen.step,
            total_steps=seen.total or None,
            metrics=tuple(_with_epoch(points[step], seen.total, job.total_epochs) for step in sorted(points)),
            events=tuple(self._line(one) for one in events if answers.text(one, "type") != "metrics"),
            cursor=str(seen),
        )

    def _events(self, job_id: str, seen: _Seen, clock: _Clock) -> list[Json]:
        """Those after `seen`, the oldest first. The vendor lists the newest first."""

        def ask(query: Json) -> Raw:
            jobs, limits = self._client.fine_tuning.jobs.with_streaming_response, clock.timeout(self._vendor)
            opening = jobs.list_events(job_id, extra_query=dict(query), timeout=limits)
            return answers.bounded(opening, self._vendor, clock.until)

        found: list[Json] = []
        try:
            with translated(self._vendor, "training"):
                told = answers.pages(ask, self._vendor, limit=PAGE, most=MOST_PAGES)
                found.extend(takewhile(partial(_is_new, seen), filter(_is_known, told)))
        except ProviderError as error:
            log.warning("events_not_read", job_id=job_id, error=type(error).__name__, detail=error.detail)
        return found[::-1]

    def _results(self, data: Json, clock: _Clock) -> list[MetricPoint]:
        """The metrics in the file that a finished job leaves; none where it cannot be had."""
        ids = data.get("result_files")
        known = (
            [one for one in ids if isinstance(one, str) and answers.is_identifier(one)] if isinstance(ids, list) else []
        )
        if not known:
            return []
        file_id = known[0]
        try:
            with translated(self._vendor, "file"):
                opening = self._client.files.with_streaming_response.content(
                    file_id, timeout=clock.timeout(self._vendor)
                )
                return results.read(answers.bounded(opening, self._vendor, clock.until).content)
        except ProviderError as error:
            log.warning("results_not_read", file_id=file_id, error=type(error).__name__, detail=error.detail)
            return []

    def _line(self, event: Json) -> ProviderEvent:
        return ProviderEvent(
            id=answers.identifier(event, "id"),
            at=float(_time(event)) or time.time(),
            level=_LEVELS.get(answers.text(event, "level"), "info"),
            message=self._vendor.clean(event.get("message"), 1000),
        )


def job_of(data: Json, vendor: Vendor) -> ProviderJob:
    """The job as the vendor describes it, without its events. Raises Unavailable if it has no id that could be one.

    A job that has succeeded may have no model's name yet, or one that could be none.
    """
    job_id, said = answers.identifier(data, "id"), answers.text(data, "status")
    if not job_id:
        raise Unavailable(f"{vendor.name} answered with something that cannot be read. Try again.")
    status, stage = STATUSES.get(said, ProviderJobStatus.UNKNOWN), _STAGES.get(said, "")
    model = error = None
    if status is ProviderJobStatus.SUCCEEDED:
        model = answers.identifier(data, "fine_tuned_model") or None
        stage = "" if model else "waiting for the model's name"
    if status is ProviderJobStatus.FAILED:
        why = answers.inside(data, "error")
        error = vendor.clean(why.get("message"), 1000) or vendor.clean(why.get("code")) or None
    finish = answers.number(data, "estimated_finish")
    return ProviderJob(
        id=job_id,
        status=status,
        vendor_status=vendor.clean(said, 40),
        stage=stage,
        total_epochs=_epochs(data),
        eta_seconds=None if finish is None or status in ENDED else max(finish - time.time(), 0.0),
        tuned_model=model,
        trained_tokens=answers.whole(data, "trained_tokens"),
        error=error,
    )


def _epochs(data: Json) -> float | None:
    """The number of epochs that the vendor settled on; None while that is "auto"."""
    method = answers.inside(data, "method")
    for place in (answers.inside(method, answers.text(method, "type")), data):
        found = answers.number(answers.inside(place, "hyperparameters"), "n_epochs")
        if found is not None and found > 0:
            return found
    return None


def _is_known(event: Json) -> bool:
    """Whether it can be told apart from others, by its id or at least by its time."""
    return bool(answers.identifier(event, "id")) or answers.whole(event, "created_at") is not None


def _is_new(seen: _Seen, event: Json) -> bool:
    event_id, at = answers.identifier(event, "id"), answers.whole(event, "created_at")
    if not event_id:
        return _time(event) > seen.at
    return event_id != seen.event_id and (at is None or at >= seen.at)


def _time(event: Json) -> int:
    return answers.whole(event, "created_at") or 0


def _steps(event: Json) -> tuple[int | None, int | None]:
    """The step that this event speaks of, and of how many."""
    data = answers.inside(event, "data")
    step, total = answers.whole(data, "step"), answers.whole(data, "total_steps")
    told = _STEP.search(answers.text(event, "message")[:500])
    if told:
        step, total = (int(told[1]) if step is None else step), (int(told[2]) if total is None else total)
    return step, total


def _point(event: Json) -> MetricPoint | None:
    step, _ = _steps(event)
    if answers.text(event, "type") != "metrics" or step is None:
        return None
    return results.point(step, answers.inside(event, "data"))


def _newest(seen: _Seen, events: list[Json]) -> _Seen:
    for event in events:
        step, total = _steps(event)
        seen = _Seen(
            at=max(seen.at, _time(event)),
            step=max(seen.step, step or 0),
            total=total or seen.total,
            event_id=answers.identifier(event, "id"),
        )
    return seen


def _with_epoch(point: MetricPoint, total: int, epochs: float | None) -> MetricPoint:
    return replace(point, epoch=round(point.step / total * epochs, 4)) if total and epochs else point
