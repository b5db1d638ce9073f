"""The form and its plan: what can be tested how, what that will and will not prove, and what it costs."""

import json
from dataclasses import replace
from datetime import date

import pytest

from bot.blocks import start_form, start_plan, start_values
from bot.sandbox.block_kit import problems_of_view
from providers.base import Method
from providers.capabilities import CAPABILITIES
from providers.retirements import Notice
from workers.errors import InvalidPlan
from workers.plans.billing import Offer
from workers.plans.choices import Choices, TestOn
from workers.plans.cost import Estimate
from workers.plans.plan import Option, StartForm
from workers.runs.leaks import Leaks
from workers.tables import Dataset, DatasetRole

ESTIMATE = Estimate(20, 0, 3, 15, 900, 2700, None, "$0 (runs on your own machine)")


def dataset(number, **more):
    return Dataset(**{
        "id": number, "team_id": "T1", "name": f"d{number}.jsonl", "sha256": str(number), "storage_key": "k",
        "format": "openai-chat", "method": "sft", "examples": 20, "trainable": True, "role": DatasetRole.TRAIN,
        "report": {}, **more,
    })  # fmt: skip


def form(**choices):
    option = Option("m", "m")
    chosen = Choices(dataset_id=1, name="n", base_model="m", **choices)
    drawn = start_form.draw(StartForm([dataset(1), dataset(2)], chosen, [option], [option]), "C1")
    assert problems_of_view(drawn) == []
    return {block.get("block_id"): block for block in drawn["blocks"]}


def values(**chosen):
    fixed = {"dataset_id": "1", "test_dataset_id": "2", "validation_dataset_id": "nothing", "name": "n"}
    return {
        name: {"value": {"selected_option": {"value": one}} if name.endswith("_id") else {"value": one}}
        for name, one in {**fixed, **chosen}.items()
    }


def said(view):
    return json.dumps(view, ensure_ascii=False)


def test_with_few_examples_three_ways_are_offered_and_what_each_proves():
    block = form(test_on=TestOn.NOTHING)["test_dataset_id"]
    offered = [one["value"] for one in block["element"]["options"]]
    assert {"cross-check", "nothing", "attach", "2"} <= set(offered)
    assert block["element"]["initial_option"]["value"] == "nothing"
    assert "nobody can say whether the result is better" in block["hint"]["text"]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("2", {"test_dataset_id": 2, "test_on": TestOn.HELD_OUT}),
        ("held-out", {"test_dataset_id": None, "test_on": TestOn.HELD_OUT}),
        ("cross-check", {"test_dataset_id": None, "test_on": TestOn.CROSS_CHECK}),
        ("nothing", {"test_dataset_id": None, "test_on": TestOn.NOTHING}),
    ],
)
def test_what_was_chosen_to_test_on(test, expected):
    choices = start_values.read(values(test_dataset_id=test), Choices(dataset_id=0))
    assert {name: getattr(choices, name) for name in expected} == expected
    assert Choices.from_json(choices.to_json()) == choices
    shown = form(test_dataset_id=choices.test_dataset_id, test_on=choices.test_on)
    assert shown["test_dataset_id"]["element"]["initial_option"]["value"] == test


@pytest.mark.parametrize(
    ("watched", "file", "share"), [("nothing", None, False), ("held-out", None, True), ("2", 2, False)]
)
def test_what_was_chosen_to_watch(watched, file, share):
    choices = start_values.read(values(validation_dataset_id=watched), Choices(dataset_id=0))
    assert (choices.validation_dataset_id, choices.hold_out_validation) == (file, share)
    shown = form(validation_dataset_id=file, hold_out_validation=share)
    assert shown["validation_dataset_id"]["element"]["initial_option"]["value"] == watched


def test_whoever_wants_to_attach_a_test_file_is_told_how():
    with pytest.raises(InvalidPlan) as told:
        start_values.read(values(test_dataset_id="attach"), Choices(dataset_id=0))
    assert told.value.problems == {"test_dataset_id": start_values.HOW_TO_ATTACH}


