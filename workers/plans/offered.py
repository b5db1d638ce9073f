"""Where a workspace can train, and on which base models: each with its price, and how long it will answer."""

import difflib
import re
from dataclasses import dataclass

from sqlmodel import Session, select

from providers import prices, retirements
from providers.base import Method
from providers.capabilities import ON_THIS_MACHINE
from providers.credentials import is_azure
from providers.retirements import Notice
from workers import clock, credentials
from workers.plans import billing, methods
from workers.plans.billing import about, dollars
from workers.settings import Settings
from workers.tables import Credential, Dataset

VENDORS = ("openai", "azure_openai", "azure_ml")
"""Providers that need credentials, in the form's order."""
OTHER = "other-model"
"""The choice of a base model that is not in the price file."""
OWN_OPENAI = "https://api.openai.com/"
METHODS = {
    Method.SFT: "from examples (SFT)",
    Method.DPO: "from preferences (DPO)",
    Method.KTO: "from labelled answers (KTO)",
    Method.ORPO: "from preferences, without a reference (ORPO)",
    Method.GRPO: "by rewards for its own answers (GRPO)",
    Method.RFT: "with a grader (RFT)",
}
PLAIN = {
    "local": "private: nothing leaves it, $0",
    "autotrain": "private, $0; Hugging Face's own, 2.2 GB once",
    "stub": "for trying the flow only, $0",
}
LOCAL_TEXTS = {"smollm2-135m-instruct": ("SmolLM2 135M Instruct", "small, quick, Apache-2.0")}
_DATED = re.compile(r"-20\d\d-\d\d-\d\d$")


@dataclass(frozen=True)
class Option:
    """One choice of a form: its value and how it reads, with price, time and privacy beside it."""

    value: str
    text: str
    description: str = ""


