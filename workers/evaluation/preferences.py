"""Whether the tuned model tells wanted answers from unwanted ones better than its base does, by their likelihood.

The trainer judges the held-out examples before and after (`providers.local.training.held_out`): each is 1 where the
wanted answer is the likelier one; a labelled answer stands against all with the other label.
"""

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from workers.evaluation.compare import FEW, Verdict, interval


@dataclass(frozen=True)
class Preferences:
    """Shares of held-out examples that base and tuned model judge as the dataset does."""

    examples: int
    base: float
    tuned: float
    gain: float
    low: float
    high: float
    verdict: str
    words: str


def read(text: bytes) -> Preferences | None:
    """What a trainer kept, compared; None for what is no such file."""
    try:
        judged = json.loads(text)
        base, tuned = judged["base"], judged["tuned"]
        usable = len(base) == len(tuned) > 0 and all(math.isfinite(one) for one in (*base, *tuned))
    except (ValueError, TypeError, KeyError):
        return None
    return _compare(base, tuned) if usable else None


def _compare(base: Sequence[float], tuned: Sequence[float]) -> Preferences:
    gains = [after - before for before, after in zip(base, tuned, strict=True)]
    low, high = interval(gains)
    verdict = Verdict.BETTER if low > 0 else Verdict.WORSE if high < 0 else Verdict.UNCLEAR
    before, after = statistics.fmean(base), statistics.fmean(tuned)
    opening = {
        Verdict.BETTER: "Worth it: the tuned model prefers the wanted answers more often",
        Verdict.WORSE: "Not worth it: the tuned model prefers the wanted answers less often",
        Verdict.UNCLEAR: "Not shown to be worth it: it prefers the wanted answers about as often",
    }[verdict]
    few = " That is few examples: hold out more before you rely on it." if len(base) < FEW else ""
    words = (
        f"{opening} on {len(base)} examples it had never seen ({before:.0%} → {after:.0%}; 95 % interval of the gain "
        f"{low:+.2f} to {high:+.2f}).{few}"
    )
    return Preferences(
        examples=len(base),
        base=round(before, 4),
        tuned=round(after, 4),
        gain=round(statistics.fmean(gains), 4),
        low=round(low, 4),
        high=round(high, 4),
        verdict=verdict,
        words=words,
    )


def noted(summary: Mapping[str, Any], found: Preferences | None) -> dict[str, Any]:
    """The summary of a comparison with the preferences before it: they are what such a run was for."""
    if found is None:
        return dict(summary)
    both = {**summary, "preferences": asdict(found)}
    if "words" not in summary:
        return both
    main = summary["main"]
    own = (
        f"Its own answers beside the wanted ones: {summary['base'][main]:.2f} → {summary['tuned'][main]:.2f} "
        f"({summary['low']:+.2f} to {summary['high']:+.2f})."
    )
    said = " ".join(filter(None, [found.words, own, str(summary.get("note") or "")]))
    return {**both, "verdict": found.verdict, "words": said}