@pytest.mark.parametrize(
    ("choices", "more", "words"),
    [
        ({"test_on": TestOn.NOTHING}, {}, "nobody can say afterwards whether the tuned model is better or worse"),
        ({"test_on": TestOn.CROSS_CHECK}, {"short_runs": 3, "held_out": 20}, "is not tested itself"),
        ({"test_dataset_id": 2}, {"held_out": 12}, "compared with the base model on what neither has seen"),
    ],
)
def test_the_plan_says_what_can_be_claimed(choices, more, words):
    estimate = Estimate(**{**ESTIMATE.to_json(), **more})
    chosen = Choices(dataset_id=1, name="n", base_model="m", **choices)
    view = start_plan.confirmation(chosen, estimate, dataset(1), dataset(2), "C1")
    assert problems_of_view(view) == []
    assert words in said(view)


def test_the_plan_shows_leaks_prices_elsewhere_and_what_is_only_estimated():
    estimate = Estimate(**{**ESTIMATE.to_json(), "held_out": 9, "validated": 7, "exact_tokens": False})
    offer = Offer("openai", "gpt", 1, 1, 2.0, None, "gpt at OpenAI: $2.00 to train, not set up here")
    chosen = Choices(dataset_id=1, test_dataset_id=2, name="n", base_model="m")
    view = start_plan.confirmation(
        chosen, estimate, dataset(1), dataset(2), "C1", leaks=Leaks("3 of its 20 <!channel>", 3), elsewhere=[offer]
    )
    assert problems_of_view(view) == []
    text = said(view)
    assert "3 of its 20 &lt;!channel&gt;" in text
    assert "gpt at OpenAI: $2.00 to train" in text
    assert "7 examples" in text
    assert "the first 9 of 17 examples that were not learnt from" in text
    assert "an estimate" in text
    assert problems_of_view(start_plan.comparing("plan-1")) == []


def remote(provider, method=Method.SFT, **choices):
    """The form for a vendor, with two models, the second of which is no vendor's."""
    models = [Option("gpt-4.1-mini-2025-04-14", "mini"), Option("other-model", "Another model …")]
    tiers = [Option("globalStandard", "Global", "about $1.00"), Option("developerTier", "Developer", "about $0.50")]
    fixed = {"dataset_id": 1, "name": "n", "provider": provider, "base_model": "gpt-4.1-mini-2025-04-14"}
    chosen = Choices(**{**fixed, "method": method, **choices})
    return StartForm([dataset(1)], chosen, [Option(provider, provider)], models, tiers=tiers)


@pytest.mark.parametrize("advanced", [False, True])
@pytest.mark.parametrize(
    ("provider", "method"), [(name, one) for name, known in CAPABILITIES.items() for one in sorted(known.methods)]
)
def test_every_vendors_form_is_one_that_slack_takes_and_reads_back_as_it_was(provider, method, advanced):
    form = remote(provider, method)
    view = start_form.draw(form, "C1", draft=7, advanced=advanced)
    assert problems_of_view(view) == []
    assert start_form.opened(view) == ("C1", 7, advanced)
    assert len(view["private_metadata"]) < 100
    shown = {block["block_id"] for block in view["blocks"] if block["type"] == "input"}
    knobs = {one.name: one.advanced for one in form.choices.usable_knobs}
    assert {name for name in knobs if name in shown} == {
        name for name, is_hidden in knobs.items() if advanced or not is_hidden
    }
    state = {
        block["block_id"]: {block["element"]["action_id"]: _state(block["element"])}
        for block in view["blocks"]
        if block["type"] == "input"
    }
    read = start_values.read(state, form.choices)
    assert read.hyperparameters == form.choices.hyperparameters
    assert read.base_model == form.choices.base_model
    assert read.knob_problems() == {}


def _state(element):
    if "initial_option" in element:
        return {"selected_option": element["initial_option"]}
    return {"value": element.get("initial_value")}


def test_another_providers_controls_begin_anew_and_the_rest_stays():
    controls = {}
    for provider in ("local", "openai", "azure_openai"):
        view = start_form.draw(remote(provider), "C1", advanced=True)
        for block in view["blocks"]:
            if block["type"] == "input":
                controls.setdefault(block["block_id"], []).append(block["element"]["action_id"])
    assert len(set(controls["name"])) == len(set(controls["goal"])) == len(set(controls["dataset_id"])) == 1
    assert len(set(controls["epochs"])) == len(set(controls["base_model"])) == 3