@dataclass(frozen=True)
class Offers:
    """What can be chosen here, for one dataset. Build it with `of`."""

    settings: Settings
    usable: tuple[str, ...]
    own: frozenset[str]
    """The providers that are reached at their vendor's own address."""
    dataset: Dataset | None = None
    unconfirmed: frozenset[str] = frozenset()
    """The providers whose credentials nobody has been able to try yet."""

    @property
    def method(self) -> Method:
        """How the dataset is learnt from as a rule; `methods.at` has the others."""
        return Method(self.dataset.method) if self.dataset is not None else Method.SFT

    def notices(self, provider: str, base_model: str) -> tuple[Notice, ...]:
        """What is over and what will be, for this base model."""
        return retirements.notices(provider, base_model, clock.today(self.settings), provider in self.own)

    def closed(self, provider: str, base_model: str) -> str:
        """Why nothing can be trained on it any more, in words; empty where it can."""
        return " ".join(one.words for one in self.notices(provider, base_model) if one.closed)

    def ranked(self, dataset: Dataset) -> list[billing.Offer]:
        """Where a dataset can be trained and for what price, the best first; without what has closed."""
        found = billing.by_provider(dataset.report, set_up=self.usable)
        return [one for one in found if not self.closed(one.provider, one.model)]

    def can(self, provider: str) -> bool:
        """Whether the provider learns by one of the dataset's methods."""
        return bool(methods.at(provider, self.dataset))

    def cannot(self, provider: str, method: Method | None = None) -> str:
        """That the provider does not learn by the method, or by none of the dataset's, and who does; else empty."""
        if self.can(provider) if method is None else method in methods.at(provider, self.dataset):
            return ""
        able = [
            name
            for name in ("local", *VENDORS, "autotrain")
            if (self.can(name) if method is None else method in methods.at(name, self.dataset))
        ]
        here = [prices.vendor(name).text for name in able if name in self.usable]
        others = [prices.vendor(name).text for name in able if name not in self.usable]
        how = METHODS.get(method or self.method, str(method or self.method))
        said = f"{prices.vendor(provider).text} does not learn {how}."
        if here:
            return f"{said} Choose {' or '.join(here)}."
        if others:
            return f"{said} {' and '.join(others)} would: an admin adds its credentials with /finetune keys."
        return f"{said} No provider that is known here does: use “Download converted”, and train elsewhere."

    def not_here(self, provider: str) -> str:
        """That the provider cannot be chosen here, and what to do; empty where it can."""
        if provider in self.usable or provider == "stub":
            return ""
        if provider in VENDORS:
            return f"{prices.vendor(provider).text} is not set up here. An admin adds its credentials: /finetune keys"
        return "This provider is not set up here."

    def methods(self, provider: str) -> list[Option]:
        """The methods by which the provider can learn the dataset, each in words; the usual one first."""
        return [Option(one.value, one.upper(), METHODS.get(one, "")) for one in methods.at(provider, self.dataset)]

    def doubts(self, provider: str, base_model: str) -> list[str]:
        """What should be known before money is spent there: that a key is untried, or a model's name unknown."""
        vendor = prices.vendor(provider).text
        said = []
        if provider in self.unconfirmed:
            said.append(
                f"The credentials for {vendor} have not been confirmed yet: an admin sees why with /finetune keys. "
                "If they are wrong, the run fails before anything is trained."
            )
        named = provider in VENDORS and base_model not in {OTHER, ""}
        if named and not _is_priced(provider, base_model) and not self._last_day(provider, base_model):
            close = difflib.get_close_matches(base_model, _names(provider), n=3, cutoff=0.5)
            alike = f" Known ones that look like it: {', '.join(close)}." if close else ""
            said.append(
                f"{base_model[:120]} is not in the lists here: {vendor} decides whether it exists and can be tuned, "
                f"and its price is not known.{alike}"
            )
        return said

    def providers(self) -> list[Option]:
        """Where it can be trained, with price and privacy beside each."""
        return [Option(name, prices.vendor(name).text, self._privacy(name)) for name in self.usable]

    def _privacy(self, provider: str) -> str:
        if not self.can(provider):
            return f"does not learn {METHODS.get(self.method, self.method)}"
        if provider in PLAIN:
            return PLAIN[provider]
        fitting = [one for one in self._priced() if one.provider == provider and one.fits]
        known = [one.dollars for one in fitting if one.dollars is not None and not self.closed(provider, one.model)]
        price = f"training from {about(min(known))}" if known else "price by the hour, or unknown"
        return f"the data goes to {prices.vendor(provider).text}; {price}"

    def base_models(self, provider: str) -> list[Option]:
        """The base models for the dataset's method; what is closed stands last, the configured one first."""
        if provider in ON_THIS_MACHINE:
            return _local(self.settings)
        if provider == "stub":
            return [Option("stub-1", "stub-1", "answers like a parrot")]
        conversations = self.dataset is None or self.dataset.format not in {"prompt-completion", "text"}
        names = dict.fromkeys(one.model for one in prices.prices() if one.provider == provider)
        facts = {name: prices.facts_of(name) for name in names}
        fitting = [
            name
            for name in names
            if self.method in facts[name].methods and (facts[name].conversations or not conversations)
        ]
        open_first = sorted(fitting, key=lambda name: bool(self.closed(provider, name)))
        listed = [Option(name, prices.short_name(name), self._described(provider, name)) for name in open_first]
        return [*listed, Option(OTHER, "Another model …", "any that the vendor trains, by its name there")]

    def _described(self, provider: str, model: str) -> str:
        """Its price for this dataset and how long it answers, short."""
        last = self._last_day(provider, model)
        if last is not None and last.closed:
            return f"shut down on {retirements.in_words(last.on)}"
        price = next((one for one in prices.prices() if one.provider == provider and one.model == model), None)
        offer = next((one for one in self._priced() if (one.provider, one.model) == (provider, model)), None)
        if offer is not None and offer.dollars is not None:
            said = f"{about(offer.dollars)} to train"
        elif price is not None and price.training_per_hour is not None:
            said = f"{dollars(price.training_per_hour)} for each hour of training"
        else:
            said = "price unknown"
        return said + (f"; answers until {retirements.in_words(last.on)}" if last is not None else "")

    def _last_day(self, provider: str, model: str) -> Notice | None:
        """When the model ends, or has ended; None where nobody has said so."""
        return next((one for one in self.notices(provider, model) if one.what == retirements.MODEL), None)

    def _priced(self) -> list[billing.Offer]:
        return billing.by_provider(self.dataset.report, set_up=self.usable) if self.dataset is not None else []

    def first_model(self, provider: str, like: str = "") -> str:
        """The base model to begin with: the one `like` another vendor's, else the first that is open."""
        listed = [one.value for one in self.base_models(provider) if one.value != OTHER]
        same = next((one for one in listed if _family(one) == _family(like)), "")
        if same and not self.closed(provider, same):
            return same
        open_ones = [one for one in listed if not self.closed(provider, one)]
        lasting = [one for one in open_ones if not self._is_shut_down(provider, one)]
        return next(iter(lasting or open_ones or listed), "")

    def _is_shut_down(self, provider: str, base_model: str) -> bool:
        """Whether the vendor has ended it; at an address that is not the vendor's own it may go on."""
        today = clock.today(self.settings)
        found = self.notices(provider, base_model)
        return any(one.what == retirements.MODEL and one.on < today for one in found)

    def first_provider(self) -> str:
        """Where to begin: here, else the first that learns by the method."""
        return next((name for name in self.usable if self.can(name)), "local")

    def tiers(self, provider: str, base_model: str, tokens: int) -> list[Option]:
        """The ways of training that differ in price, each with its own for so many tokens."""
        texts = prices.vendor(provider).tiers
        priced = {tier: prices.price_of(provider, base_model, tier) for tier in texts}
        known = {tier: price for tier, price in priced.items() if price is not None}
        return [Option(tier, texts[tier], _tier_words(known.get(tier), tokens)) for tier in (known or texts)]


