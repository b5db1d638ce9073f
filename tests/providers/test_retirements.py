"""Dates of what vendors end: each with its page, compared with a given day, closing only the vendor's own door."""

import json
from datetime import UTC, date, datetime
from importlib import resources

import pytest

from providers import prices, retirements
from providers.retirements import MODEL, TRAINING

NOW = date(2026, 11, 25)


def data():
    return json.loads(resources.files("providers").joinpath("retirements.json").read_text())


def said(provider, model, day, **more):
    return [(one.what, one.words, one.closed) for one in retirements.notices(provider, model, day, **more)]


def test_every_entry_says_from_when_and_from_where_and_names_models_that_have_a_price():
    known = {(one.provider, one.model) for one in prices.prices()}
    for entry in data()["entries"]:
        assert date(2026, 1, 1) <= date.fromisoformat(entry["as_of"]) <= datetime.now(UTC).date()
        assert data()["sources"][entry["source"]]["url"].startswith("https://")
        assert {(entry["provider"], name) for name in entry.get("models", ())} <= known
        assert entry["what"] in {TRAINING, MODEL}
        assert entry.get("before") or entry.get("after")
        for words in (entry.get("before"), entry.get("after")):
            assert not words or "{date}" in words


@pytest.mark.parametrize("name", ["gpt-4.1-mini", "gpt-4.1-mini-2025-04-14", "ft:gpt-4.1-mini-2025-04-14:a::b"])
def test_a_model_that_will_end_is_told_under_each_of_its_names(name):
    found = said("openai", name, NOW)
    assert (MODEL, "This model, and what is tuned from it, answers until 14 January 2027 only.", False) in found
    assert (TRAINING, "OpenAI takes new fine-tuning jobs until 6 January 2027 only.", False) in found
    assert retirements.ends("openai", name) == date(2027, 1, 14)


def test_it_is_closed_the_day_after_and_not_on_the_day():
    on_the_day = retirements.notices("openai", "gpt-4.1-mini", date(2027, 1, 6))
    assert not any(one.closed for one in on_the_day)
    after = retirements.notices("openai", "gpt-4.1-mini", date(2027, 1, 7))
    (closed,) = [one for one in after if one.closed]
    assert closed.words == "OpenAI has taken no new fine-tuning jobs since 6 January 2027."
    assert closed.source == "OpenAI API deprecations, 28 October 2026"
    assert [one.what for one in after] == [TRAINING, MODEL]  # who could still train does not matter any more


def test_at_another_address_nothing_is_closed():
    found = said("openai", "gpt-4.1-nano", date(2027, 6, 1), own_address=False)
    assert found
    assert not any(closed for _, _, closed in found)


def test_who_is_shut_out_is_told_but_not_refused():
    found = said("openai", "gpt-4.1", NOW)
    (idle,) = [one for one in found if "last 60 days" in one[1]]
    assert idle == (TRAINING, idle[1], False)
    assert said("openai", "gpt-4.1", date(2026, 7, 2)) != found  # not yet, on that day


def test_azure_and_what_nobody_knows():
    assert said("azure_openai", "gpt-4o-mini", NOW) == [
        (MODEL, "What is tuned from this model can be hosted until 1 October 2027 only.", False)
    ]
    assert "may have stopped" in said("azure_openai", "gpt-4o-mini", date(2027, 5, 1))[0][1]
    assert said("azure_ml", "Ministral-3B", NOW) == said("local", "smollm2-135m-instruct", NOW) == []
    assert retirements.ends("azure_ml", "Ministral-3B") is None