def test_a_model_that_is_not_listed_is_typed():
    view = start_form.draw(remote("openai", base_model="ft:gpt-4.1-mini:a::b"), "C1")
    blocks = {block.get("block_id"): block for block in view["blocks"]}
    assert blocks["base_model"]["element"]["initial_option"]["value"] == "other-model"
    assert blocks["other_model"]["element"]["initial_value"] == "ft:gpt-4.1-mini:a::b"
    known = Choices(dataset_id=1, provider="openai", base_model="x")
    typed = {"base_model": {"a": {"selected_option": {"value": "other-model"}}}, "other_model": {"a": {"value": " m "}}}
    assert start_values.read(typed, known).base_model == "m"
    assert start_values.read({"base_model": typed["base_model"]}, known).base_model == "other-model"


def test_what_cannot_be_read_is_told_by_field_or_left_as_it_was():
    known = Choices(dataset_id=1, provider="openai", method=Method.RFT, knobs={"epochs": 3})
    typed = {
        "epochs": {"a": {"value": "many"}},
        "grader": {"a": {"value": "{"}},
        "eval_samples": {"a": {"value": "1e999"}},
    }
    with pytest.raises(InvalidPlan) as refused:
        start_values.read(typed, known)
    assert set(refused.value.problems) == {"epochs", "grader", "eval_samples"}
    assert "line 1" in refused.value.problems["grader"]
    assert start_values.read_what_can_be(typed, known).knobs == {"epochs": 3}
    vendor = {"epochs": {"a": {"value": "Auto"}}, "grader": {"a": {"value": '{"type": "python"}'}}}
    read = start_values.read(vendor, known)
    assert (read.knob("epochs"), read.options["grader"]) == ("auto", {"type": "python"})


def test_options_of_a_vendor():
    known = Choices(dataset_id=1, provider="azure_ml", options={"job_tier": "spot"})
    typed = {"instance_types": {"a": {"value": "Standard_A, Standard_B ,"}}}
    assert start_values.read(typed, known).options == {
        "job_tier": "spot",
        "instance_types": ["Standard_A", "Standard_B"],
    }
    assert start_values.read({"instance_types": {"a": {"value": None}}}, known).options == {"job_tier": "spot"}
    azure = Choices(dataset_id=1, provider="azure_openai", options={"hosting_capacity": 5})
    assert start_values.read({"hosting_capacity": {"a": {"value": "20"}}}, azure).options == {"hosting_capacity": 20}
    assert start_values.read({"hosting_capacity": {"a": {"value": None}}}, azure).options == {"hosting_capacity": 5}
    with pytest.raises(InvalidPlan) as refused:
        start_values.read({"hosting_capacity": {"a": {"value": "many"}}}, azure)
    assert set(refused.value.problems) == {"hosting_capacity"}
    tier = {"training_tier": {"a": {"selected_option": {"value": "developerTier"}}}}
    assert start_values.read(tier, replace(known, provider="azure_openai")).options["training_tier"] == "developerTier"


def test_a_long_grader_of_a_job_file_is_kept_though_the_form_cannot_show_it():
    grader = {"type": "python", "name": "g", "source": "x" * 5000}
    view = start_form.draw(remote("openai", Method.RFT, options={"grader": grader}), "C1", draft=1)
    assert problems_of_view(view) == []
    assert "too long to be shown" in said(view)
    known = Choices(dataset_id=1, provider="openai", method=Method.RFT, options={"grader": grader})
    assert start_values.read({}, known).options["grader"] == grader


