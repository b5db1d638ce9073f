"""Where a workspace can train and on what: by its credentials, by the dataset's method, and by what is over."""

from datetime import date

import pytest

from providers import prices
from providers.base import Method
from workers.plans import offered
from workers.settings import Settings
from workers.tables import Credential, CredentialStatus, Dataset

SETTINGS = Settings(today=date(2026, 11, 25))


def dataset(method="sft", form="openai-chat"):
    tokens = {"total": 100_000, "max": 900, "tokenizer": "o200k_base"}
    return Dataset(
        id=1, team_id="T1", name="d", sha256="s", storage_key="k", format=form, method=method, examples=100,
        trainable=True, report={"epochs": 3, "method": method, "format": form, "examples": 100, "tokens": tokens},
    )  # fmt: skip


@pytest.fixture
def offers(db):
    def of(*providers, row=None, settings=SETTINGS, endpoint="https://x.openai.azure.com", status="WORKING"):
        with db.write() as session:
            for name in providers:
                session.add(
                    Credential(
                        team_id="T1", provider=name, sealed="x", shown={"endpoint": endpoint},
                        status=CredentialStatus[status],
                    )
                )  # fmt: skip
        with db.read() as session:
            return offered.of(session, settings, "T1", row or dataset())

    return of


def test_only_what_has_credentials_that_were_not_refused(offers):
    assert [one.value for one in offers().providers()] == ["local", "autotrain"]
    assert [one.value for one in offers("openai", "azure_ml").providers()] == [
        "local", "openai", "azure_ml", "autotrain",
    ]  # fmt: skip


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_refused_credentials_offer_nothing(offers):
    found = offers("openai", status="REFUSED")
    assert found.not_here("openai") == "OpenAI is not set up here. An admin adds its credentials: /finetune keys"
    assert found.not_here("local") == ""


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_what_is_closed_stands_last_and_is_never_begun_with(offers):
    found = offers("openai")
    listed = found.base_models("openai")
    assert listed[0].description == "about $1.50 to train; answers until 14 January 2027"
    assert [one.value for one in listed][-1] == offered.OTHER
    closed = [one.value for one in listed if one.description.startswith("shut down on 23 October 2026")]
    assert closed == ["gpt-4.1-nano-2025-04-14", "gpt-3.5-turbo-0125"]
    assert found.first_model("openai") == "gpt-4.1-mini-2025-04-14"
    assert found.first_model("openai", like="gpt-4.1-nano-2025-04-14") == "gpt-4.1-mini-2025-04-14"
    assert "davinci-002" not in [one.value for one in listed]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_the_same_model_elsewhere_is_taken(offers):
    found = offers("azure_openai")
    assert found.first_model("azure_openai", like="gpt-4o-mini-2024-07-18") == "gpt-4o-mini-2024-07-18"
    assert found.first_model("azure_openai", like="gpt-3.5-turbo-0125") == "gpt-35-turbo-0125"
    assert found.first_model("azure_openai", like="smollm2-135m-instruct") == "gpt-4.1-nano-2025-04-14"


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_by_method_and_by_shape(offers):
    found = offers("openai", row=dataset("rft", "rft"))
    assert [one.value for one in found.base_models("openai")] == ["o4-mini-2025-04-16", offered.OTHER]
    assert found.first_provider() == "local"
    assert found.method is Method.RFT
    assert [one.value for one in found.methods("local")] == ["grpo"]
    assert [one.value for one in found.methods("openai")] == ["rft"]
    prompts = offers(row=dataset("sft", "prompt-completion"))
    assert "davinci-002" in [one.value for one in prompts.base_models("openai")]
    kto = offers(row=dataset("kto", "kto"))
    assert not kto.cannot("local")
    assert "does not learn from labelled answers (KTO). Choose This machine" in kto.cannot("openai")
    assert kto.first_provider() == "local"
    pairs = offers(row=dataset("dpo", "preference"))
    assert [one.value for one in pairs.methods("local")] == ["dpo", "orpo", "kto"]
    assert [one.value for one in pairs.methods("openai")] == ["dpo"]
    assert "OpenAI does not learn from preferences, without a reference (ORPO)" in pairs.cannot("openai", Method.ORPO)
    assert [one.value for one in offers(row=dataset("sft", "text")).methods("local")] == ["sft"]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("url", "endpoint", "own"),
    [
        ("https://api.openai.com/v1", "https://x.openai.azure.com", {"openai", "azure_openai", "azure_ml"}),
        ("http://127.0.0.1:9/v1", "http://127.0.0.1:9", {"azure_ml"}),
        ("https://api.openai.com.evil.example/v1", "https://x.services.ai.azure.com", {"azure_openai", "azure_ml"}),
    ],
)
def test_the_vendors_own_address(offers, url, endpoint, own):
    settings = SETTINGS.model_copy(update={"openai_url": url})
    found = offers("openai", "azure_openai", settings=settings, endpoint=endpoint)
    assert found.own == own
    assert bool(found.closed("openai", "gpt-4.1-nano")) is ("openai" in own)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_tiers(offers):
    found = offers("azure_openai")
    tiers = {one.value: one.description for one in found.tiers("azure_openai", "gpt-4.1-mini", 1_000_000)}
    assert tiers["standard"] == "about $5.50 ($5.50 a million tokens)"
    assert set(tiers) == {"globalStandard", "standard", "developerTier"}
    assert [one.value for one in found.tiers("azure_openai", "gpt-35-turbo", 5)] == ["standard"]
    assert {one.description for one in found.tiers("azure_openai", "gpt-9", 5)} == {"price unknown"}
    assert found.tiers("openai", "gpt-4.1-mini", 5) == []


