"""The price file: every figure has a date and a source, and a model is found under each of its names."""

import json
from datetime import UTC, date, datetime
from importlib import resources

import pytest

from providers import prices
from providers.tokenizers import tokenizer_of


def test_every_price_says_from_when_and_from_where():
    seen = set()
    for price in prices.prices():
        assert date(2026, 1, 1) <= price.as_of <= datetime.now(UTC).date(), price
        assert price.source
        assert price.url.startswith("https://") or price.provider in {"autotrain", "local", "stub"}
        assert prices.vendor(price.provider).text != price.provider
        figures = [
            price.training_per_million, price.training_per_hour, price.input_per_million, price.output_per_million,
            price.hosting_per_hour,
        ]  # fmt: skip
        assert any(one is not None for one in figures)
        assert all(one is None or 0 <= one < 1000 for one in figures)
        key = (price.provider, price.model, price.tier)
        assert key not in seen
        seen.add(key)


def test_the_file_has_nothing_that_is_not_read():
    data = json.loads(resources.files("providers").joinpath("prices.json").read_text())
    known = {*prices.Price.__dataclass_fields__} - {"url"}
    assert {key for entry in data["prices"] for key in entry} <= known
    assert {entry["source"] for entry in data["prices"]} == set(data["sources"])
    assert data["currency"] == "USD"


@pytest.mark.parametrize(
    "name",
    ["gpt-4o-mini-2024-07-18", "gpt-4o-mini", "ft:gpt-4o-mini-2024-07-18:acme:recipes:abc123", "ft:gpt-4o-mini:a::b"],
)
def test_a_model_is_found_under_each_of_its_names(name):
    price = prices.price_of("openai", name)
    assert (price.training_per_million, price.input_per_million, price.output_per_million) == (3.0, 0.3, 1.2)
    assert price.training(1_000_000) == 3.0
    assert price.answering(1_000_000, 500_000) == pytest.approx(0.9)
    assert price.words == "OpenAI API pricing, 5 August 2026"


def test_a_tier_has_its_own_price_and_one_is_meant_where_none_is_named():
    model = "gpt-4.1-mini"
    assert prices.price_of("azure_openai", model).tier == "globalStandard"
    assert prices.price_of("azure_openai", model, "standard").training_per_million == 5.5
    assert prices.price_of("azure_openai", model, "developerTier").hosting_per_hour == 0
    assert prices.price_of("azure_openai", model).hosting_per_hour == 1.7


@pytest.mark.parametrize("written", ["developerTier", "DeveloperTier", "DEVELOPERTIER"])
def test_a_tier_is_found_however_it_is_written(written):
    assert prices.tier_named("azure_openai", written) == "developerTier"
    assert prices.price_of("azure_openai", "gpt-4.1-mini", written).training_per_million == 2.5


@pytest.mark.parametrize("written", ["gold", "", None, 7, ["standard"], {"a": 1}])
def test_what_is_no_tier(written):
    assert prices.tier_named("azure_openai", written) == ""
    assert prices.tier_named("openai", "standard") == ""
    assert prices.price_of("azure_openai", "gpt-4.1-mini", "gold") is None


@pytest.mark.parametrize(
    ("called", "base"),
    [
        ("azureml-mistral/Ministral-3B", "Ministral-3B"),
        ("azureml-mistral/Ministral-3B/3", "Ministral-3B"),
        ("azureml://registries/azureml-mistral/models/Ministral-3B/versions/1", "Ministral-3B"),
        ("azureml://registries/azureml-mistral/models/Ministral-3B", "Ministral-3B"),
        ("azureml/Phi-4", "Phi-4"),
        ("azure-openai/gpt-4o-mini", "gpt-4o-mini-2024-07-18"),
        ("gpt-4.1-mini-2025-04-14.ft-0a1b2c3d-support", "gpt-4.1-mini-2025-04-14"),
        ("gpt-35-turbo-0125.ft-0a1b2c3d", "gpt-35-turbo-0125"),
        ("ft:gpt-4o-mini:a::b", "gpt-4o-mini-2024-07-18"),
        ("company-registry/bert", "company-registry/bert"),
        ("/models/azureml/Phi-4", "/models/azureml/Phi-4"),
        ("support-01234567:1", "support-01234567:1"),
        ("ft:", ""),
        (".ft-x", ".ft-x"),
    ],
)
def test_the_base_model_is_known_whatever_a_vendor_calls_it(called, base):
    assert prices.base_of(called) == base


def test_what_is_called_by_its_address_has_its_price():
    plain = prices.price_of("azure_ml", "Ministral-3B")
    assert plain.hosting_per_hour == 0.65
    assert prices.price_of("azure_ml", "azureml-mistral/Ministral-3B") == plain
    address = "azureml://registries/azureml-mistral/models/Ministral-3B/versions/1"
    assert prices.price_of("azure_ml", address) == prices.cheapest_hosting("azure_ml", address) == plain
    tuned = prices.price_of("azure_openai", "gpt-4.1-mini-2025-04-14.ft-0a1b-x", "standard")
    assert tuned.training_per_million == 5.5


def test_the_cheapest_hosting_is_found_whatever_the_tier_of_training():
    assert prices.cheapest_hosting("azure_openai", "gpt-4.1-mini").tier == "developerTier"
    longer = prices.cheapest_hosting("azure_openai", "gpt-4.1-mini", above=0.0)
    assert (longer.tier, longer.hosting_per_hour) == ("globalStandard", 1.7)
    by_the_hour = prices.cheapest_hosting("azure_openai", "gpt-35-turbo")
    assert (by_the_hour.tier, by_the_hour.hosting_per_hour) == ("standard", 1.87)
    assert prices.cheapest_hosting("azure_openai", "gpt-35-turbo", above=1.87) is None
    assert prices.cheapest_hosting("azure_openai", "gpt-9") is None
    assert prices.cheapest_hosting("local", "whatever").hosting_per_hour == 0


def test_what_is_not_known_is_none():
    assert prices.price_of("openai", "gpt-9") is None
    assert prices.price_of("nobody", "gpt-4o") is None
    assert prices.facts_of("gpt-9").tokenizer == ""
    assert prices.vendor("nobody").minimum_examples == 1
    by_the_hour = prices.price_of("openai", "o4-mini")
    assert by_the_hour.training(5) is None
    assert by_the_hour.training_per_hour == 100
    assert prices.price_of("local", "whatever").training(10**9) == 0


def test_the_models_own_tokenizer_counts_once_it_is_there(tmp_path):
    assert tokenizer_of("openai", "gpt-4o", tmp_path) == tokenizer_of("azure_openai", "gpt-4.1", tmp_path)
    assert tokenizer_of("openai", "gpt-3.5-turbo", tmp_path).name == "cl100k_base"
    before = tokenizer_of("local", "smollm2-135m-instruct", tmp_path)
    assert (before.name, before.exact) == ("o200k_base", False)
    folder = tmp_path / "base-models" / "smollm2-135m-instruct"
    folder.mkdir(parents=True)
    (folder / "tokenizer.json").write_text("{}")
    for name in ("smollm2-135m-instruct", str(folder)):
        there = tokenizer_of("local", name, tmp_path)
        assert (there.name, there.exact) == (f"file:{folder / 'tokenizer.json'}", True)
    assert not tokenizer_of("azure_ml", "Ministral-3B", tmp_path).exact
