"""What a dataset costs to learn from: the tokens that a vendor bills, and each vendor's price beside the others."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from providers import prices
from providers.capabilities import CAPABILITIES, ON_THIS_MACHINE
from providers.prices import ANY_MODEL, Price
from workers.plans import methods

NO_OFFERS = frozenset({"autotrain", "stub"})
"""Providers that are no offer of their own: another way to train here, and the pretending one."""
LOCAL_MODELS = {"local": ["smollm2-135m-instruct"]}
"""Models of providers whose one price is for any model."""


@dataclass(frozen=True)
class Count:
    """All tokens of a dataset, counted anew with this tokenizer."""

    total: int
    tokenizer: str


@dataclass(frozen=True)
class Bill:
    """Tokens of one epoch as a model counts and bills them; not `exact`: another tokenizer or limit was used."""

    tokens: int
    exact: bool


@dataclass(frozen=True)
class Offer:
    """One base model at one provider, for one dataset."""

    provider: str
    model: str
    billed_tokens: int
    """Over all epochs."""
    epochs: int
    dollars: float | None
    seconds: float | None
    words: str
    set_up: bool = False
    """Whether it can be chosen here; otherwise this is what it would cost."""
    fits: bool = True
    """Whether the provider trains on so few examples and by this method."""
    exact: bool = True


def counted_with(report: Mapping[str, Any]) -> str:
    """The tokenizer that a report counted with."""
    return str((report.get("tokens") or {}).get("tokenizer") or "")


def recounted(report: Mapping[str, Any], count: Count | None) -> Mapping[str, Any]:
    """The report with this count in place of its own."""
    if count is None:
        return report
    return {**report, "tokens": {**(report.get("tokens") or {}), "total": count.total, "tokenizer": count.tokenizer}}


def bill(report: Mapping[str, Any], provider: str, model: str) -> Bill:
    """Billed tokens of one epoch: no example counts for more than the model trains on."""
    tokens = report.get("tokens") or {}
    total = int(tokens.get("total") or 0)
    facts = prices.facts_of(model)
    limit = facts.example_tokens
    own = counted_with(report)
    same = own == facts.tokenizer if facts.tokenizer else provider == "stub" or own.startswith("file:")
    if limit is None or int(tokens.get("max") or 0) <= limit:
        return Bill(total, same)
    if tokens.get("context") == limit:
        return Bill(int(report.get("billed_tokens") or total), same)
    return Bill(min(total, _capped(report.get("histogram") or {}, limit) or total), exact=False)


def _capped(histogram: Mapping[str, Any], limit: int) -> int:
    """About Σ min(limit, tokens), from the bars of the lengths; 0 without any."""
    edges, counts = histogram.get("edges") or [], histogram.get("counts") or []
    middles = [(float(low) + float(high)) / 2 for low, high in pairwise(edges)]
    return round(sum(min(limit, middle) * int(count) for middle, count in zip(middles, counts, strict=False)))


def by_provider(
    report: Mapping[str, Any],
    *,
    epochs: int = 0,
    set_up: Collection[str] = ("local",),
    seconds: Mapping[str, float] | None = None,
) -> list[Offer]:
    """What learning from this dataset would take everywhere: what is set up first, then the cheapest.

    `epochs` are the report's own unless told; `seconds` tells for a base model how long it takes here.
    """
    epochs = epochs or int(report.get("epochs") or 3)
    offers = [
        _offer(report, price, model, epochs, here=price.provider in set_up, seconds=(seconds or {}).get(model))
        for price in prices.prices()
        if price.tier == prices.vendor(price.provider).tier and price.provider not in NO_OFFERS
        for model in ([price.model] if price.model != ANY_MODEL else LOCAL_MODELS.get(price.provider, []))
    ]
    return sorted(offers, key=_rank)


def best_fit(offers: Sequence[Offer]) -> Offer | None:
    """The first that can be chosen here; None where nothing fits."""
    return next((one for one in offers if one.set_up and one.fits), None)


def _rank(offer: Offer) -> tuple[bool, bool, float]:
    return not offer.set_up, not offer.fits, offer.dollars if offer.dollars is not None else float("inf")


def _offer(
    report: Mapping[str, Any], price: Price, model: str, epochs: int, *, here: bool, seconds: float | None
) -> Offer:
    vendor = prices.vendor(price.provider)
    billed = bill(report, price.provider, model)
    tokens = billed.tokens * epochs
    facts = prices.facts_of(model)
    method = str(report.get("method") or "sft")
    lacks = []
    possible = methods.of_kind(method, str(report.get("format") or ""))
    own = price.provider in ON_THIS_MACHINE  # whose models have no say: every one can be trained by every method
    known = CAPABILITIES[price.provider].methods
    if not any(one in known and (own or one in facts.methods) for one in possible):
        lacks.append(f"does not train by the method {method}")
    if not facts.conversations and report.get("format") not in {"prompt-completion", "text"}:
        lacks.append("learns prompts and completions only")
    if int(report.get("examples") or 0) < vendor.minimum_examples:
        lacks.append(f"wants at least {vendor.minimum_examples} examples")
    where = "on this machine" if price.provider == "local" else f"at {vendor.text}"
    said = [f"{model} {where}: {price_words(price, tokens)}"]
    if not here:
        said.append("not set up here")
    return Offer(
        provider=price.provider,
        model=model,
        billed_tokens=tokens,
        epochs=epochs,
        dollars=price.training(tokens),
        seconds=seconds,
        words=", ".join([*said, *lacks]),
        set_up=here,
        fits=not lacks,
        exact=billed.exact,
    )


def price_words(price: Price | None, tokens: int) -> str:
    """What training on so many tokens costs, with the figure's source and date; unknown where it is."""
    if price is None:
        return "price unknown"
    if not price.url:
        return f"$0 ({price.source})"
    cost = price.training(tokens)
    if cost is not None:
        said = f"{dollars(cost)} to train"
    elif price.training_per_hour is not None:
        said = f"{dollars(price.training_per_hour)} for each hour of training"
    else:
        said = "price unknown"
    hosted = prices.cheapest_hosting(price.provider, price.model)
    rate = hosted.hosting_per_hour if hosted is not None else None
    hosting = f", then {dollars(rate)} an hour while it is hosted" if rate else ""
    return f"{said}{hosting} ({price.words})"


def dollars(amount: float) -> str:
    """An amount as people write it; less than a cent says so."""
    if 0 < amount < 0.01:
        return "under $0.01"
    return f"${amount:,.2f}"


def about(amount: float) -> str:
    """An amount that is an estimate."""
    return dollars(amount) if 0 < amount < 0.01 else f"about {dollars(amount)}"
