"""What hosting costs: list prices by provider, base model and tier; what is not known is said so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from providers import prices
from providers.base import HostingTier
from providers.capabilities import CAPABILITIES, HOSTING_CAPACITY
from providers.errors import NotAllowed
from providers.prices import Price
from workers.tables import HostedModel

LEASE_HOURS = 4.0
"""As the settings have it unless told otherwise."""
COMPARING_HOURS = 0.5
"""A guess: how long a model is hosted before its lease begins, while it is compared."""
BY_TOKEN = frozenset({"azure_openai"})
"""Providers that bill a base model by the token alone, however long it is deployed."""
SERVERLESS = "serverless"
"""A tier on the vendor's own machines: the price list means it where it names none, and a base model costs no hours."""
LIVES_HOURS: Mapping[str, float] = {"developertier": 24.0}
"""After so many hours the vendor itself ends a deployment of this tier."""
IN_REGION = "standard"
"""The tier, of training and of hosting, that stays in the region of the resource; the others may be anywhere."""
TIER_TEXTS: Mapping[str, str] = {
    "developertier": "Developer tier: anywhere in the world, may be interrupted, lives 24 h.",
    "globalstandard": "Global tier: anywhere in the world.",
    IN_REGION: "Standard tier: in the resource's region.",
}
"""What a tier of hosting means, by its name in small letters."""
BY_ITS_TOKENS = "no cost by the hour, each answer is billed by its tokens"
UNKNOWN_HOUR = "what an hour costs is not known"


@dataclass(frozen=True)
class HostingPlan:
    """What hosting a tuned model will take, as far as it is known before training."""

    tier_id: str
    tier_text: str
    dollars_per_hour: float | None  # None where it is not known
    hours: float
    dollars: float | None
    words: str


def hosting_estimate(
    provider: str,
    base_model: str,
    hours: float = LEASE_HOURS,
    *,
    training_tier: str = "",
    compared: int = 1,
    capacity: object = None,
) -> HostingPlan | None:
    """What hosting for the evaluation and a lease of `hours` after it costs; None where nothing has to be hosted.

    `training_tier` and `capacity` are the plan's; `compared` is how many runs have their model hosted while models are
    compared.
    """
    if not must_deploy(provider):
        return None
    tier = planned_tier(provider, base_model, training_tier)
    price = price_of(provider, base_model, tier)
    rate = price.hosting_per_hour if price else None
    text = TIER_TEXTS.get(tier.lower(), "")
    total = hours + compared * COMPARING_HOURS
    lives = LIVES_HOURS.get(tier.lower())
    later = "it can be kept longer, or deleted at any time"
    if lives is not None:
        later = f"it can be kept until {prices.vendor(provider).text} ends it after {lives:g} h, or deleted at any time"
    most = throughput(provider, capacity_of(provider, capacity))
    about = f"{text} Hosted {_span(hours, compared)}{f', for {most}' if most else ''}".strip()
    if price is None or rate is None:
        words = f"{about}; {UNKNOWN_HOUR} here. Look at the vendor's price list; {later}."
        return HostingPlan(tier, text, None, total, None, words)
    if not rate:
        words = f"{about}: {BY_ITS_TOKENS} ({price.words}); {later}."
        return HostingPlan(tier, text, rate, total, 0.0, words)
    words = f"{about}, at {per_hour(rate)} about {_dollars(rate * total)} ({price.words}); {later}."
    return HostingPlan(tier, text, rate, total, rate * total, words)


def _span(hours: float, compared: int) -> str:
    """When something is hosted, in words."""
    if not compared:
        return f"for {hours:g} h once it is trained"
    runs = f" (about {COMPARING_HOURS:g} h for each of {compared} runs)" if compared > 1 else ""
    after = f" and for {hours:g} h after that" if hours else ""
    return f"while the models are compared{runs}{after}"


