"""Carrying out a run's evaluation: both models answer the held-out examples, then the verdict is announced.

Every answer is kept as it comes, so that an attempt goes on where the last one was killed.
"""

import time
from collections.abc import Sequence
from itertools import chain
from typing import Any

import structlog
from sqlmodel import Session, col, select

from providers.base import ChatMessage
from providers.capabilities import CAPABILITIES
from providers.errors import NotFound, ProviderError, RateLimited
from workers import hosting, vendors
from workers.context import Context
from workers.dataprep import tokens
from workers.dataprep.example import Example
from workers.errors import RetryLater
from workers.evaluation import generate, preferences, reference
from workers.plans.choices import Choices
from workers.run_status import FINAL, RunStatus
from workers.runs import comparison, conclusion, division, lifecycle, material, spending
from workers.tables import Evaluation, Generation, Run, Task
from workers.tasks import Lease

log = structlog.get_logger()

WRITE_SECONDS = 1.0
"""How often answers are written into the database."""
RETRY_SECONDS = 3.0
PATIENCE_SECONDS = 900.0
"""How long after the evaluation began a model server that does not answer is waited for."""
LIMITED_PATIENCE_SECONDS = 3600.0
"""The same of a vendor that wants us to go slowly."""
LIMITED_SECONDS = 20.0
LONGEST_PAUSE = 600.0
ROOM = 1.5
"""A model may write so many times the longest reference's tokens, and `MARGIN` more."""
MARGIN = 16
PARTS_SECONDS = 3.0
"""How often a cross-checked run looks whether its short runs have ended, on this machine."""


class _Cancelled(Exception):
    """Somebody cancelled the run; noted already."""


def evaluate(context: Context, lease: Lease) -> None:
    """Evaluate a trained run and make it ready, or say why it could not be evaluated."""
    evaluation, run = _begin(lease)
    if evaluation is None:
        return
    examples = _asked(context, run)
    parts = _parts(context, lease, run)
    tested = {part.id: _asked(context, part) for part in parts}
    problem = "" if examples or parts else comparison.why_not(context, run)
    failed: dict[str, Any] = {"problem": problem} if problem else {}
    max_tokens = _max_tokens([*examples, *chain.from_iterable(tested.values())])
    try:
        if examples:
            with context.db.read() as session:
                names = hosting.chat_names(session, run)
            for model, name in zip((run.base_model, run.model_name), names, strict=True):
                _generate(context, lease, run, evaluation, model, name, examples, max_tokens)
    except _Cancelled:
        return
    except ProviderError as error:
        _wait_for(lease, run, error)
        failed = hosting.unmade(run, f"The models could not be compared: {error.user_message}")
    system_prompt = material.common_system_prompt(context, run)
    note = material.divided(context, run).note
    judged = material.judged(context, run)
    with lease.finish() as session:
        row = session.get_one(Run, run.id, with_for_update=True)
        if row.status is RunStatus.CANCELLING:
            conclusion.cancelled(session, row, "Cancelled during the evaluation.")
            return
        if failed:
            summary = failed
        elif parts:
            summary = comparison.of_parts(session, parts, tested)
        else:
            summary = comparison.of_run(session, evaluation, run, examples, note)
        summary = preferences.noted(summary, judged)
        kept = session.get_one(Evaluation, evaluation.id)
        kept.done, kept.summary = True, spending.noted(session, kept, row, summary)
        session.add(kept)
        if row.status is RunStatus.READY:
            conclusion.made_up(session, row, lease.task)
        else:
            conclusion.ready(session, row, system_prompt, max_tokens)
    for part in parts:
        material.discard_model(context, part)


def gave_up(session: Session, task: Task) -> None:
    """The evaluation broke too often: the model is there all the same, and can be chatted with."""
    run = session.get_one(Run, task.subject_id, with_for_update=True)
    if run.status is RunStatus.CANCELLING:
        conclusion.cancelled(session, run, "Cancelled during the evaluation.")
    if run.status in FINAL and not hosting.is_owed(session, run):
        return
    evaluation = conclusion.evaluation_of(session, run)
    evaluation.done = True
    words = f"The models could not be compared because of a fault on our side (error id {task.error_id or 'none'})."
    evaluation.summary = spending.noted(session, evaluation, run, hosting.unmade(run, words))
    session.add(evaluation)
    if run.status is RunStatus.READY:
        conclusion.made_up(session, run, task)
    else:
        conclusion.ready(session, run, "", 512)


def _begin(lease: Lease) -> tuple[Evaluation | None, Run]:
    """None: there is nothing to do (done by an earlier attempt, or cancelled)."""
    with lease.write() as session:
        run = session.get_one(Run, lease.task.subject_id, with_for_update=True)
        if run.status is RunStatus.CANCELLING:
            conclusion.cancelled(session, run, "Cancelled before the evaluation.")
        wanted = run.status is RunStatus.EVALUATING or hosting.is_owed(session, run)
        evaluation = conclusion.evaluation_of(session, run) if wanted else None
    if evaluation is None:
        with lease.finish():
            pass
    return evaluation, run