def test_the_plan_shows_each_part_of_the_cost_its_source_and_what_is_not_known():
    estimate = Estimate(
        20, 10, 3, 0, 900, 2700, None, "$1.00", dollars=1.0, epochs_by_vendor=True, hosting_dollars=2.0,
        hosting_words="Hosted for 4 h, about $2.00", answers=20, answers_dollars=0.001, total=3.001,
        price_source="Azure Retail Prices, 11 August 2026", price_url="https://prices.example/x",
    )  # fmt: skip
    chosen = remote("azure_openai", options={"training_tier": "developerTier"}).choices
    text = said(start_plan.confirmation(chosen, estimate, dataset(1), None, "C1"))
    assert "*Cost*: about $3.00" in text
    assert "about 3 epochs × 900 tokens ≈ 2,700 tokens: $1.00" in text
    assert "Hosted for 4 h" in text
    assert "20 answers, about under $0.01" not in text
    assert "20 answers, under $0.01" in text
    assert "<https://prices.example/x|Azure Retail Prices, 11 August 2026>" in text
    assert "Azure OpenAI: the data goes there" in text
    assert "training tier: Developer: cheaper, may be interrupted" in text
    unknown = Estimate(
        **{**estimate.to_json(), "dollars": None, "total": None, "price": "price unknown", "answers_dollars": None}
    )
    text = said(start_plan.confirmation(chosen, unknown, dataset(1), None, "C1"))
    assert "*Cost*: not known as a whole" in text
    assert "2,700 tokens: price unknown" in text
    assert "20 answers, price unknown" in text


def test_without_what_deploying_needs_the_plan_warns_and_promises_nothing():
    estimate = Estimate(20, 10, 3, 144, 900, 2700, None, "$1.00", dollars=1.0, total=1.0, not_hosted=True)
    chosen = remote("azure_openai", knobs={"batch_size": 1}).choices
    view = start_plan.confirmation(chosen, estimate, dataset(1), None, "C1")
    assert problems_of_view(view) == []
    text = said(view)
    assert "⚠️ It will be trained, not deployed: no comparison, no chat." in text
    assert "an admin adds subscription, resource group and resource name: /finetune keys" in text
    assert "Nothing is compared, as the tuned model cannot be deployed" in text
    assert "*Hosting*" not in text
    assert "*Evaluation*" not in text
    assert "144, of one example each" in text
    hosted = said(start_plan.confirmation(chosen, replace(estimate, not_hosted=False), dataset(1), None, "C1"))
    assert "not deployed" not in hosted
    assert "is then compared with the base model" in hosted


def test_without_a_test_only_the_tuned_model_is_there_to_chat_with():
    text = said(
        start_plan.confirmation(remote("openai").choices, replace(ESTIMATE, held_out=0), dataset(1), None, "C1")
    )
    assert "You can chat with it and judge by eye." in text
    address = "azureml://registries/azureml-meta/models/Llama-3/versions/2"
    chosen = replace(remote("azure_ml").choices, base_model=address)
    assert "*Base model*\\nLlama-3" in said(start_plan.confirmation(chosen, ESTIMATE, dataset(1), None, "C1"))


def test_only_where_it_has_closed_there_is_a_box_to_try_anyway():
    day = date(2027, 1, 6)
    closed = Notice("training", day, "No more.", "Page", "https://x.example", closed=True)
    chosen = remote("openai").choices
    view = start_plan.confirmation(chosen, ESTIMATE, dataset(1), None, "C1", ending=[closed])
    assert problems_of_view(view) == []
    assert "⛔ No more." in said(view)
    assert (
        start_plan.tries_anyway({"state": {"values": {"try_anyway": {"try_anyway": {"selected_options": []}}}}})
        is False
    )
    ticked = {"try_anyway": {"try_anyway": {"selected_options": [{"value": "try_anyway"}]}}}
    assert start_plan.tries_anyway({"state": {"values": ticked}}) is True
    soon = replace(closed, closed=False)
    view = start_plan.confirmation(chosen, ESTIMATE, dataset(1), None, "C1", ending=[soon])
    assert "try_anyway" not in said(view)
    assert start_plan.tries_anyway({"state": {"values": {}}}) is None


def test_why_nothing_is_held_out_is_said_only_where_it_is_so():
    assert form(test_on=TestOn.NOTHING)["test_dataset_id"]["hint"]["text"].startswith("Fewer than 50 examples")
    chosen = Choices(dataset_id=1, name="n", base_model="m", test_on=TestOn.NOTHING)
    drawn = start_form.draw(StartForm([dataset(1, examples=50)], chosen, [Option("m", "m")], [Option("m", "m")]), "C1")
    (block,) = (one for one in drawn["blocks"] if one.get("block_id") == "test_dataset_id")
    assert block["hint"]["text"].startswith("Without a test nobody can say whether the result is better.")


