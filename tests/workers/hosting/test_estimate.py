"""What hosting will cost, before anything is hosted; what is not known is said so."""

import pytest

from providers import prices
from providers.azure_openai.hosting import TIERS
from providers.capabilities import CAPABILITIES
from providers.errors import NotAllowed
from workers.hosting import hosting_estimate
from workers.hosting.estimate import LIVES_HOURS, chosen, hourly, price_of
from workers.tables import HostedModel

NANO = "gpt-4.1-nano-2025-04-14"
TURBO = "gpt-35-turbo-0125"


def row(provider, tier, purpose="tuned"):
    return HostedModel(team_id="T1", run_id=1, provider=provider, name="n", model="m", tier=tier, purpose=purpose)


def test_a_known_price_by_the_hour():
    plan = hosting_estimate("azure_openai", TURBO, 4)
    assert (plan.tier_id, plan.dollars_per_hour, plan.hours) == ("standard", 1.87, 4.5)
    assert plan.dollars == pytest.approx(8.415)
    assert plan.words == (
        "Standard tier: in the resource's region. Hosted while the models are compared and for 4 h after that, for up "
        "to 10,000 tokens a minute, at $1.87/h about $8.42 (Azure Retail Prices, 11 August 2026); it can be kept "
        "longer, or deleted at any time."
    )


def test_the_cheapest_tier_is_planned_with_the_end_that_it_has():
    plan = hosting_estimate("azure_openai", NANO, 4)
    assert (plan.tier_id, plan.dollars_per_hour, plan.dollars) == ("developerTier", 0.0, 0.0)
    assert plan.words == (
        "Developer tier: anywhere in the world, may be interrupted, lives 24 h. Hosted while the models are compared "
        "and for 4 h after that, for up to 10,000 tokens a minute: no cost by the hour, each answer is "
        "billed by its tokens (Azure Retail Prices, 11 August 2026); it can be kept until Azure OpenAI ends it after "
        "24 h, or deleted at any time."
    )


def test_a_capacity_limits_how_much_is_answered_and_not_what_it_costs():
    usual, small = (hosting_estimate("azure_openai", TURBO, 4, capacity=one) for one in (None, 3))
    assert "for up to 3,000 tokens a minute" in small.words
    assert (small.dollars, small.dollars_per_hour) == (usual.dollars, usual.dollars_per_hour)
    assert "tokens a minute" not in hosting_estimate("azure_ml", "Ministral-3B", 4, capacity=3).words


def test_what_is_trained_in_its_region_is_hosted_there_and_nowhere_else():
    plan = hosting_estimate("azure_openai", NANO, 4, training_tier="standard")
    assert (plan.tier_id, plan.dollars_per_hour) == ("standard", 1.7)
    assert plan.dollars == pytest.approx(1.7 * 4.5)
    assert plan.words.startswith("Standard tier: in the resource's region. Hosted while")
    for elsewhere in ("", "globalStandard", "developerTier"):
        assert hosting_estimate("azure_openai", NANO, 4, training_tier=elsewhere).tier_id == "developerTier"
    assert chosen(TIERS, row("azure_openai", "standard"), NANO).id == "Standard"
    assert chosen(TIERS, row("azure_openai", "standard", "base"), NANO).id == "Standard"
    for purpose in ("tuned", "base"):
        with pytest.raises(NotAllowed, match="in the resource's region"):
            chosen(TIERS[:2], row("azure_openai", "standard", purpose), NANO)


def test_hosting_for_several_comparisons_for_none_and_without_a_lease():
    several = hosting_estimate("azure_ml", "Ministral-3B", 4, compared=4)
    assert (several.hours, several.dollars) == (6.0, pytest.approx(0.65 * 6))
    assert "compared (about 0.5 h for each of 4 runs) and for 4 h after that, at $0.65/h about $3.90" in several.words
    untested = hosting_estimate("azure_ml", "Ministral-3B", 4, compared=0)
    assert untested.dollars == pytest.approx(0.65 * 4)
    assert untested.words.startswith("Hosted for 4 h once it is trained, at $0.65/h about $2.60")
    assert "compared" not in untested.words
    part = hosting_estimate("azure_ml", "Ministral-3B", 0)
    assert part.dollars == pytest.approx(0.65 / 2)
    assert part.words.startswith("Hosted while the models are compared, at")


def test_the_ends_that_plans_tell_are_those_of_the_vendors_tiers():
    ends = {one.id.lower(): one.lives_hours for one in TIERS if one.lives_hours is not None}
    assert ends == LIVES_HOURS


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


def test_the_tier_is_the_one_that_is_asked_for_then_the_planned_then_the_first():
    assert chosen(TIERS, row("azure_openai", ""), NANO).id == "DeveloperTier"
    assert chosen(TIERS, row("azure_openai", "globalStandard"), NANO).id == "GlobalStandard"
    assert chosen(TIERS, row("azure_openai", ""), TURBO).id == "Standard"
    assert chosen(TIERS[1:], row("azure_openai", ""), NANO).id == "GlobalStandard"
    assert chosen(TIERS, row("azure_openai", "", "base"), NANO).id == "GlobalStandard"


def test_a_base_model_costs_hours_only_on_machines_of_its_own():
    assert hourly(row("azure_openai", "GlobalStandard", "base"), NANO)[0] == 0
    assert hourly(row("azure_ml", "serverless", "base"), "Ministral-3B")[0] == 0
    assert hourly(row("azure_ml", "Standard_NC24ads_A100_v4", "base"), "Ministral-3B") == (None, "")
    assert hourly(row("azure_ml", "serverless"), "Ministral-3B")[0] == 0.65
