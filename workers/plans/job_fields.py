"""The single fields of a job file: each read strictly, and what is wrong with it said with its name."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from providers import prices
from providers.base import Hyperparameter, Method
from providers.capabilities import CAPABILITIES
from workers.plans.choices import Choices, option_problems

PROVIDERS = tuple(name for name in CAPABILITIES if name != "stub")
"""Those that a job file may name."""


@dataclass(frozen=True)
class Named:
    """A dataset as a file names it; the hash tells exactly, the name and version only nearly."""

    name: str = ""
    version: int | None = None
    sha256: str = ""


def knobs_of(given: Mapping[str, Any], provider: str, method: str, problems: list[str]) -> dict[str, Hyperparameter]:
    """The hyperparameters, checked as the form checks them; where no method is named, as one of the provider's may."""
    values: dict[str, Hyperparameter] = {name: _number_if_one(value) for name, value in given.items()}
    known = CAPABILITIES.get(provider)
    if known is not None:
        methods = [Method(method)] if method in set(Method) else sorted(known.methods)
        found = [Choices(dataset_id=0, provider=provider, method=one, knobs=values).knob_problems() for one in methods]
        fewest = min(found, key=len)
        problems += [f"hyperparameters, “{short(name)}”: {words}" for name, words in fewest.items()]
    return values


def seed_of(data: Mapping[str, Any], key: str, problems: list[str], place: str = "") -> int:
    """The seed, or 42 where there is none; what is wrong with it goes into `problems`."""
    seed = data.get(key)
    if seed is None:
        return 42
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
        problems.append(f"“{place}{key}” must be a whole number from 0 to 2147483647.")
        return 42
    return seed


def _number_if_one(value: Any) -> Any:
    """YAML takes 5e-4 for a word, as it has no dot."""
    if not isinstance(value, str):
        return value if isinstance(value, int | float) else str(value)
    try:
        number = float(value)
    except ValueError:
        return value
    return number if math.isfinite(number) else value


def options_of(given: Mapping[str, Any], provider: str, problems: list[str]) -> dict[str, Any]:
    """What only this vendor knows; what is wrong with it by its shape goes into `problems`."""
    if provider not in PROVIDERS:
        return {}
    options = {name: value for name, value in given.items() if value is not None}
    if tier := prices.tier_named(provider, options.get("training_tier")):
        options["training_tier"] = tier
    found = option_problems(provider, options)
    problems += [f"{provider}, “{short(name)}”: {words}" for name, words in found.items()]
    return {name: value for name, value in options.items() if name in CAPABILITIES[provider].options}


def text_of(data: Mapping[str, Any], key: str, problems: list[str], most: int = 60) -> str:
    """A text of at most so many characters; empty where there is none."""
    value = data.get(key)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        problems.append(f"“{key}” must be a text; put it in quotes.")
        return ""
    said = str(value).strip()
    if len(said) > most:
        problems.append(f"“{key}” has {len(said):,} characters; at most {most} fit into the form.")
    elif "\n" in said or "\t" in said:
        problems.append(f"“{key}” must stand on one line.")
    return said[:most]


def mapping_of(data: Mapping[str, Any], key: str, problems: list[str]) -> Mapping[str, Any]:
    """Names with values below them; none where there are none."""
    value = data.get(key)
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    problems.append(f"“{key}” must have names with values below it.")
    return {}


def dataset_or_word(
    data: Mapping[str, Any], key: str, words: list[str], problems: list[str]
) -> tuple[Named | None, str]:
    """A dataset, or one of these words in its place; neither where nothing is said."""
    value = data.get(key)
    if value is None or (isinstance(value, str) and value in words):
        return None, value or ""
    return dataset_of(value, key, problems, words), ""


def dataset_of(value: Any, key: str, problems: list[str], words: list[str] | None = None) -> Named | None:
    """A dataset by its file's name, or by name, version and sha256."""
    if value is None:
        return None
    if isinstance(value, str) and value:
        return Named(name=value[:255])
    if isinstance(value, dict) and set(value) <= {"name", "version", "sha256"}:
        name, version, sha256 = (value.get(one) for one in ("name", "version", "sha256"))
        texts = all(one is None or (isinstance(one, str) and one) for one in (name, sha256))
        counted = version is None or (isinstance(version, int) and not isinstance(version, bool))
        if texts and counted and (sha256 or name):
            return Named(str(name or "")[:255], version, str(sha256 or "")[:255].lower())
    choice = f"{', '.join(words)}, or " if words else ""
    problems.append(f"“{key}” must be {choice}a dataset: its file's name, or name, version and sha256.")
    return None


def short(value: object) -> str:
    """The beginning of what somebody wrote, to be quoted."""
    return str(value)[:60]