def chosen_in(view):
    return {
        block["block_id"]: block["element"]["initial_option"]["value"]
        for block in view["blocks"]
        if "initial_option" in block.get("element", {})
    }


def test_nothing_else_is_chosen_than_what_the_choices_say():
    local = Choices(dataset_id=77, test_dataset_id=78, validation_dataset_id=79, name="n", base_model="b" * 200)
    view = start_form.draw(StartForm([dataset(1)], local, [Option("openai", "OpenAI")], [Option("m", "m")]), "C1")
    assert problems_of_view(view) == []
    assert chosen_in(view) == {
        "dataset_id": "77", "test_dataset_id": "78", "validation_dataset_id": "79", "provider": "local",
        "base_model": "b" * 150,
    }  # fmt: skip
    assert "private" not in said(view).replace("private_metadata", "")
    tier = remote("azure_openai", options={"training_tier": "standard"})
    assert chosen_in(start_form.draw(tier, "C1"))["training_tier"] == "standard"
    listed = replace(tier, choices=replace(tier.choices, options={}), tiers=tier.tiers[1:])
    assert chosen_in(start_form.draw(listed, "C1"))["training_tier"] == "developerTier"


def test_a_plan_for_a_place_that_is_not_set_up_is_no_form_but_a_choice():
    other = replace(
        remote("openai"), problems=["OpenAI is not set up *here*."], providers=[Option("local", "This machine")]
    )
    view = start_form.draw(other, "C1", draft=7, advanced=True)
    assert problems_of_view(view) == []
    assert start_form.opened(view) == ("C1", 7, True)
    assert not [one for one in view["blocks"] if one["type"] == "input"]
    (button,) = view["blocks"][-1]["elements"]
    assert (button["action_id"], button["value"]) == ("start_instead_local", "local")
    alone = start_form.draw(replace(other, providers=[]), "C1")
    assert [one["type"] for one in alone["blocks"]] == ["section"]


def test_many_notes_are_cut_and_the_last_says_so():
    assert start_form.shortened(["a"] * 15) == ["a"] * 15
    assert start_form.shortened(["a"] * 17)[-2:] == ["a", "… and 3 more"]
    assert len(start_form.shortened(["a"] * 17, 10)) == 10


@pytest.mark.parametrize("rate", [1.2345678901234567e-7, 0.1, 2e-5])
def test_a_number_field_shows_the_number_as_it_is(rate):
    chosen = Choices(dataset_id=1, name="n", base_model="m", knobs={"learning_rate": rate})
    view = start_form.draw(StartForm([dataset(1)], chosen, [Option("local", "l")], [Option("m", "m")]), "C1")
    assert problems_of_view(view) == []
    (block,) = (one for one in view["blocks"] if one.get("block_id") == "learning_rate")
    assert float(block["element"]["initial_value"]) == rate


def test_of_several_methods_one_is_chosen_and_another_draws_the_form_anew():
    ways = [Option("dpo", "DPO", "from preferences"), Option("orpo", "ORPO")]
    shown = replace(remote("local", Method.DPO, base_model="m"), methods=ways)
    view = start_form.draw(shown, "C1")
    assert problems_of_view(view) == []
    (block,) = [one for one in view["blocks"] if one.get("block_id") == "method"]
    assert block["dispatch_action"]
    assert block["element"]["action_id"].startswith(start_form.REDRAW)
    assert block["element"]["initial_option"]["value"] == "dpo"
    typed = start_values.read_what_can_be({"method": {"x": {"selected_option": {"value": "orpo"}}}}, shown.choices)
    assert typed.method is Method.ORPO
    assert start_values.read_what_can_be({"method": {"x": {"value": "magic"}}}, shown.choices).method is Method.DPO
    alone = start_form.draw(replace(shown, methods=ways[:1]), "C1")
    assert not [one for one in alone["blocks"] if one.get("block_id") == "method"]
