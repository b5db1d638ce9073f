"""What vendors ask: list prices by provider and base model, from prices.json, each with its date and source.

A figure that is not known is None, never a guess. The file also has what a price depends on: how a model counts
tokens, how many of an example it bills, and how many examples a vendor wants at least.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from importlib import resources
from typing import Any

ANY_MODEL = "*"
"""In the file: the same price whatever the model."""
_CALLED = tuple(
    re.compile(one)
    for one in (
        r"ft:(?P<name>[^:]*)(?::.*)?",
        r"(?P<name>.+?)\.ft-.+",
        r"azureml://registries/[\w.-]+/models/(?P<name>[\w.-]+)(?:/(?:versions|labels)/[\w.-]+)?/?",
        r"(?:azureml(?:-[\w.-]+)?|azure-openai)/(?P<name>[\w.-]+)(?:/[\w.-]+)?",
    )
)
"""How vendors call a base model, or what was tuned of it."""
_ADDRESS = re.compile(r"/models/([^/]+)(?:/(?:versions|labels)/[^/]*)?/?$")


@dataclass(frozen=True)
class Price:
    """One base model at one provider, in dollars; None where the vendor's figure is not known."""

    provider: str
    model: str
    as_of: date
    source: str
    url: str = ""
    tier: str = ""
    training_per_million: float | None = None
    training_per_hour: float | None = None
    input_per_million: float | None = None
    cached_input_per_million: float | None = None
    output_per_million: float | None = None
    hosting_per_hour: float | None = None

    def training(self, tokens: int) -> float | None:
        """What training on so many billed tokens costs; None where it is billed by the hour, or not known."""
        return None if self.training_per_million is None else tokens * self.training_per_million / 1e6

    def answering(self, prompt_tokens: int, answer_tokens: int) -> float | None:
        """What asking the tuned model costs."""
        if self.input_per_million is None or self.output_per_million is None:
            return None
        return (prompt_tokens * self.input_per_million + answer_tokens * self.output_per_million) / 1e6

    @property
    def words(self) -> str:
        """Where the figures are from, and from when."""
        return f"{self.source}, {self.as_of.day} {self.as_of:%B %Y}"


@dataclass(frozen=True)
class Vendor:
    """A provider as people call it, and the fewest examples that it trains on."""

    name: str
    text: str
    minimum_examples: int = 1
    tier: str = ""
    """The tier whose price is meant where none is named."""
    tiers: Mapping[str, str] = field(default_factory=dict)
    """What can be chosen as `tier`, in words; empty where there is one way only."""


@dataclass(frozen=True)
class ModelFacts:
    """A vendor's model: how it counts, how many tokens of an example it trains on and bills, and by which methods."""

    tokenizer: str = ""
    example_tokens: int | None = None
    methods: frozenset[str] = frozenset({"sft"})
    conversations: bool = True
    """Whether it learns conversations, not only prompts and completions."""


@dataclass(frozen=True)
class _Book:
    prices: tuple[Price, ...]
    vendors: Mapping[str, Vendor]
    models: Mapping[str, ModelFacts]
    aliases: Mapping[str, str]


def price_of(provider: str, model: str, tier: str = "") -> Price | None:
    """The price of a base model, or of a tuned model's base; None where none is known."""
    wanted_model = base_of(model)
    wanted_tier = (tier_named(provider, tier) or tier) if tier else vendor(provider).tier
    for price in _book().prices:
        if price.provider == provider and price.model in {wanted_model, ANY_MODEL} and price.tier == wanted_tier:
            return price
    return None


def cheapest_hosting(provider: str, model: str, above: float = -1.0) -> Price | None:
    """The tier whose hour of hosting costs the least, of those that cost more than `above`; None where none is."""
    wanted = base_of(model)
    known = [
        (one.hosting_per_hour, one.tier, one)
        for one in _book().prices
        if one.provider == provider and one.model in {wanted, ANY_MODEL}
        if one.hosting_per_hour is not None and one.hosting_per_hour > above
    ]
    return min(known, key=lambda one: one[:2])[2] if known else None


def tier_named(provider: str, written: object) -> str:
    """A tier as it is spelled here and in plans, however somebody wrote it; "" for one that the provider has not."""
    known = [*vendor(provider).tiers, *(one.tier for one in _book().prices if one.provider == provider)]
    return next((one for one in known if isinstance(written, str) and one.lower() == written.lower()), "")


def prices() -> tuple[Price, ...]:
    """Every price, in the file's order: a provider's cheaper models first."""
    return _book().prices


def vendor(provider: str) -> Vendor:
    """What is known of a provider; its bare name for one that is not in the file."""
    return _book().vendors.get(provider) or Vendor(provider, provider)


def facts_of(model: str) -> ModelFacts:
    """How a model counts; empty for one that is not in the file."""
    return _book().models.get(base_of(model)) or ModelFacts()


def base_of(model: str) -> str:
    """The base model's full name, in this file's words, whatever a vendor calls it.

    Of a tuned model ("ft:gpt-4o-mini-2024-07-18:…", at Azure "gpt-4o-mini-2024-07-18.ft-…"), of an address in one of
    Azure's registries ("azureml-mistral/Ministral-3B"), or of a short name.
    """
    found = next((one for pattern in _CALLED if (one := pattern.fullmatch(model))), None)
    name = found["name"] if found else model
    return _book().aliases.get(name, name)


def short_name(model: str) -> str:
    """The model's name for people: of an address ("azureml://…/models/NAME/versions/1", a folder) only its own name."""
    found = _ADDRESS.search(model)
    return found[1] if found else model.rstrip("/").rpartition("/")[2] or model


@lru_cache(maxsize=1)
def _book() -> _Book:
    data = json.loads(resources.files("providers").joinpath("prices.json").read_text(encoding="utf-8"))
    return _Book(
        prices=tuple(_price(one, data["sources"]) for one in data["prices"]),
        vendors={name: Vendor(name, **facts) for name, facts in data["vendors"].items()},
        models={
            name: ModelFacts(
                facts.get("tokenizer", ""),
                facts.get("example_tokens"),
                frozenset(facts.get("methods", ["sft"])),
                facts.get("conversations", True),
            )
            for name, facts in data["models"].items()
        },
        aliases={alias: name for name, facts in data["models"].items() for alias in facts.get("aliases", ())},
    )


def _price(entry: Mapping[str, Any], sources: Mapping[str, Mapping[str, str]]) -> Price:
    source = sources[entry["source"]]
    known = {**entry, "as_of": date.fromisoformat(entry["as_of"]), "source": source["page"], "url": source["url"]}
    return Price(**known)
