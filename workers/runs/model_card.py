"""What of a run can be taken along: its model's card as Markdown, and the figures of its training as CSV."""

import csv
import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlmodel import Session, col, select

from providers import prices
from providers.scoring.metrics import LABELS
from workers import announcements
from workers.plans.choices import Choices
from workers.runs import lifecycle
from workers.tables import Dataset, Evaluation, Run, RunMetric

CARD, FIGURES = "run_model_card", "run_figures"
"""The kinds of the announcements that bring them."""
_COLUMNS = ("step", "epoch", "loss", "validation_loss", "learning_rate", "tokens_per_second", "memory_bytes")
LICENCES: Mapping[str, str] = {"smollm2-135m-instruct": "apache-2.0"}
"""Of base models that come with the product; another one's is not known here."""
UNKNOWN_LICENCE = "the base model's; it is not known here, so look it up before you share the model"


def write(session: Session, run: Run) -> str:
    """The card of a run's model, as far as it is known now."""
    choices = Choices.from_json(run.plan)
    dataset = session.get_one(Dataset, run.dataset_id)
    evaluation = session.exec(select(Evaluation).where(Evaluation.run_id == run.id)).one_or_none()
    parts = [
        f"---\nlicense: {LICENCES.get(run.base_model, 'other')}\nbase_model: {_quoted(run.base_model)}\n---",
        f"# {_line(run.name)}",
        *([_line(choices.goal)] if choices.goal else []),
        _facts(run, choices, dataset),
        "## Settings\n\n" + _table(("setting", "value"), {**choices.hyperparameters, "seed": choices.seed}),
        "## Evaluation\n\n" + _scores(evaluation.summary if evaluation is not None else {}),
        f"## Licence\n\n{LICENCES.get(run.base_model, UNKNOWN_LICENCE)}",
    ]
    return "\n\n".join(parts) + "\n"


def figures(session: Session, run: Run) -> str:
    """The figures of each step as CSV, with a line of names; empty cells where nothing is known."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    points = session.exec(select(RunMetric).where(RunMetric.run_id == run.id).order_by(col(RunMetric.step))).all()
    own = sorted({name for point in points for name in point.figures or {}})
    lines.writerow([*_COLUMNS, *own])
    for point in points:
        lines.writerow([getattr(point, name) for name in _COLUMNS] + [(point.figures or {}).get(name) for name in own])
    return out.getvalue()


def ask_for(session: Session, run: Run) -> None:
    """Want both in the run's thread."""
    for kind in (CARD, FIGURES):
        announcements.post(
            session,
            owner=run,
            slot=f"run:{run.id}:{kind}",
            kind=kind,
            subject_id=run.id,
            thread_slot=lifecycle.thread_slot(run),
        )


def _facts(run: Run, choices: Choices, dataset: Dataset) -> str:
    trained = datetime.fromtimestamp(run.trained_at, UTC).date().isoformat() if run.trained_at else "not yet"
    facts = {
        "Base model": prices.short_name(run.base_model),
        "Method": choices.method.upper(),
        "Trained": f"{trained}, by {prices.vendor(run.provider).text}",
        "Learnt from": f"{dataset.name} v{dataset.version}, {dataset.examples:,} examples",
        "SHA-256 of the data": dataset.sha256,
        "Run": run.id,
    }
    return "\n".join(f"- **{name}:** {_line(value)}" for name, value in facts.items())


def _scores(summary: Mapping[str, Any]) -> str:
    if not summary.get("base"):
        return _line(
            summary.get("problem") or "Nothing was compared: nobody can say whether it is better than its base."
        )
    base, tuned = summary["base"], summary["tuned"]
    rows = {LABELS.get(name, name): f"{base[name]:.3f} | {tuned[name]:.3f}" for name in base if name in tuned}
    lines = "\n".join(f"| {_line(name)} | {both} |" for name, both in rows.items())
    head = f"{_line(summary.get('words') or '')}\n\n| | base | tuned |\n|---|---|---|"
    return f"{head}\n{lines}\n\nOn {summary.get('examples', 0)} examples that were not learnt from."


def _table(head: tuple[str, str], rows: Mapping[str, Any]) -> str:
    lines = "\n".join(f"| {_line(name)} | {_line(value)} |" for name, value in rows.items())
    return f"| {head[0]} | {head[1]} |\n|---|---|\n{lines}"


def _line(value: Any) -> str:
    """Text of people or vendors in one line, without what Markdown or a table would take for its own."""
    text = " ".join(str(value).split())
    return "".join(f"\\{one}" if one in "\\|*_`<>[]#" else one for one in text)


def _quoted(value: str) -> str:
    return json.dumps(value)
