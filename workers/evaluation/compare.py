"""Two models' answers side by side: mean scores, how sure the difference is, and the verdict in words."""

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from providers.scoring import metrics, shape
from providers.scoring.shape import Shape

RESAMPLES = 2000
"""Bootstrap resamples behind the 95 % interval."""
MOST_SHOWN_CHARACTERS = 500
FEW = 20
"""Below so many held-out examples the verdict says that they are few."""


class Verdict(StrEnum):
    """What the comparison says about the tuned model."""

    BETTER = "better"  # the whole interval of the difference is above 0
    WORSE = "worse"  # below 0
    UNCLEAR = "unclear"  # 0 is inside: no difference was shown


@dataclass(frozen=True)
class Asked:
    """One held-out example with both answers."""

    question: str
    reference: str
    base: str
    tuned: str


@dataclass(frozen=True)
class Summary:
    """The comparison. Scores are means over the examples; `gain` is the main metric's, with its interval."""

    shape: str
    main: str
    examples: int
    base: Mapping[str, float]
    tuned: Mapping[str, float]
    gain: float
    low: float
    high: float
    verdict: str
    words: str
    answers: Sequence[Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, for the evaluation's `summary` column."""
        return asdict(self)


def compare(asked: Sequence[Asked]) -> Summary:
    """Compare the answers to these examples (at least one)."""
    kind = shape.of([one.reference for one in asked])
    main = metrics.MAIN[kind]
    base = [metrics.score(kind, one.base, one.reference) for one in asked]
    tuned = [metrics.score(kind, one.tuned, one.reference) for one in asked]
    gains = [after[main] - before[main] for before, after in zip(base, tuned, strict=True)]
    low, high = interval(gains)
    verdict = Verdict.BETTER if low > 0 else Verdict.WORSE if high < 0 else Verdict.UNCLEAR
    means = [
        {name: round(statistics.fmean(one[name] for one in rows), 4) for name in rows[0]} for rows in (base, tuned)
    ]
    return Summary(
        shape=kind,
        main=main,
        examples=len(asked),
        base=means[0],
        tuned=means[1],
        gain=round(statistics.fmean(gains), 4),
        low=round(low, 4),
        high=round(high, 4),
        verdict=verdict,
        words=_words(verdict, kind, main, means, (low, high), len(asked)),
        answers=[_shown(asked[place], base[place][main], tuned[place][main]) for place in _telling(tuned, main)],
    )


def interval(gains: Sequence[float]) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean; the same for the same numbers."""
    if len(gains) < 2:
        return (-1.0, 1.0)
    draw = random.Random(len(gains))  # noqa: S311 -- resampling, not a secret
    means = sorted(statistics.fmean(draw.choices(gains, k=len(gains))) for _ in range(RESAMPLES))
    return means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES) - 1]


def _words(
    verdict: Verdict,
    kind: Shape,
    main: str,
    means: Sequence[Mapping[str, float]],
    span: tuple[float, float],
    count: int,
) -> str:
    name = {"f1": "F1", "exact": "exact match"}[main]
    if kind is Shape.STRINGS:
        name = f"set {name}"
    figures = f"{name} {means[0][main]:.2f} → {means[1][main]:.2f}"
    sure = f"95 % interval of the gain {span[0]:+.2f} to {span[1]:+.2f}"
    few = " That is few examples: hold out more before you rely on it." if count < FEW else ""
    match verdict:
        case Verdict.BETTER:
            return (
                f"Worth it: the tuned model is better on {count} examples it had never seen ({figures}; {sure}).{few}"
            )
        case Verdict.WORSE:
            return f"Not worth it: the tuned model is worse than the base model ({figures}; {sure}).{few}"
        case Verdict.UNCLEAR:
            return f"Not shown to be worth it: no clear difference ({figures}; {sure} includes 0).{few}"


def _telling(tuned: Sequence[Mapping[str, float]], main: str) -> list[int]:
    """Up to three examples to show: the tuned model's best, median and worst, so that nothing is glossed over."""
    order = sorted(range(len(tuned)), key=lambda place: (-tuned[place][main], place))
    return list(dict.fromkeys([order[0], order[len(order) // 2], order[-1]]))


def _shown(one: Asked, base: float, tuned: float) -> dict[str, Any]:
    cut = {name: _cut(text) for name, text in asdict(one).items()}
    return {**cut, "base_score": round(base, 4), "tuned_score": round(tuned, 4)}


def _cut(text: str) -> str:
    text = text.strip()
    return text if len(text) <= MOST_SHOWN_CHARACTERS else f"{text[:MOST_SHOWN_CHARACTERS]} …"
