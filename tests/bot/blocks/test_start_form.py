"""The form and its plan: what can be tested how, what that will and will not prove, and what it costs."""

import json

import pytest

from bot.blocks import start_form
from bot.sandbox.block_kit import problems_of_view
from workers.errors import InvalidPlan
from workers.runs.billing import Offer
from workers.runs.choices import Choices, TestOn
from workers.runs.cost import Estimate
from workers.runs.leaks import Leaks
from workers.runs.plan import Option, StartForm
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
    choices = start_form.read(values(test_dataset_id=test), Choices(dataset_id=0))
    assert {name: getattr(choices, name) for name in expected} == expected
    assert Choices.from_json(choices.to_json()) == choices
    shown = form(test_dataset_id=choices.test_dataset_id, test_on=choices.test_on)
    assert shown["test_dataset_id"]["element"]["initial_option"]["value"] == test


@pytest.mark.parametrize(
    ("watched", "file", "share"), [("nothing", None, False), ("held-out", None, True), ("2", 2, False)]
)
def test_what_was_chosen_to_watch(watched, file, share):
    choices = start_form.read(values(validation_dataset_id=watched), Choices(dataset_id=0))
    assert (choices.validation_dataset_id, choices.hold_out_validation) == (file, share)
    shown = form(validation_dataset_id=file, hold_out_validation=share)
    assert shown["validation_dataset_id"]["element"]["initial_option"]["value"] == watched


def test_whoever_wants_to_attach_a_test_file_is_told_how():
    with pytest.raises(InvalidPlan) as told:
        start_form.read(values(test_dataset_id="attach"), Choices(dataset_id=0))
    assert told.value.problems == {"test_dataset_id": start_form.HOW_TO_ATTACH}


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
    view = start_form.confirmation(chosen, estimate, dataset(1), dataset(2), "C1")
    assert problems_of_view(view) == []
    assert words in said(view)


def test_the_plan_shows_leaks_prices_elsewhere_and_what_is_only_estimated():
    estimate = Estimate(**{**ESTIMATE.to_json(), "held_out": 9, "validated": 7, "exact_tokens": False})
    offer = Offer("openai", "gpt", 1, 1, 2.0, None, "gpt at OpenAI: $2.00 to train, not set up here")
    chosen = Choices(dataset_id=1, test_dataset_id=2, name="n", base_model="m")
    view = start_form.confirmation(
        chosen, estimate, dataset(1), dataset(2), "C1", leaks=Leaks("3 of its 20 <!channel>", 3), elsewhere=[offer]
    )
    assert problems_of_view(view) == []
    text = said(view)
    assert "3 of its 20 &lt;!channel&gt;" in text
    assert "gpt at OpenAI: $2.00 to train" in text
    assert "7 examples" in text
    assert "the first 9 of 17 examples that were not learnt from" in text
    assert "an estimate" in text
    assert problems_of_view(start_form.comparing("plan-1")) == []
