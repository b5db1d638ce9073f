"""What a run's answers come to: its models side by side, or why there is nothing to compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlmodel import Session, col, select

from providers import prices
from workers.context import Context
from workers.dataprep.example import Example
from workers.evaluation import compare
from workers.evaluation.compare import Asked
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


def of_run(
    session: Session, evaluation: Evaluation, run: Run, examples: Sequence[Example], note: str = ""
) -> dict[str, Any]:
    """The comparison of the run's two models, with a note that must stand beside the verdict.

    A run that repeats another is also compared with that one's tuned model, on the same examples.
    """
    answered = _answered(session, evaluation, run, examples)
    return _with_note(_beside(session, run, answered.asked, _compared([answered])), note)


def _beside(session: Session, run: Run, asked: Sequence[Asked], summary: dict[str, Any]) -> dict[str, Any]:
    """The summary with what the tuned model of the repeated run said to the same examples, where that is known."""
    before = session.get(Run, run.rehomed_from_id) if run.rehomed_from_id is not None else None
    if before is None or not division.same(before, run):
        return summary
    rows = session.exec(
        select(Generation.position, Generation.answer)
        .join(Evaluation, col(Evaluation.id) == Generation.evaluation_id)
        .where(Evaluation.run_id == before.id, col(Evaluation.done), Generation.model == before.model_name)
    ).all()
    said = dict(rows)
    if set(said) != set(range(len(asked))):
        return summary
    pairs = [replace(one, base=said[place]) for place, one in enumerate(asked)]
    found = compare.compare(pairs)
    where = f"{prices.vendor(before.provider).text}, {before.base_model}"
    verdict = {
        compare.Verdict.BETTER: "this one is better",
        compare.Verdict.WORSE: "this one is worse",
        compare.Verdict.UNCLEAR: "no clear difference",
    }[compare.Verdict(found.verdict)]
    words = (
        f"Beside run {before.id} ({where}) on the same {found.examples} examples: {found.base[found.main]:.2f} there, "
        f"{found.tuned[found.main]:.2f} here; {verdict} (95 % interval of the difference {found.low:+.2f} to "
        f"{found.high:+.2f})."
    )
    original = {"run": before.id, "where": prices.vendor(before.provider).text, "scores": dict(found.base)}
    return {**summary, "words": f"{summary['words']} {words}", "original": original}


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
            reference=example.answer,
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