@pytest.mark.parametrize(
    ("model", "short", "text"),
    [
        ("azureml://registries/azureml/models/Ministral-3B/versions/1", "Ministral-3B", "Ministral-3B"),
        ("azureml://registries/azureml-meta/models/Llama-3/labels/latest", "Llama-3", "Llama-3"),
        ("/data/models/mine/", "mine", "mine"),
        ("/data/models/ours/mine", "mine", "mine"),
        ("HuggingFaceTB/SmolLM2-135M", "SmolLM2-135M", "SmolLM2-135M"),
        ("gpt-4.1-mini-2025-04-14", "gpt-4.1-mini-2025-04-14", "gpt-4.1-mini"),
        ("ft:gpt-4.1:acme::x", "ft:gpt-4.1:acme::x", "ft:gpt-4.1:acme::x"),
        ("smollm2-135m-instruct", "smollm2-135m-instruct", "SmolLM2 135M"),
        ("/", "/", "/"),
    ],
)
def test_what_people_call_a_model(model, short, text):
    assert prices.short_name(model) == short
    assert offered.model_text(model) == text


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_no_words_have_markup_which_would_arrive_as_rubbish(offers):
    for row in (dataset("kto", "kto"), dataset("dpo"), dataset("rft", "rft")):
        found = offers(row=row)
        for provider in offered.VENDORS:
            assert not set("*`_~") & set(found.cannot(provider) + found.not_here(provider))


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_what_nobody_has_confirmed_is_said_before_money_is_spent(offers):
    assert offers("openai").doubts("openai", "gpt-4.1-mini-2025-04-14") == []
    untried = offers("azure_openai", status="UNREACHED").doubts("azure_openai", "gpt-4.1-mini-2025-04-14")
    assert [one.split(":")[0] for one in untried] == [
        "The credentials for Azure OpenAI have not been confirmed yet",
    ]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("model", "is_known"),
    [
        ("gpt-4.1-mini-2025-04-14", True),
        ("ft:gpt-4.1-mini-2025-04-14:team:recipes:abc123", True),
        ("gpt-4.1-mini-2025-04-41", False),
        (offered.OTHER, True),
    ],
)
def test_a_name_that_no_list_has_is_doubted_with_those_that_look_like_it(offers, model, is_known):
    doubts = offers("openai").doubts("openai", model)
    assert is_known == (doubts == [])
    if not is_known:
        assert "Known ones that look like it: gpt-4.1-mini-2025-04-14" in doubts[0]
