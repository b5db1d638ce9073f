"""What a dataset costs everywhere: tokens as each model bills them, and what can be chosen comes first."""

import pytest

from workers.plans import billing, cost

REPORT = {
    "method": "sft", "format": "openai-chat", "examples": 100, "epochs": 3, "billed_tokens": 1_500_000,
    "tokens": {"total": 2_000_000, "max": 30_000, "tokenizer": "o200k_base", "context": 16_385},
    "histogram": {"edges": [0, 10_000, 20_000, 30_000], "counts": [50, 20, 30]},
}  # fmt: skip


def with_tokens(**more):
    return {**REPORT, "tokens": {**REPORT["tokens"], **more}}


@pytest.mark.parametrize(
    ("report", "model", "tokens", "exact"),
    [
        (REPORT, "gpt-4.1-mini", 2_000_000, True),  # no example is over its limit
        (with_tokens(tokenizer="cl100k_base"), "gpt-3.5-turbo", 1_500_000, True),  # checked with its very limit
        (REPORT, "gpt-3.5-turbo", 1_500_000, False),
        (with_tokens(context=4096), "gpt-3.5-turbo", 50 * 5000 + 20 * 15_000 + 30 * 16_385, False),
        ({**with_tokens(context=4096), "histogram": {}}, "gpt-3.5-turbo", 2_000_000, False),
        (with_tokens(max=900), "gpt-9", 2_000_000, False),
        ({}, "gpt-4.1", 0, False),
    ],
)
def test_no_example_counts_for_more_than_the_model_trains_on(report, model, tokens, exact):
    assert billing.bill(report, "openai", model) == billing.Bill(tokens, exact)


def test_the_local_model_counts_exactly_with_its_own_tokenizer():
    assert not billing.bill(REPORT, "local", "smollm2-135m-instruct").exact
    assert billing.bill(with_tokens(tokenizer="file:/x/tokenizer.json"), "local", "smollm2-135m-instruct").exact


def test_what_can_be_chosen_comes_first_and_then_the_cheapest():
    offers = cost.by_provider(REPORT)
    first = offers[0]
    assert cost.best_fit(offers) is first
    assert (first.provider, first.set_up, first.dollars, first.billed_tokens) == ("local", True, 0, 6_000_000)
    assert first.words == "smollm2-135m-instruct on this machine: $0 (runs on your own machine)"
    others = [one for one in offers if one.fits][1:]
    assert all("not set up here" in one.words for one in others)
    assert [one.dollars for one in others] == sorted(one.dollars for one in others)
    mini = next(one for one in others if one.provider == "openai" and one.model.startswith("gpt-4.1-mini"))
    assert mini.dollars == 30
    assert mini.words == (
        "gpt-4.1-mini-2025-04-14 at OpenAI: $30.00 to train (OpenAI API pricing, 5 August 2026), not set up here"
    )
    assert {one.provider for one in offers} == {"local", "openai", "azure_openai", "azure_ml"}
    assert len({(one.provider, one.model) for one in offers}) == len(offers)


def test_what_does_not_fit_says_why():
    offers = {(one.provider, one.model): one for one in cost.by_provider({**REPORT, "examples": 9, "method": "dpo"})}
    nano = offers["openai", "gpt-4.1-nano-2025-04-14"]
    assert not nano.fits
    assert nano.words.endswith("wants at least 10 examples")
    local = offers["local", "smollm2-135m-instruct"]
    assert local.fits
    assert cost.best_fit(list(offers.values())) == local
    kto = {(one.provider, one.model): one for one in cost.by_provider({**REPORT, "method": "kto"})}
    assert "does not train by the method kto" in kto["openai", "gpt-4.1-nano-2025-04-14"].words
    assert kto["local", "smollm2-135m-instruct"].fits
    base = next(one for one in cost.by_provider(REPORT) if one.model == "davinci-002")
    assert "prompts and completions only" in base.words
    hourly = next(one for one in cost.by_provider({**REPORT, "method": "rft"}) if one.model.startswith("o4-mini"))
    assert hourly.fits
    assert (hourly.dollars, "$100.00 for each hour" in hourly.words) == (None, True)


def test_time_is_told_where_it_is_known():
    offers = cost.by_provider(REPORT, epochs=1, seconds={"smollm2-135m-instruct": 60.0})
    assert (offers[0].seconds, offers[0].epochs, offers[0].billed_tokens) == (60.0, 1, 2_000_000)
    assert all(one.seconds is None for one in offers[1:])


@pytest.mark.parametrize(("amount", "words"), [(0, "$0.00"), (0.004, "under $0.01"), (1234.5, "$1,234.50")])
def test_amounts_in_words(amount, words):
    assert billing.dollars(amount) == words
