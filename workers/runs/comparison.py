"""What a run's answers come to: its models side by side, or why there is nothing to compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlmodel import Session, col, select

from providers import prices
from workers.context import Context
from workers.dataprep.example import Example
from workers.evaluation import compare, reference
from workers.evaluation.compare import Asked, Verdict
from workers.plans import cost
from workers.plans.choices import Choices, TestOn
from workers.run_status import RunStatus
from workers.runs import division, material
from workers.tables import Dataset, Evaluation, Generation, Run

CHECKED = (
    "Cross-checked: each example was answered by a short run that had not learnt from it. The model that you have "
    "learnt from all of them and was not tested itself."
)
CHECK_FAILED = (
    "The cross-check did not come to its end: one of the short runs failed, was cancelled or could not be compared "
    "(see their cards). So nothing can be claimed about the result; the model can be chatted with all the same."
)
AGAINST: Mapping[str, str] = {
    Verdict.BETTER: "this one is better",
    Verdict.WORSE: "this one is worse",
    Verdict.UNCLEAR: "no clear difference",
}
"""What is said of a run beside the one that it repeats."""


def of_run(
    session: Session, evaluation: Evaluation, run: Run, examples: Sequence[Example], note: str = ""
) -> dict[str, Any]:
    """The comparison of the run's two models, with a note that must stand beside the verdict.

    A run that repeats another is also compared with that one's tuned model, on the same examples; or it says why not.
    """
    answered = _answered(session, evaluation, run, examples)
    summary = _compared([answered])
    before = session.get(Run, run.rehomed_from_id) if run.rehomed_from_id is not None else None
    if before is not None:
        summary = _beside(session, before, run, answered.asked, summary)
    return _with_note(summary, note)


def _beside(session: Session, before: Run, run: Run, asked: Sequence[Asked], summary: dict[str, Any]) -> dict[str, Any]:
    """The summary with what the tuned model of the repeated run said to the same examples, or why that is not known.

    Its answers are those of its own evaluation: a vendor that has ended it is not asked.
    """
    where = prices.vendor(before.provider).text
    name = f"run {before.id} ({where}, {before.base_model})"
    said = _said_before(session, before)
    if reason := _not_beside(before, run, said, len(asked)):
        return {**summary, "words": f"{summary['words']} Not set beside {name}: {reason}."}
    found = compare.compare([replace(one, base=said[place]) for place, one in enumerate(asked)])
    words = (
        f"Beside {name}, as it answered the same {found.examples} examples in its own evaluation: "
        f"{found.base[found.main]:.2f} there, {found.tuned[found.main]:.2f} here; {AGAINST[found.verdict]} "
        f"(95 % interval of the difference {found.low:+.2f} to {found.high:+.2f})."
    )
    answers = [
        {**one, "original": other["base"], "original_score": other["base_score"]}
        for one, other in zip(summary["answers"], found.answers, strict=True)
    ]
    original = {"run": before.id, "where": where, "scores": dict(found.base)}
    return {**summary, "words": f"{summary['words']} {words}", "answers": answers, "original": original}


def _said_before(session: Session, before: Run) -> dict[int, str]:
    """The tuned model's answers in the run's evaluation, by the example's place."""
    rows = session.exec(
        select(Generation.position, Generation.answer)
        .join(Evaluation, col(Evaluation.id) == Generation.evaluation_id)
        .where(Evaluation.run_id == before.id, col(Evaluation.done), Generation.model != before.base_model)
    )
    return dict(rows.all())


def _not_beside(before: Run, run: Run, said: Mapping[int, str], examples: int) -> str:
    """Why the two cannot be set side by side; empty if they can."""
    if not division.same(before, run):
        return "data, split or test are no longer the same"
    if not said and before.status is not RunStatus.READY:
        return "it never came to a model that could have answered"
    if set(said) != set(range(examples)):
        return "its answers to these examples are not there, as its own comparison did not come to its end"
    return ""


def of_parts(session: Session, parts: Sequence[Run], tested: Mapping[int | None, Sequence[Example]]) -> dict[str, Any]:
    """All short runs' answers together: every example was answered by a model that had not learnt from it."""
    answered = []
    for part in parts:
        kept = session.exec(select(Evaluation).where(Evaluation.run_id == part.id)).one_or_none()
        if part.status is not RunStatus.READY or kept is None or "problem" in kept.summary:
            return {"problem": CHECK_FAILED}
        answered.append(_answered(session, kept, part, tested[part.id]))
    return _with_note(_compared(answered), CHECKED)


def why_not(context: Context, run: Run) -> str:
    """Why there is nothing to test on, and what to do."""
    choices = Choices.from_json(run.plan)
    if run.test_dataset_id is not None:
        return material.divided(context, run).note or division.TOO_FEW
    if choices.test_on is TestOn.NOTHING:
        return division.NO_TEST
    with context.db.read() as session:
        examples = session.get_one(Dataset, run.dataset_id).examples
    enough = cost.held_out(examples, context.settings.held_out_examples)
    return division.TOO_ALIKE if enough or division.part_of(run) is not None else division.TOO_FEW


@dataclass(frozen=True)
class _Answered:
    """What base and tuned model of one run said, and how many tokens each wrote."""

    asked: Sequence[Asked]
    written: Mapping[str, int]


def _answered(session: Session, evaluation: Evaluation, run: Run, examples: Sequence[Example]) -> _Answered:
    rows = session.exec(select(Generation).where(Generation.evaluation_id == evaluation.id)).all()
    said = {(row.model, row.position): row for row in rows}
    asked = [
        Asked(
            question=next((one.text for one in reversed(example.prompt) if one.role == "user"), ""),
            reference=reference.of(example),
            base=said[run.base_model, place].answer,
            tuned=said[run.model_name, place].answer,
        )
        for place, example in enumerate(examples)
    ]
    written = {
        name: sum(row.completion_tokens for row in rows if row.model == model)
        for name, model in (("base", run.base_model), ("tuned", run.model_name))
    }
    return _Answered(asked, written)


def _compared(answered: Sequence[_Answered]) -> dict[str, Any]:
    asked = [one for each in answered for one in each.asked]
    written = {name: sum(each.written[name] for each in answered) / len(asked) for name in ("base", "tuned")}
    return {**compare.compare(asked).to_json(), "tokens_per_answer": written}


def _with_note(summary: dict[str, Any], note: str) -> dict[str, Any]:
    """The summary with what must be said beside its verdict."""
    if not note or "words" not in summary:
        return summary
    return {**summary, "words": f"{summary['words']} {note}", "note": note}
