"""What a run has really cost so far: trained tokens as the vendor counts them, hosting by the hour, the evaluation.

Figures of a list price, not of a bill: the vendor's own statement decides.
"""

import math
import time
from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, col, select

from providers import prices
from providers.capabilities import ON_THIS_MACHINE
from workers.plans import cost
from workers.plans.billing import about, dollars
from workers.plans.choices import Choices
from workers.run_status import FINAL, RunStatus
from workers.runs import lifecycle
from workers.tables import Evaluation, HostedModel, LeaseStatus, Run

FREE = ON_THIS_MACHINE | {"stub"}
HOUR = 3600.0
ALIKE = 0.05
"""A difference to the estimate of less than this share is none worth a word."""
CENT = 0.01


def settle(session: Session, run: Run) -> None:
    """Write what the run has cost up to now; None where a part is not known. May be called again at any time."""
    if run.provider in FREE:
        return
    tokens = _number(run.progress.get("trained_tokens")) or _number(run.actual.get("trained_tokens"))
    parts = {
        "training_dollars": _training(run, tokens),
        "hosting_dollars": _hosting(session, run),
        "evaluation_dollars": _evaluation(session, run),
    }
    known = [one for one in parts.values() if one is not None]
    total = sum(known) if len(known) == len(parts) else None
    found: dict[str, Any] = {"trained_tokens": None if tokens is None else int(tokens), **parts, "total": total}
    if _is_hosted(session, run):
        found["hosted"] = True
    if found != run.actual:
        run.actual = found
        session.add(run)
        lifecycle.redraw(session, run, urgent=False)


def words(run: Run) -> str:
    """One line for people: what it has cost, of what, how that differs from the estimate; empty where it is free."""
    actual = run.actual
    if not actual or run.provider in FREE:
        return ""
    said = []
    tokens = actual.get("trained_tokens")
    if tokens or actual.get("training_dollars") != 0.0:
        counted = f" ({int(tokens):,} tokens)" if tokens else _uncounted(run)
        said.append(f"training {_dollars(actual.get('training_dollars'))}{counted}")
    others = {part: actual.get(f"{part}_dollars") for part in ("hosting", "evaluation")}
    said += [f"{part} {_dollars(amount)}" for part, amount in others.items() if amount != 0.0]
    if not said:
        return ""
    total = actual.get("total")
    goes_on = " so far" if actual.get("hosted") or run.status not in FINAL else ""
    without = ", without chat" if run.status is RunStatus.READY else ""
    head = "cost not known as a whole" if total is None else f"cost {dollars(total)}{goes_on}{without}"
    return f"{head}: {', '.join(said)}{_difference(run.cost, actual)}"


def planned(run: Run) -> str:
    """What the plan says of the whole cost, while it is not known what it really is."""
    total = _number(run.cost.get("total"))
    if run.provider in FREE or total is None:
        return str(run.cost.get("price") or "")
    return f"planned for {about(total)} in all"


def _is_hosted(session: Session, run: Run) -> bool:
    """Whether a vendor hosts something of it now, so that it may cost more."""
    there = select(HostedModel.id).where(
        HostedModel.run_id == run.id, col(HostedModel.ready_at).is_not(None), col(HostedModel.ended_at).is_(None)
    )
    return session.exec(there.limit(1)).first() is not None


def _training(run: Run, tokens: float | None) -> float | None:
    """By the token, or by the hour of training where the vendor bills so; 0 before it began."""
    price = _price(run)
    if run.started_at is None and not tokens:
        return 0.0
    if price is None:
        return None
    if tokens and price.training_per_million is not None:
        return price.training(int(tokens))
    if price.training_per_hour is not None and run.started_at is not None and run.trained_at is not None:
        return max(0.0, run.trained_at - run.started_at) / HOUR * price.training_per_hour
    return None


def _hosting(session: Session, run: Run) -> float | None:
    """Every hosted model of the run, by the hours since its vendor was asked for it.

    None where an hour's price is not known, or what of the hours is billed: of a model that costs by the hour and never
    came.
    """
    total = 0.0
    for one in session.exec(select(HostedModel).where(HostedModel.run_id == run.id)):
        if one.asked_at is None or one.price_per_hour == 0.0:
            continue
        never_came = one.ready_at is None and one.status not in {LeaseStatus.ASKED, LeaseStatus.CREATING}
        if one.price_per_hour is None or never_came:
            return None
        total += max(0.0, (one.ended_at or time.time()) - one.asked_at) / HOUR * one.price_per_hour
    return round(total, 4)


def _evaluation(session: Session, run: Run) -> float | None:
    """What the evaluation's answers cost; 0 where there is none yet."""
    row = session.exec(select(Evaluation).where(Evaluation.run_id == run.id)).one_or_none()
    if row is None or not row.done or ("problem" in row.summary and "spent" not in row.summary):
        return 0.0
    spent = row.summary.get("spent")
    return _number(spent.get("dollars") if isinstance(spent, Mapping) else spent)


def _uncounted(run: Run) -> str:
    """Why it is not known what the training cost, where tokens are billed and the vendor does not tell their number."""
    price = _price(run)
    if run.actual.get("training_dollars") is not None or price is None or price.training_per_million is None:
        return ""
    return f" ({prices.vendor(run.provider).text} does not say how many tokens it has trained)"


def _price(run: Run) -> prices.Price | None:
    return prices.price_of(run.provider, run.base_model, cost.tier_of(Choices.from_json(run.plan)))


def _difference(planned: Mapping[str, Any], actual: Mapping[str, Any]) -> str:
    """How training differs from what the plan said; hosting goes on, and would hide it."""
    before, now = _number(planned.get("dollars")), _number(actual.get("training_dollars"))
    if before is None or now == 0.0:
        return ""
    if now is None:
        return f"; training was estimated at {dollars(before)}"
    if abs(now - before) <= max(ALIKE * before, CENT / 2):
        return "; training as estimated"
    more = "more" if now > before else "less"
    return f"; training was estimated at {dollars(before)}, it was {dollars(abs(now - before))} {more}"


def _dollars(amount: object) -> str:
    known = _number(amount)
    return "not known" if known is None else dollars(known)


def _number(value: object) -> float | None:
    """The figure, unless it is none: an infinite or negative one is nobody's bill."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return None
    return float(value)
