"""What hosting will cost, before anything is hosted; what is not known is said so."""

import pytest

from providers import prices
from providers.capabilities import CAPABILITIES
from workers.hosting import hosting_estimate
from workers.hosting.estimate import hourly, price_of
from workers.tables import HostedModel

NANO = "gpt-4.1-nano-2025-04-14"


def row(provider, tier, purpose="tuned"):
    return HostedModel(team_id="T1", run_id=1, provider=provider, name="n", model="m", tier=tier, purpose=purpose)


def test_a_known_price():
    plan = hosting_estimate("azure_openai", NANO, 4)
    assert (plan.tier_id, plan.dollars_per_hour, plan.hours) == ("globalStandard", 1.7, 4.5)
    assert plan.dollars == pytest.approx(7.65)
    assert "at $1.70/h about $7.65" in plan.words
    assert "for 4 h after that" in plan.words
    assert prices.price_of("azure_openai", NANO).words in plan.words


def test_an_unknown_price_is_said_so():
    plan = hosting_estimate("azure_openai", "a-model-of-tomorrow")
    assert (plan.dollars_per_hour, plan.dollars) == (None, None)
    assert "not known here" in plan.words
    assert "$" not in plan.words


@pytest.mark.parametrize("provider", [name for name, can in CAPABILITIES.items() if not can.must_deploy])
def test_where_nothing_has_to_be_hosted_there_is_nothing_to_say(provider):
    assert hosting_estimate(provider, NANO) is None


def test_vendors_and_the_price_list_write_a_tier_alike_but_for_case():
    assert price_of("azure_openai", NANO, "GlobalStandard") == prices.price_of("azure_openai", NANO, "globalStandard")
    assert price_of("azure_openai", NANO, "Standard") == prices.price_of("azure_openai", NANO, "standard")
    assert price_of("azure_openai", NANO, "Provisioned") is None
    assert price_of("azure_ml", "Ministral-3B", "serverless").hosting_per_hour == 0.65
    assert price_of("azure_ml", "Ministral-3B", "Standard_NC24ads_A100_v4") is None


def test_a_base_model_costs_hours_only_on_machines_of_its_own():
    assert hourly(row("azure_openai", "GlobalStandard", "base"), NANO)[0] == 0
    assert hourly(row("azure_ml", "serverless", "base"), "Ministral-3B")[0] == 0
    assert hourly(row("azure_ml", "Standard_NC24ads_A100_v4", "base"), "Ministral-3B") == (None, "")
    assert hourly(row("azure_ml", "serverless"), "Ministral-3B")[0] == 0.65