def of(session: Session, settings: Settings, team_id: str, dataset: Dataset | None) -> Offers:
    """What this workspace can choose from, for this dataset."""
    known = credentials.usable(session, team_id)
    return Offers(
        settings=settings,
        usable=("local", *(name for name in VENDORS if name in known), "autotrain"),
        own=_own(session, settings, team_id),
        dataset=dataset,
        unconfirmed=frozenset(credentials.unconfirmed(session, team_id)),
    )


def _names(provider: str) -> list[str]:
    return list(dict.fromkeys(one.model for one in prices.prices() if one.provider == provider))


def _is_priced(provider: str, base_model: str) -> bool:
    """Whether there is a price for it, or for what it was tuned from."""
    return prices.base_of(base_model) in {prices.base_of(one) for one in _names(provider)}


def _own(session: Session, settings: Settings, team_id: str) -> frozenset[str]:
    rows = session.exec(select(Credential).where(Credential.team_id == team_id, Credential.provider == "azure_openai"))
    elsewhere = any(not is_azure(str(one.shown.get("endpoint") or "")) for one in rows)
    own = {"azure_ml"} if elsewhere else {"azure_ml", "azure_openai"}
    return frozenset(own | ({"openai"} if settings.openai_url.startswith(OWN_OPENAI) else set()))


def _local(settings: Settings) -> list[Option]:
    options = [Option(name, *LOCAL_TEXTS[name]) for name in billing.LOCAL_MODELS["local"]]
    if settings.base_model not in LOCAL_TEXTS:
        options.insert(0, Option(settings.base_model, prices.short_name(settings.base_model), "configured here"))
    return sorted(options, key=lambda one: one.value != settings.base_model)


def model_text(base_model: str) -> str:
    """The shortest that tells people which base model it is: without its address, date and kind."""
    text, _ = LOCAL_TEXTS.get(base_model, (prices.short_name(base_model), ""))
    return _DATED.sub("", text).removesuffix(" Instruct")


def _family(model: str) -> str:
    """The model's name as all its vendors write it: without the date, and the dot in "3.5"."""
    name = prices.base_of(model)
    stem = name.split("-20")[0] if "-20" in name else name
    return stem.replace("gpt-35", "gpt-3.5")


def _tier_words(price: prices.Price | None, tokens: int) -> str:
    if price is None:
        return "price unknown"
    cost = price.training(tokens)
    if cost is not None:
        return f"{about(cost)} ({dollars(price.training_per_million or 0.0)} a million tokens)"
    return f"{dollars(price.training_per_hour)} an hour" if price.training_per_hour else "price unknown"
