"""Carrying out a run's evaluation: both models answer the held-out examples, then the verdict is announced.

Every answer is kept as it comes, so that an attempt goes on where the last one was killed.
"""

import time
from collections.abc import Sequence
from itertools import chain

import structlog
from sqlmodel import Session, col, select

from providers.base import ChatMessage
from providers.errors import ProviderError
from workers import announcements, vendors
from workers.context import Context
from workers.dataprep import tokens
from workers.dataprep.example import Example
from workers.errors import RetryLater
from workers.evaluation import generate
from workers.run_status import FINAL, RunStatus
from workers.runs import comparison, division, lifecycle, material
from workers.runs.choices import Choices
from workers.tables import Endpoint, Evaluation, Generation, Run, Task
from workers.tasks import Lease

log = structlog.get_logger()

WRITE_SECONDS = 1.0
"""How often answers are written into the database."""
RETRY_SECONDS = 3.0
PATIENCE_SECONDS = 900.0
"""How long after training a model server that does not answer is waited for."""
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
    examples = material.held_out(context, run)
    parts = _parts(context, lease, run)
    tested = {part.id: material.held_out(context, part) for part in parts}
    problem = "" if examples or parts else comparison.why_not(context, run)
    max_tokens = _max_tokens([*examples, *chain.from_iterable(tested.values())])
    try:
        for model in (run.base_model, run.model_name):
            _generate(context, lease, run, evaluation, model, examples, max_tokens)
    except _Cancelled:
        return
    except ProviderError as error:
        waited = time.time() - (run.trained_at or 0.0)
        if error.retryable and waited < PATIENCE_SECONDS:
            raise RetryLater(error.user_message, error.retry_after or RETRY_SECONDS) from error
        problem = f"The models could not be compared: {error.user_message}"
    system_prompt = material.common_system_prompt(context, run)
    note = material.divided(context, run).note
    with lease.finish() as session:
        row = session.get_one(Run, run.id, with_for_update=True)
        if row.status is RunStatus.CANCELLING:
            lifecycle.transition(session, row, RunStatus.CANCELLED, "Cancelled during the evaluation.")
            return
        if problem:
            summary = {"problem": problem}
        elif parts:
            summary = comparison.of_parts(session, parts, tested)
        else:
            summary = comparison.of_run(session, evaluation, run, examples, note)
        kept = session.get_one(Evaluation, evaluation.id)
        kept.done, kept.summary = True, summary
        session.add(kept)
        _ready(session, row, system_prompt, max_tokens)
    for part in parts:
        material.discard_model(context, part)


def gave_up(session: Session, task: Task) -> None:
    """The evaluation broke too often: the model is there all the same, and can be chatted with."""
    run = session.get_one(Run, task.subject_id)
    if run.status is RunStatus.CANCELLING:
        lifecycle.transition(session, run, RunStatus.CANCELLED, "Cancelled during the evaluation.")
    if run.status in FINAL:
        return
    evaluation = _evaluation(session, run)
    evaluation.done = True
    words = f"The models could not be compared because of a fault on our side (error id {task.error_id or 'none'})."
    evaluation.summary = {"problem": words}
    session.add(evaluation)
    _ready(session, run, "", 512)


def _begin(lease: Lease) -> tuple[Evaluation | None, Run]:
    """None: there is nothing to do (done by an earlier attempt, or cancelled)."""
    with lease.write() as session:
        run = session.get_one(Run, lease.task.subject_id, with_for_update=True)
        if run.status is RunStatus.CANCELLING:
            lifecycle.transition(session, run, RunStatus.CANCELLED, "Cancelled before the evaluation.")
        evaluation = _evaluation(session, run) if run.status is RunStatus.EVALUATING else None
    if evaluation is None:
        with lease.finish():
            pass
    return evaluation, run


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


def _evaluation(session: Session, run: Run) -> Evaluation:
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


def _max_tokens(examples: Sequence[Example]) -> int:
    longest = max((tokens.count(one.answer, "o200k_base") for one in examples), default=256)
    return int(longest * ROOM) + MARGIN


def _generate(
    context: Context,
    lease: Lease,
    run: Run,
    evaluation: Evaluation,
    model: str,
    examples: Sequence[Example],
    max_tokens: int,
) -> None:
    """Ask `model` for every answer that is not there yet. Raises ProviderError, _Cancelled, LeaseLost."""
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
    for answer in generate.answers(vendors.chat(context, run.team_id, run.provider), model, missing, max_tokens):
        pending.append(answer)
        done += 1
        if time.monotonic() - written >= WRITE_SECONDS:
            lease.check()
            _write(lease, run, evaluation, model, pending, f"{which}: {done} of {len(examples)} answers")
            pending.clear()
            written = time.monotonic()
    _write(lease, run, evaluation, model, pending, f"{which}: {done} of {len(examples)} answers")


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
                    answer=one.text.replace("\x00", ""),
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
            row = session.get_one(Run, run.id, with_for_update=True)
            lifecycle.transition(session, row, RunStatus.CANCELLED, "Cancelled during the evaluation.")
        raise _Cancelled


def _ready(session: Session, run: Run, system_prompt: str, max_tokens: int) -> None:
    """The run is done: its endpoint, the summary and how to chat, in its thread."""
    summary = _evaluation(session, run).summary
    run.progress = {**run.progress, "stage": "", "verdict": summary.get("words") or summary.get("problem") or ""}
    lifecycle.transition(session, run, RunStatus.READY)
    if division.part_of(run) is not None:
        return  # its model was only made to be tested
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
    root = lifecycle.card_slot(run)
    for kind, subject, broadcast in (("evaluation_summary", run.id, True), ("endpoint", endpoint.id, False)):
        announcements.post(
            session,
            owner=run,
            slot=f"run:{run.id}:{kind}",
            kind=kind,
            subject_id=subject,
            thread_slot=root,
            broadcast=broadcast,
        )
