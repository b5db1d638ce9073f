"""What came of asking a vendor about a run, written into the run: its state, its figures, and when to ask again.

    the vendor says             the run
    pending, running            training (again, if it was resumed there)
    paused                      paused
    succeeded, failed, ended    ended, one way or the other; the name of the model is waited for a quarter of an hour
    a state we do not know      as before; the card shows the vendor's word
    no such provider job        as before; failed (or cancelled if that was asked for) once it has said so several times
                                in a quarter of an hour: credentials of another account do not see it either
    credentials refused         as before, asked about every five minutes: an admin must renew them
    slow down                   as before, asked about when it said
    no answer                   as before, asked about more and more seldom

After a day without any answer, or with refused credentials, the run fails.

Everything here happens under the run's row lock and looks at its state again: news that come twice, or late, or of a
run that has ended meanwhile, do nothing.
"""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlmodel import Session, select

from providers.base import Checkpoint, ProviderJob, ProviderJobStatus
from providers.errors import NotAllowed, NotConfigured, NotFound, ProviderError, RateLimited, TrainingFailed
from providers.prices import vendor
from workers.db import epoch_now
from workers.run_status import RunStatus
from workers.runs import checkpoints, lifecycle, progress, watching
from workers.runs.pace import JITTER, REFUSED_SECONDS, Pace, away_in, jittered, limited_for
from workers.runs.watching import Due
from workers.tables import Run

log = structlog.get_logger()

PATIENCE_SECONDS = 24 * 3600.0
"""How long a vendor that does not answer, or refuses us, is asked again before its run is given up."""
NAMELESS_SECONDS = 900.0
"""How long a vendor that says "succeeded" may take to name the model."""
MISSING_FOR, MISSING_APART, MISSING_LOOKS = 90, 6, 5
"""A vendor that has no such training is believed after so many intervals of polling (15 minutes), is asked again after
so many (a minute), and so many times at least."""
QUIETLY = 60.0
"""Trouble that passes within so many seconds is not shown on the card."""

_ENDED = frozenset({ProviderJobStatus.SUCCEEDED, ProviderJobStatus.FAILED, ProviderJobStatus.CANCELLED})
_GOING = frozenset({ProviderJobStatus.PENDING, ProviderJobStatus.RUNNING})


@dataclass(frozen=True)
class Seen:
    """What came of asking: the provider job, or what was wrong."""

    due: Due
    job: ProviderJob | None = None
    error: ProviderError | None = None
    error_id: str = ""  # of the log's line, where asking broke because of a fault of ours
    refused_wish: str = ""  # the vendor's words, where it would not pause or resume the job
    checkpoints: Sequence[Checkpoint] | None = None


def take_in(session: Session, seen: Seen, pace: Pace) -> None:
    """Write it into the run. Does nothing for a run that is not at this provider job any more, or has ended."""
    due = seen.due
    run = session.get(Run, due.run_id, with_for_update=True)
    if run is None or run.provider_job_id != due.job_id or not watching.is_watched(run):
        return
    now = session.scalar(select(epoch_now())) or 0.0
    if seen.job is None:
        seconds = _troubled(session, run, seen, pace, now)
    elif run.poll_cursor != due.cursor:  # another watcher has written this or more
        seconds = _seen(session, run, replace(seen.job, metrics=(), events=(), cursor=run.poll_cursor), pace, now)
    else:
        seconds = _seen(session, run, seen.job, pace, now)
    if run.next_poll_at == due.until:  # else somebody wants it sooner
        run.next_poll_at = now + seconds if seconds is not None else None
    if seen.refused_wish and run.pause_requested == due.pausing:
        lifecycle.drop_pause_wish(session, run, seen.refused_wish)
    if seen.checkpoints is not None:
        checkpoints.keep(session, run, seen.checkpoints)
        run.progress = {**run.progress, "checkpoints_at": now}
    session.add(run)


def _seen(session: Session, run: Run, job: ProviderJob, pace: Pace, now: float) -> float | None:
    """Seconds until the next poll; None: it has ended."""
    recovered = "trouble" in run.progress
    if recovered:
        run.progress = {name: value for name, value in run.progress.items() if name != "trouble"}
    changed = progress.record(session, run, job, draw=False)
    if job.status in _ENDED and not _is_nameless(session, run, job, now):
        if not run.status.is_final:  # the nameless are failed after a while
            progress.ended(session, run, job)
        return None
    moved = _follow_pausing(session, run, job)
    if changed or moved or "changed_at" not in run.progress:
        run.progress = {**run.progress, "changed_at": now}
    if not moved:
        _draw_in_turn(session, run, pace, now, wanted=changed or recovered)
    quiet = 0.0 if run.status is RunStatus.CANCELLING else now - float(run.progress["changed_at"])
    return pace.poll_in(quiet)


def _draw_in_turn(session: Session, run: Run, pace: Pace, now: float, *, wanted: bool) -> None:
    """Redraw the card, unless the workspace's cards have had their share of Slack's limit; then at a later poll."""
    figures = run.progress
    if not (wanted or figures.get("undrawn")):
        return
    apart = pace.edits_apart(run.team_id)
    if now - float(figures.get("drawn_at") or 0.0) >= apart:
        run.progress = {**figures, "drawn_at": now + apart * random.uniform(-0.2, 0.2), "undrawn": False}  # noqa: S311
        lifecycle.redraw(session, run, urgent=False)
    elif not figures.get("undrawn"):
        run.progress = {**figures, "undrawn": True}


