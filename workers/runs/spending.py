"""What an evaluation's questions came to besides scores: tokens, their price, and questions that were refused."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, select

from providers import prices
from workers.evaluation import generate
from workers.plans import cost
from workers.plans.choices import Choices
from workers.tables import Evaluation, Generation, Run


def noted(session: Session, evaluation: Evaluation, run: Run, summary: Mapping[str, Any]) -> dict[str, Any]:
    """The summary with "spent" (tokens, and dollars where the price is known) and a word on what was refused."""
    rows = session.exec(select(Generation).where(Generation.evaluation_id == evaluation.id)).all()
    prompt, written = sum(row.prompt_tokens for row in rows), sum(row.completion_tokens for row in rows)
    price = prices.price_of(run.provider, run.base_model, cost.tier_of(Choices.from_json(run.plan)))
    dollars = price.answering(prompt, written) if price else None
    spent = {"prompt_tokens": prompt, "completion_tokens": written, "dollars": dollars}
    made = {**summary, "spent": spent}
    refused = Counter(row.model for row in rows if row.finish_reason == generate.REFUSED)
    if refused:
        base, tuned = refused[run.base_model], refused[run.model_name]
        made["refused"] = {"base": base, "tuned": tuned}
        told = "words" if "words" in made else "problem"
        note = (
            f"The provider refused some questions ({base} to the base model, {tuned} to the tuned model); they count "
            "as answered with nothing."
        )
        made[told] = f"{made.get(told, '')} {note}".strip()
    return made
