"""Was it worth it: the scores side by side, and three answers of each model."""

from collections.abc import Mapping
from typing import Any

from bot import escape
from bot.blocks.elements import Block, Drawn, context, divider, header, section, table
from providers.scoring.metrics import LABELS
from workers.evaluation.compare import Verdict
from workers.tables import Run

MARKS = {Verdict.BETTER: "🎉", Verdict.WORSE: "👎", Verdict.UNCLEAR: "🤷"}
PLACES = ("Its best", "A typical one", "Its worst")
REFERENCE = ("Reference", "reference")


def draw(run: Run, summary: Mapping[str, Any]) -> Drawn:
    """The evaluation's message."""
    title = f"Was it worth it? {escape.plain(run.name, 60)}"
    problem = summary.get("problem")
    if problem:
        words = escape.mrkdwn(str(problem), 1000)
        return Drawn(text=f"{title}: not compared", blocks=[header(title), section(f"⚠️ {words}")])
    mark = MARKS[Verdict(summary["verdict"])]
    blocks: list[Block] = [
        header(title),
        section(f"{mark} {escape.mrkdwn(str(summary['words']), 1000)}"),
        _scores(summary),
    ]
    written = summary.get("tokens_per_answer") or {}
    if written:
        base, tuned = float(written["base"]), float(written["tuned"])
        blocks.append(
            context(f"Tokens written an answer: {base:.0f} → {tuned:.0f}, on {summary['examples']} held-out examples")
        )
    answers = list(summary.get("answers") or [])
    names = PLACES if len(answers) == len(PLACES) else ("An answer",) * len(answers)
    for name, one in zip(names, answers, strict=True):
        blocks += [divider(), *_answer(name, one, summary.get("original") or {})]
    return Drawn(text=f"{title} {summary['words']}"[:3000], blocks=blocks)


def _scores(summary: Mapping[str, Any]) -> Block:
    base, tuned = summary["base"], summary["tuned"]
    original = summary.get("original") or {}
    head = [_run(original)] if original else []
    rows = [["Measure", "Base model", "Tuned model", *head]]
    for name, label in LABELS.items():
        if name in tuned:
            there = [_percent(original["scores"][name], name)] if original else []
            rows.append([label, _percent(base[name], name), _percent(tuned[name], name), *there])
    if found := summary.get("preferences"):
        there = [""] if original else []
        rows.insert(1, ["Wanted answer preferred", f"{found['base']:.0%}", f"{found['tuned']:.0%}", *there])
    return table(rows)


def _percent(value: float, name: str) -> str:
    return f"{value:.0%}" if name in {"valid_json", "exact"} else f"{value:.3f}"


def _answer(name: str, one: Mapping[str, Any], original: Mapping[str, Any]) -> list[Block]:
    question = escape.mrkdwn(" ".join(str(one["question"]).split()), 220)
    beside = bool(original) and "original" in one  # which the rows of older installations lack
    before = f"; {_run(original)}: {one['original_score']:.2f}" if beside else ""
    said = [("Base", "base"), ("Tuned", "tuned"), *([(_run(original), "original")] if beside else [])]
    answers = [f"*{who}*\n```{escape.code(str(one[key]), 450) or ' '}```" for who, key in [*said, REFERENCE]]
    return [
        section(f"*{name}* (score {one['base_score']:.2f} → {one['tuned_score']:.2f}{before})\n{question}"),
        section("\n".join(answers)),
    ]


def _run(original: Mapping[str, Any]) -> str:
    """The run that this one repeats."""
    return f"Run {original['run']} ({original['where']})"