def planned_tier(provider: str, base_model: str, training_tier: str = "") -> str:
    """The tier whose hour costs the least, by the price list; the vendor's usual one where it says nothing.

    What was trained in the resource's region, because that was chosen, is hosted there too.
    """
    if training_tier.lower() == IN_REGION:
        return IN_REGION
    cheapest = prices.cheapest_hosting(provider, base_model)
    return cheapest.tier if cheapest is not None else prices.vendor(provider).tier


def kept_in(training_tier: str) -> str:
    """The tier that a hosted model must be asked for in, because the plan says so; empty where any will do."""
    return IN_REGION if training_tier.lower() == IN_REGION else ""


def capacity_of(provider: str, chosen: object) -> int:
    """How much of a deployment is asked for: what was chosen, or else what is usual; 1 where nobody can choose."""
    known = CAPABILITIES.get(provider)
    if known is None or HOSTING_CAPACITY.name not in known.options:
        return 1
    return int(chosen if isinstance(chosen, int | float) else HOSTING_CAPACITY.default)


def throughput(provider: str, capacity: int) -> str:
    """How much a deployment answers at most, in words; empty where its capacity is nothing to be chosen."""
    known = CAPABILITIES.get(provider)
    limited = known is not None and HOSTING_CAPACITY.name in known.options
    return f"up to {capacity * 1000:,} tokens a minute" if limited else ""


def must_deploy(provider: str) -> bool:
    """Whether a tuned model of this provider answers only while it is hosted."""
    known = CAPABILITIES.get(provider)
    return known is not None and known.must_deploy


def price_of(provider: str, base_model: str, tier: str) -> Price | None:
    """The price of what was tuned from this model; vendors and the price list write a tier alike but for case."""
    if not tier:
        return prices.price_of(provider, base_model)
    listed = {one.tier for one in prices.prices() if one.provider == provider}
    same = next((one for one in listed if one and one.lower() == tier.lower()), None)
    if same is None and tier.lower() == SERVERLESS and listed == {""}:
        return prices.price_of(provider, base_model)
    return prices.price_of(provider, base_model, same) if same else None


def chosen(tiers: Sequence[HostingTier], row: HostedModel, base_model: str) -> HostingTier:
    """The tier that the row asks for, or that was planned; else the cheapest that takes such a model.

    What is to stay in its region is not hosted anywhere else. Raises providers.errors.NotAllowed.
    """
    planned = row.tier or planned_tier(row.provider, base_model)
    possible = [one for one in tiers if one.for_base_models or row.purpose != "base"]
    if not possible:
        raise NotAllowed(f"The vendor has no way to host {'the base model' if row.purpose == 'base' else base_model}.")
    wanted = next((one for one in possible if one.id.lower() == planned.lower()), None)
    if wanted is None and row.tier.lower() == IN_REGION:
        raise NotAllowed(f"The vendor does not host {row.model} in the resource's region, and it is to stay there.")
    return wanted or possible[0]


def hourly(row: HostedModel, base_model: str) -> tuple[float | None, str]:
    """What an hour of a hosted model costs, in dollars, and where that is from; None where it is not known."""
    if row.purpose == "base" and (row.provider in BY_TOKEN or row.tier.lower() == SERVERLESS):
        return 0.0, "a base model is billed by the token"
    price = price_of(row.provider, base_model, row.tier)
    rate = price.hosting_per_hour if price else None
    return rate, price.words if price is not None and rate is not None else ""


def per_hour(dollars: float | None) -> str:
    """An hour's price in words."""
    return "an amount that is not known" if dollars is None else f"{_dollars(dollars)}/h"


def costs(dollars: float | None) -> str:
    """What being hosted costs, in words: by the hour, or by the token alone."""
    if dollars is None:
        return UNKNOWN_HOUR
    return BY_ITS_TOKENS if dollars == 0 else f"costs {per_hour(dollars)}"


def _dollars(amount: float) -> str:
    return "under $0.01" if 0 < amount < 0.01 else f"${amount:,.2f}"