def _wait_for(lease: Lease, run: Run, error: ProviderError) -> None:
    """Raise RetryLater if the trouble may pass, counted from when the evaluation was asked for."""
    waited = time.time() - lease.task.created_at
    if isinstance(error, RateLimited):
        if waited < LIMITED_PATIENCE_SECONDS:
            raise RetryLater(error.user_message, min(error.retry_after or LIMITED_SECONDS, LONGEST_PAUSE)) from error
    elif waited < PATIENCE_SECONDS and (error.retryable or _may_appear(run, error)):
        raise RetryLater(error.user_message, min(error.retry_after or RETRY_SECONDS, LONGEST_PAUSE)) from error


def _may_appear(run: Run, error: ProviderError) -> bool:
    """A model that was just deployed is not found everywhere at once; one that is not hosted stays away."""
    return CAPABILITIES[run.provider].must_deploy and isinstance(error, NotFound) and bool(error.detail)


def _parts(context: Context, lease: Lease, run: Run) -> list[Run]:
    """The short runs that cross-check this one, once all have ended. Raises RetryLater until then."""
    if not Choices.from_json(run.plan).cross_checked or division.part_of(run) is not None:
        return []
    with context.db.read() as session:
        parts = lifecycle.parts(session, run)
    ended = sum(part.status in FINAL for part in parts)
    if ended == len(parts):
        return parts
    with lease.write() as session:
        row = session.get_one(Run, run.id, with_for_update=True)
        stage = f"cross-checking: {ended} of {len(parts)} short runs have ended"
        if row.progress.get("stage") != stage:
            row.progress = {**row.progress, "stage": stage}
            session.add(row)
            lifecycle.redraw(session, row, urgent=False)
    local = run.provider in lifecycle.LOCAL_PROVIDERS
    raise RetryLater("the short runs have not ended yet", PARTS_SECONDS if local else 10 * PARTS_SECONDS)


def _asked(context: Context, run: Run) -> list[Example]:
    """The held-out examples that both models answer: none whose answer is not wanted."""
    return [one for one in material.held_out(context, run) if one.label is not False]


def _max_tokens(examples: Sequence[Example]) -> int:
    longest = max((tokens.count(reference.of(one), "o200k_base") for one in examples), default=256)
    return int(longest * ROOM) + MARGIN


def _generate(
    context: Context,
    lease: Lease,
    run: Run,
    evaluation: Evaluation,
    model: str,
    name: str,
    examples: Sequence[Example],
    max_tokens: int,
) -> None:
    """Ask `model` under its present `name` for every answer that is not there yet.

    What was answered is kept, however it ends. Raises ProviderError, RetryLater, _Cancelled, LeaseLost.
    """
    with context.db.read() as session:
        known = select(Generation.position).where(
            Generation.evaluation_id == evaluation.id, col(Generation.model) == model
        )
        there = set(session.exec(known))
    missing = {
        place: [ChatMessage(_role(one.role), one.text) for one in example.prompt]
        for place, example in enumerate(examples)
        if place not in there
    }
    if not missing:
        return
    pending: list[generate.Answer] = []
    done, written = len(there), time.monotonic()
    which = "base model" if model == run.base_model else "tuned model"
    _write(lease, run, evaluation, model, [], f"{which}: {done} of {len(examples)} answers")
    chat, at_once = vendors.chat(context, run.team_id, run.provider), CAPABILITIES[run.provider].chats_at_once
    answers = generate.answers(
        chat, name, missing, max_tokens, at_once=at_once, is_known=bool(there), stopping=lease.stopping
    )
    try:
        for answer in answers:
            pending.append(answer)
            done += 1
            if time.monotonic() - written >= WRITE_SECONDS:
                lease.check()
                _write(lease, run, evaluation, model, pending, f"{which}: {done} of {len(examples)} answers")
                pending.clear()
                written = time.monotonic()
    except ProviderError:
        _write(lease, run, evaluation, model, pending, f"{which}: {done} of {len(examples)} answers")
        raise
    _write(lease, run, evaluation, model, pending, f"{which}: {done} of {len(examples)} answers")
    if done < len(examples):
        raise RetryLater("this process is stopping", 0.0)


def _role(role: str) -> str:
    return "system" if role == "developer" else role


def _write(
    lease: Lease, run: Run, evaluation: Evaluation, model: str, news: Sequence[generate.Answer], stage: str
) -> None:
    """Keep the answers and show how far it is. Raises _Cancelled, having noted it."""
    with lease.write() as session:
        row = session.get_one(Run, run.id, with_for_update=True)
        cancelled = row.status is RunStatus.CANCELLING
        for one in news:
            session.add(
                Generation(
                    evaluation_id=evaluation.id or 0,
                    model=model,
                    position=one.position,
                    answer=one.text,
                    finish_reason=one.finish_reason,
                    prompt_tokens=one.prompt_tokens,
                    completion_tokens=one.completion_tokens,
                )
            )
        row.progress = {**row.progress, "stage": stage}
        session.add(row)
        lifecycle.redraw(session, row, urgent=False)
    if cancelled:
        with lease.finish() as session:
            conclusion.cancelled(
                session, session.get_one(Run, run.id, with_for_update=True), "Cancelled during the evaluation."
            )
        raise _Cancelled