def _follow_pausing(session: Session, run: Run, job: ProviderJob) -> bool:
    """Whether the run was paused or goes on, by our wish or from outside."""
    if run.status is RunStatus.TRAINING and job.status is ProviderJobStatus.PAUSED:
        outside = "" if run.pause_requested else f"Paused at {vendor(run.provider).text}."
        run.pause_requested = True
        lifecycle.transition(session, run, RunStatus.PAUSED, outside)
        return True
    if run.status is RunStatus.PAUSED and job.status in _GOING:
        run.pause_requested = False
        lifecycle.transition(session, run, RunStatus.TRAINING)
        return True
    return False


def _is_nameless(session: Session, run: Run, job: ProviderJob, now: float) -> bool:
    """Whether a job that has succeeded must still name its model. One that never does fails its run, here."""
    if job.status is not ProviderJobStatus.SUCCEEDED or job.tuned_model or run.status is RunStatus.CANCELLING:
        return False
    since = float(run.progress.get("nameless_since") or now)
    if now - since < NAMELESS_SECONDS:
        run.progress = {**run.progress, "nameless_since": since}
        return True
    name = vendor(run.provider).text
    lifecycle.fail(session, run, f"{name} says that the training has succeeded, but names no model. Look at its "
                                 "console: the model may be there.")  # fmt: skip
    return False


def _troubled(session: Session, run: Run, seen: Seen, pace: Pace, now: float) -> float | None:
    """Seconds until the next poll; None: the run has ended."""
    error, name = seen.error, vendor(run.provider).text
    if isinstance(error, TrainingFailed):
        lifecycle.fail(session, run, error.user_message)
        return None
    trouble = dict(run.progress.get("trouble") or {})
    since = float(trouble.get("since") or now)
    lasted = now - since
    if lasted >= PATIENCE_SECONDS and not isinstance(error, RateLimited):
        lifecycle.fail(session, run, _given_up(name, error), seen.error_id)
        return None
    kind, seconds = _kind_of(error, lasted)
    missing: dict[str, float] = {}
    if isinstance(error, NotFound):
        kind, seconds = "missing", jittered(MISSING_APART * pace.shortest)
        missing = _missing(trouble, now)
        if missing["looks"] >= MISSING_LOOKS and now - missing["since"] >= MISSING_FOR * pace.shortest:
            _believed(session, run, name)
            return None
    told = bool(trouble.get("told"))
    tell = kind in {"refused", "broken", "missing"} and trouble.get("kind") != kind
    tell = tell or (not told and (lasted >= QUIETLY or seconds >= 2 * QUIETLY))
    run.progress = {
        **run.progress,
        "trouble": {
            "kind": kind,
            "since": since,
            "until": now + seconds,
            "words": progress.words(error.user_message, 400) if error is not None else "",
            "error_id": seen.error_id,
            "told": told or tell,
            **({"missing": missing} if missing else {}),
        },
    }
    if tell:
        lifecycle.redraw(session, run, urgent=False)
    return seconds


def _missing(trouble: Mapping[str, Any], now: float) -> dict[str, float]:
    """Since when, and with how many looks in a row, the vendor says that it has no such training."""
    before = dict(trouble.get("missing") or {})
    return {"since": float(before.get("since") or now), "looks": int(before.get("looks") or 0) + 1}


def _believed(session: Session, run: Run, name: str) -> None:
    """The vendor has said often enough that it has no such training."""
    words = (
        f"{name} has no such training any more: somebody must have deleted it there. Or the credentials are those of "
        f"another account or project now; then it may still go on there, and be billed: look at {name}'s console."
    )
    if run.status is RunStatus.CANCELLING:
        lifecycle.transition(session, run, RunStatus.CANCELLED, words)
    else:
        lifecycle.fail(session, run, f"{words} Your dataset is safe.")


def _kind_of(error: ProviderError | None, lasted: float) -> tuple[str, float]:
    """What kind of trouble it is, and after how many seconds to ask again; a training that is missing aside."""
    if isinstance(error, NotAllowed | NotConfigured):
        return "refused", jittered(REFUSED_SECONDS)
    if isinstance(error, RateLimited):
        return "limited", limited_for(error) * (1 + JITTER)
    if error is None:
        return "broken", away_in(lasted, None)
    return ("away" if error.retryable else "rejected"), away_in(lasted, error.retry_after)


def _given_up(name: str, error: ProviderError | None) -> str:
    why = error.user_message if error is not None else "There was a fault on our side."
    return (
        f"For a day {name} could not be asked about this training. {why} It may still go on there, and be billed: look "
        f"at {name}'s console."
    )


def seconds_until_asked_again(error: ProviderError, lasted: float) -> float:
    """How long a vendor is left alone after this trouble, which began `lasted` seconds ago."""
    return _kind_of(error, lasted)[1]


def note_trouble(run: Run, error: ProviderError, seconds: float) -> None:
    """A create call was refused for now: the card says why it waits."""
    now = time.time()
    kind, _ = _kind_of(error, 0.0)
    before = run.progress.get("trouble") or {}
    run.progress = {
        **run.progress,
        "trouble": {
            "kind": kind,
            "since": float(before.get("since") or now),
            "until": now + seconds,
            "words": progress.words(error.user_message, 400),
            "error_id": "",
            "told": True,
        },
    }
