"""What the form offers and refuses, and what a plan will take."""

import dataclasses
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import delete, select

from bot.blocks import start_plan
from workers.errors import InvalidPlan, NotAllowed, NotFound
from workers.plans import cost, job_file, plan
from workers.plans.choices import Choices, TestOn
from workers.rights import Actor
from workers.run_status import RunStatus
from workers.settings import Settings
from workers.tables import Credential, Dataset, DatasetRole, Run

TUNER = Actor("T1", "U1", "C1")
SETTINGS = Settings(today="2026-11-25")


def add(session, name="recipes.jsonl", role=DatasetRole.TRAIN, **values):
    fixed = {
        "team_id": "T1", "channel_id": "C1", "creator_id": "U1", "sha256": name, "storage_key": name, "examples": 101,
        "format": "openai-chat", "method": "sft", "trainable": True, "message_ts": "1.1",
        "report": {"epochs": 3, "tokens": {"total": 10_100}},
    }  # fmt: skip
    row = Dataset(name=name, role=role, **{**fixed, **values})
    session.add(row)
    session.flush()
    return row.id


def propose(db, actor=TUNER, settings=SETTINGS, **options):
    with db.read() as session:
        return plan.propose(session, settings, actor, **options)


def check(db, choices, actor=TUNER, settings=SETTINGS):
    with db.read() as session:
        return plan.checked(session, settings, actor, choices)


def test_the_newest_own_dataset_is_chosen_with_the_file_that_came_beside_it(db):
    with db.write() as session:
        add(session, "old.jsonl", message_ts="0.5")
        train = add(session, "recipe_training.jsonl")
        test = add(session, "recipe_validation.jsonl", DatasetRole.TEST)
        add(session, "theirs.jsonl", creator_id="U2", message_ts="2.2")
        add(session, "broken.jsonl", trainable=False, message_ts="3.3")
    form = propose(db)
    assert (form.choices.dataset_id, form.choices.test_dataset_id, form.choices.knob("epochs")) == (train, test, 3)
    assert form.choices.name == "recipe-v1"
    assert form.choices.base_model == SETTINGS.base_model
    names = [one.name for one in form.datasets]
    assert names == ["theirs.jsonl", "recipe_validation.jsonl", "recipe_training.jsonl", "old.jsonl"]
    assert check(db, form.choices)[1].id == test


def test_the_dataset_that_was_asked_for(db):
    with db.write() as session:
        first = add(session, "a.jsonl", message_ts="1.0")
        add(session, "b.jsonl", message_ts="2.0")
    assert propose(db, dataset_id=first).choices.dataset_id == first
    assert propose(db, dataset_id=999).choices is None


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("Train.jsonl", 1, "model-v1"),
        ("Support Tickets (März) data.csv", 3, "support-tickets-m-rz-v3"),
        ("???", 1, "model-v1"),
        ("a" * 90 + ".jsonl", 12, "a" * 36 + "-v12"),
        ("a" * 36 + "-bcd.jsonl", 1, "a" * 36 + "-v1"),
    ],
)
def test_the_proposed_name_is_one_that_is_accepted(db, name, version, expected):
    with db.write() as session:
        add(session, name, version=version)
    choices = propose(db).choices
    assert choices.name == expected
    assert len(choices.name) <= 40
    check(db, choices)


def test_a_configured_base_model_is_offered_first(db):
    with db.write() as session:
        add(session)
    settings = Settings(base_model="/models/own-7b/")
    form = propose(db, settings=settings)
    assert [one.text for one in form.base_models] == ["own-7b", "SmolLM2 135M Instruct"]
    check(db, form.choices, settings=settings)


def test_guests_get_no_form(db):
    with pytest.raises(NotAllowed):
        propose(db, actor=Actor("T1", "U1", "C1", is_guest=True))


def test_every_problem_at_once_by_field(db):
    with db.write() as session:
        add(session, trainable=False)
        other = add(session, "other.jsonl", channel_id="C2")
    choices = Choices(
        dataset_id=1, test_dataset_id=other, name="<!channel>", base_model="gpt-9",
        knobs={"epochs": 0, "batch_size": 1000, "learning_rate": float("nan")},
    )  # fmt: skip
    with pytest.raises(InvalidPlan) as refused:
        check(db, choices)
    assert set(refused.value.problems) == {
        "dataset_id", "test_dataset_id", "name", "base_model", "epochs", "learning_rate", "batch_size"
    }  # fmt: skip
    with pytest.raises(InvalidPlan) as refused:
        check(db, dataclasses.replace(choices, provider="elsewhere"))
    assert "provider" in refused.value.problems


@pytest.mark.parametrize("values", [{"sha256": "same"}, {"trainable": False}])
def test_what_is_no_test(db, values):
    with db.write() as session:
        train = add(session, sha256="same")
        test = add(session, "copy.jsonl", DatasetRole.TEST, **values)
    choices = Choices(dataset_id=train, test_dataset_id=test, name="x", base_model=SETTINGS.base_model)
    with pytest.raises(InvalidPlan) as refused:
        check(db, choices)
    assert list(refused.value.problems) == ["test_dataset_id"]


def test_a_dataset_of_another_method_or_place(db):
    with db.write() as session:
        pairs = add(session, method="dpo")
        other_team = add(session, team_id="T2")
    for dataset_id in (pairs, other_team, 999):
        with pytest.raises(InvalidPlan) as refused:
            check(db, Choices(dataset_id=dataset_id, name="x", base_model=SETTINGS.base_model))
        assert list(refused.value.problems) == ["dataset_id"]
    with db.read() as session, pytest.raises(NotFound):
        plan.dataset(session, TUNER, other_team)


def test_of_few_examples_nothing_is_held_out_unless_somebody_chooses_how(db):
    with db.write() as session:
        few = add(session, examples=30)
    form = propose(db)
    assert form.choices.test_on is TestOn.NOTHING
    check(db, form.choices)
    check(db, dataclasses.replace(form.choices, test_on=TestOn.CROSS_CHECK))
    with pytest.raises(InvalidPlan) as refused:
        check(db, dataclasses.replace(form.choices, test_on=TestOn.HELD_OUT, hold_out_validation=True))
    assert set(refused.value.problems) == {"test_dataset_id", "validation_dataset_id"}
    assert "30 examples are too few" in refused.value.problems["test_dataset_id"]
    with db.write() as session:
        session.get(Dataset, few).examples = 5
    with pytest.raises(InvalidPlan, match="at least 6 examples"):
        check(db, dataclasses.replace(form.choices, test_on=TestOn.CROSS_CHECK))


@pytest.mark.parametrize(
    ("examples", "choice", "left"),
    [
        (9, {"test_on": TestOn.NOTHING}, 9),
        (14, {"test_on": TestOn.CROSS_CHECK}, 9),
        (10, {"test_on": TestOn.NOTHING}, 0),
    ],
)
def test_never_below_what_the_provider_wants(db, examples, choice, left):
    with db.write() as session:
        one = add(session, examples=examples)
        session.add(Credential(team_id="T1", provider="openai", sealed="x"))
    choices = Choices(dataset_id=one, name="x", provider="openai", base_model="gpt-4.1-mini-2025-04-14", **choice)
    if not left:
        check(db, choices)
        return
    with pytest.raises(InvalidPlan) as refused:
        check(db, choices)
    words = refused.value.problems["dataset_id"]
    assert words.startswith(f"OpenAI trains on 10 examples at least; here {left} are left")


def test_three_files_of_one_message_each_have_their_place(db):
    with db.write() as session:
        train = add(session, "train.jsonl")
        test = add(session, "test.jsonl", DatasetRole.TEST)
        watched = add(session, "val.jsonl", DatasetRole.VALIDATION)
    choices = propose(db).choices
    assert (choices.dataset_id, choices.test_dataset_id, choices.validation_dataset_id) == (train, test, watched)
    check(db, choices)
    with pytest.raises(InvalidPlan, match="no honest test"):
        check(db, dataclasses.replace(choices, validation_dataset_id=test))


def test_a_deleted_dataset_is_neither_offered_nor_accepted(db):
    with db.write() as session:
        one = add(session)
    choices = propose(db).choices
    with db.write() as session:
        session.get(Dataset, one).deleted_at = 1.0
    assert propose(db).choices is None
    with pytest.raises(InvalidPlan):
        check(db, choices)


def test_choices_survive_the_database_and_unknown_keys():
    choices = Choices(dataset_id=3, test_dataset_id=4, name="x", goal="extract", knobs={"epochs": 7})
    assert Choices.from_json({**choices.to_json(), "of_a_later_version": 1}) == choices


@pytest.mark.parametrize(("examples", "held"), [(0, 0), (49, 0), (50, 10), (101, 20), (150, 30), (100_000, 40)])
def test_how_many_are_held_out_of_a_lone_dataset(examples, held):
    assert cost.held_out(examples, 40) == held


def test_what_a_plan_takes(db):
    with db.write() as session:
        train = add(session)
        test = add(session, "test.jsonl", DatasetRole.TEST, examples=1000)
        alone = Choices(dataset_id=train, base_model="m", knobs={"epochs": 3, "batch_size": 4})
        first = cost.estimate(session, SETTINGS, alone)
        beside = cost.estimate(session, SETTINGS, dataclasses.replace(alone, test_dataset_id=test))
    assert (first.examples, first.held_out, first.steps) == (81, 20, 3 * 21)
    assert (first.tokens_per_epoch, first.billed_tokens, first.seconds) == (8100, 24_300, None)
    assert (beside.examples, beside.held_out, beside.steps, beside.billed_tokens) == (101, 40, 78, 30_300)
    assert first.line == (
        "3 epochs × 8,100 tokens ≈ 24,300 tokens · 63 steps · $0 (runs on your own machine)"
    )  # fmt: skip


def test_a_cross_check_is_three_times_the_training(db):
    with db.write() as session:
        train = add(session, examples=30, report={"tokens": {"total": 3000, "max": 200}})
        choices = Choices(dataset_id=train, base_model="m", knobs={"epochs": 2}, test_on=TestOn.CROSS_CHECK)
        whole = cost.estimate(session, SETTINGS, choices)
        part = cost.estimate(session, SETTINGS, choices, share=2 / 3)
    assert (whole.examples, whole.held_out, whole.short_runs) == (30, 30, 3)
    assert (whole.tokens_per_epoch, whole.billed_tokens) == (3000, 18_000)
    assert "4 runs" in whole.line
    assert (part.examples, part.tokens_per_epoch, part.billed_tokens, part.short_runs) == (20, 2000, 4000, 0)


def test_a_vendors_price_is_shown_with_its_date(db):
    report = {"tokens": {"total": 1_000_000, "max": 900, "tokenizer": "o200k_base"}}
    with db.write() as session:
        train = add(session, examples=30, report=report)
        choices = Choices(dataset_id=train, knobs={"epochs": 3}, test_on=TestOn.NOTHING, provider="azure_openai")
        known = cost.estimate(session, SETTINGS, dataclasses.replace(choices, base_model="gpt-4.1-mini"))
        unknown = cost.estimate(session, SETTINGS, dataclasses.replace(choices, base_model="gpt-9"))
        hourly = cost.estimate(
            session, SETTINGS, dataclasses.replace(choices, base_model="Ministral-3B", provider="azure_ml")
        )
    assert (known.dollars, known.hosting_per_hour, known.exact_tokens) == (15.0, 0.0, True)
    assert known.price == "$15.00 to train (Azure Retail Prices, 11 August 2026)"
    assert hourly.hosting_per_hour == 0.65
    assert hourly.price == "$3.00 to train, then $0.65 an hour while it is hosted (Azure Retail Prices, 11 August 2026)"
    assert (unknown.dollars, unknown.price) == (None, "price unknown")


def test_time_is_estimated_from_the_last_run_of_that_model(db):
    with db.write() as session:
        train = add(session)
        for model, key in (("m", "1"), ("other", "2")):
            session.add(
                Run(
                    team_id="T1", name="r", status=RunStatus.READY, request_key=key, dataset_id=train, provider="local",
                    base_model=model, method="sft", started_at=100.0, trained_at=200.0, cost={"billed_tokens": 10_100},
                )
            )  # fmt: skip
        found = cost.estimate(session, SETTINGS, Choices(dataset_id=train, base_model="m", knobs={"epochs": 2}))
        unknown = cost.estimate(session, SETTINGS, Choices(dataset_id=train, base_model="unknown", knobs={"epochs": 2}))
    assert found.seconds == pytest.approx(cost.OVERHEAD_SECONDS + 100 * 16_200 / 10_100)
    assert "about 3 min" in found.line
    assert unknown.seconds is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.6, "1 min"), (161, "2 min 41 s"), (1234, "20 min"), (3600, "1 h"), (11_100, "3 h 5 min")],
)
def test_spans_in_words(seconds, words):
    assert cost.duration(seconds) == words


def vendor(db, provider="openai", **values):
    """A dataset, and credentials for this vendor; the choices that are sensible there."""
    with db.write() as session:
        one = add(session, **values)
        shown = {"endpoint": "https://x", "account": "ours"}
        session.add(Credential(team_id="T1", provider=provider, sealed="x", shown=shown))
    model = {"openai": "gpt-4.1-mini-2025-04-14", "azure_ml": "Ministral-3B"}.get(provider, "gpt-4.1-nano-2025-04-14")
    return Choices(dataset_id=one, name="x", provider=provider, base_model=model)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("provider", "values", "field"),
    [
        ("openai", {"base_model": "other-model"}, "base_model"),
        ("openai", {"base_model": "a model"}, "base_model"),
        ("openai", {"base_model": "<!channel>"}, "base_model"),
        ("openai", {"base_model": "gpt-4.1-nano-2025-04-14"}, "base_model"),
        ("openai", {"options": {"training_tier": "standard"}}, "training_tier"),
        ("azure_openai", {"options": {"training_tier": "gold"}}, "training_tier"),
        ("azure_openai", {"options": {"training_tier": ["standard"]}}, "training_tier"),
        ("azure_openai", {"options": {"training_tier": 7}}, "training_tier"),
        ("azure_openai", {"options": {"hosting_capacity": 5001}}, "hosting_capacity"),
        ("openai", {"options": {"grader": {"type": "x"}}}, "grader"),
        ("openai", {"knobs": {"lora_r": 8}}, "lora_r"),
        ("openai", {"knobs": {"epochs": float("nan")}}, "epochs"),
        ("openai", {"knobs": {"epochs": float("inf")}}, "epochs"),
    ],
)
def test_what_a_vendor_would_refuse(db, provider, values, field):
    choices = vendor(db, provider)
    check(db, choices)
    with pytest.raises(InvalidPlan) as refused:
        check(db, dataclasses.replace(choices, **values))
    assert list(refused.value.problems) == [field]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "ft:gpt-4.1-mini-2025-04-14:acme::abc"),
        ("azure_ml", "azureml://registries/azureml-meta/models/Llama-3/versions/2"),
        ("azure_openai", "gpt-9"),
    ],
)
def test_a_model_that_is_not_in_the_price_file_may_be_named(db, provider, model):
    choices = dataclasses.replace(vendor(db, provider), base_model=model)
    check(db, choices)
    with db.read() as session:
        estimate = cost.estimate(session, SETTINGS, dataclasses.replace(choices, base_model="gpt-9"))
    assert (estimate.total, estimate.price) == (None, "price unknown")


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_only_an_admin_may_try_what_has_closed(db):
    choices = dataclasses.replace(vendor(db), base_model="gpt-4.1-nano-2025-04-14", try_anyway=True)
    with pytest.raises(InvalidPlan, match="An admin may try anyway"):
        check(db, choices)
    admin = dataclasses.replace(TUNER, is_admin=True)
    check(db, choices, actor=admin)
    with pytest.raises(InvalidPlan, match="tick the box"):
        check(db, dataclasses.replace(choices, try_anyway=False), actor=admin)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_vendors_epochs_are_about_and_every_part_adds_up(db):
    report = {"epochs": 3, "tokens": {"total": 202_000, "max": 900, "assistant": {"total": 101_000}}}
    choices = vendor(db, "azure_openai", report=report)
    with db.read() as session:
        found = cost.estimate(session, SETTINGS, choices)
        fixed = cost.estimate(session, SETTINGS, dataclasses.replace(choices, knobs={"epochs": 3}))
        cheap = cost.estimate(
            session, SETTINGS, dataclasses.replace(choices, options={"training_tier": "developerTier"})
        )
    assert found.epochs_by_vendor
    assert not fixed.epochs_by_vendor
    assert found.training == "about 3 epochs × 162,000 tokens ≈ 486,000 tokens: $0.73"
    assert cheap.dollars == pytest.approx(found.dollars / 2)
    assert (found.answers, found.held_out) == (40, 20)
    assert found.answers_dollars == pytest.approx(40 * (1000 * 0.1 + 1000 * 0.4) / 1e6)
    assert (found.hosting_dollars, found.hosting_per_hour) == (0.0, 0.0)
    assert found.total == pytest.approx(found.dollars + found.answers_dollars)
    assert found.price_source == "Azure Retail Prices, 11 August 2026"


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_training_tier_is_the_same_however_it_is_written(db):
    report = {"epochs": 3, "tokens": {"total": 202_000, "max": 900, "assistant": {"total": 101_000}}}
    choices = vendor(db, "azure_openai", report=report)
    well, ill = (dataclasses.replace(choices, options={"training_tier": f"{one}eveloperTier"}) for one in "dD")
    check(db, well)
    check(db, ill)
    with db.read() as session:
        dollars = [cost.estimate(session, SETTINGS, one).dollars for one in (well, ill)]
    assert dollars[0] == dollars[1] > 0
    assert [cost.tier_of(one) for one in (well, ill, choices)] == ["developerTier", "developerTier", ""]
    text = b"finetune: 1\nname: x\ndataset: a\nprovider: azure_openai\nazure_openai: {training_tier: DeveloperTier}\n"
    assert job_file.read(text).options == well.options  # as the form's list has it


def test_hosting_by_the_hour_is_a_part_of_the_whole(db):
    report = {"epochs": 3, "tokens": {"total": 202_000, "max": 900, "assistant": {"total": 101_000}}}
    choices = vendor(db, "azure_ml", report=report)
    with db.read() as session:
        found = cost.estimate(session, SETTINGS, dataclasses.replace(choices, base_model="Ministral-3B"))
    assert found.hosting_per_hour == 0.65
    assert found.hosting_dollars == pytest.approx(0.65 * 4.5)
    assert found.total == pytest.approx(found.dollars + found.hosting_dollars + found.answers_dollars)


REPORT = {"epochs": 3, "tokens": {"total": 202_000, "max": 900, "assistant": {"total": 101_000}}}
AMOUNT = re.compile(r"(?:about |: )(under \$0\.01|\$[\d,]+\.\d\d)")


def amount(words):
    """The last amount that is said, in dollars."""
    found = AMOUNT.findall(words)
    if not found:
        return 0.0
    return 0.005 if found[-1].startswith("under") else float(found[-1].strip("$").replace(",", ""))


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_cross_check_hosts_each_run_and_leases_one(db):
    choices = vendor(db, "azure_ml", report=REPORT)
    checked = dataclasses.replace(choices, test_on=TestOn.CROSS_CHECK)
    with db.read() as session:
        whole = cost.estimate(session, SETTINGS, checked)
        part = cost.estimate(session, SETTINGS, checked, share=2 / 3)
        untested = cost.estimate(session, SETTINGS, dataclasses.replace(choices, test_on=TestOn.NOTHING))
    assert whole.hosting_dollars == pytest.approx(0.65 * (4 * 0.5 + 4))
    assert "each of 4 runs" in whole.hosting_words
    assert part.hosting_dollars == pytest.approx(0.65 * 0.5)
    assert untested.hosting_dollars == pytest.approx(0.65 * 4)
    assert "compared" not in untested.hosting_words


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_what_is_trained_in_its_region_is_planned_to_be_hosted_there(db):
    choices = vendor(db, "azure_openai", report=REPORT)
    with db.read() as session:
        anywhere = cost.estimate(session, SETTINGS, choices)
        there = cost.estimate(session, SETTINGS, dataclasses.replace(choices, options={"training_tier": "standard"}))
    assert (there.hosting_per_hour, there.hosting_dollars) == (1.7, pytest.approx(1.7 * 4.5))
    assert "in the resource's region" in there.hosting_words
    assert anywhere.hosting_dollars == 0.0
    assert "Developer tier: anywhere in the world, may be interrupted, lives 24 h" in anywhere.hosting_words


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_an_api_key_alone_trains_and_promises_no_more(db):
    choices = vendor(db, "azure_openai", report=REPORT)
    with db.write() as session:
        session.exec(select(Credential)).one().shown = {"endpoint": "https://x"}
    with db.read() as session:
        found = cost.estimate(session, SETTINGS, choices)
        elsewhere = cost.estimate(session, SETTINGS, dataclasses.replace(choices, provider="azure_ml"))
        here = cost.estimate(session, SETTINGS, dataclasses.replace(choices, provider="local", base_model="m"))
    assert found.not_hosted
    assert (found.hosting_words, found.hosting_dollars, found.answers, found.answers_dollars) == ("", 0.0, 0, 0.0)
    assert found.total == found.dollars
    assert not elsewhere.not_hosted
    assert not here.not_hosted


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@given(
    provider=st.sampled_from(["openai", "azure_openai", "azure_ml"]),
    model=st.sampled_from(["gpt-4.1-mini-2025-04-14", "gpt-35-turbo-0125", "Ministral-3B", "Llama-3.3-70B-Instruct"]),
    tier=st.sampled_from(["", "standard", "globalStandard", "developerTier"]),
    test_on=st.sampled_from(list(TestOn)),
    epochs=st.integers(1, 50),
    tokens=st.integers(1000, 500_000_000),
    examples=st.integers(10, 5000),
    hours=st.sampled_from([0.5, 1.0, 4.0, 24.0]),
)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_parts_that_are_shown_add_up_to_the_whole(
    db, provider, model, tier, test_on, epochs, tokens, examples, hours
):
    report = {"tokens": {"total": tokens, "max": 900, "assistant": {"total": tokens // 3}}}
    with db.write() as session:
        session.execute(delete(Dataset))
        one = add(session, report=report, examples=examples)
        chosen = Choices(
            dataset_id=one, provider=provider, base_model=model, test_on=test_on, knobs={"epochs": epochs},
            options={"training_tier": tier} if tier and provider == "azure_openai" else {},
        )  # fmt: skip
        found = cost.estimate(session, Settings(hosting_hours=hours), chosen)
        dataset = session.get_one(Dataset, one)
        view = start_plan.confirmation(chosen, found, dataset, None, "C1")
    text = next(block["text"]["text"] for block in view["blocks"] if "*Cost*" in block.get("text", {}).get("text", ""))
    if found.total is None:
        assert "not known as a whole" in text
        return
    whole, *parts = [line.partition("*: ")[2] for line in text.split("\n")]
    assert ("Hosting" in text) is (provider != "openai")
    assert ("Evaluation" in text) is (found.held_out > 0)
    shown = [amount(f"about {whole}"), *(amount(part) for part in parts)]
    assert shown[0] == pytest.approx(sum(shown[1:]), abs=0.005 * len(shown) + 1e-9)


def test_what_moves_to_another_provider_and_what_does_not():
    here = Choices(
        dataset_id=1, base_model="m", knobs={"epochs": 3, "batch_size": 4, "lora_r": 16, "learning_rate": 5e-4}
    )
    there = here.moved_to("openai", "gpt")
    assert (dict(there.knobs), there.base_model) == ({"epochs": 3}, "gpt")  # 4 a step was only the trainer's default
    back = dataclasses.replace(there, knobs={"epochs": "auto", "batch_size": 9}, options={"metadata": 1}).moved_to(
        "local", "m"
    )
    assert (dict(back.knobs), dict(back.options)) == ({"batch_size": 9}, {})
    assert back.knob_problems() == {}
    assert here.moved_to("local", "other").knobs == here.knobs


@pytest.mark.parametrize(
    ("knobs", "steps", "words"),
    [
        ({"batch_size": 4}, 30, "30, of 4 examples each"),
        ({"batch_size": 1, "gradient_accumulation": 8}, 15, "15, of 8 examples each"),
        ({"batch_size": 1, "packing": "packed"}, 0, "joined first"),
        ({"batch_size": "auto"}, 0, "chooses how many examples a step has"),
    ],
)
def test_steps_are_counted_as_the_trainer_takes_them(db, knobs, steps, words):
    with db.write() as session:
        train = add(session, examples=40)
        choices = Choices(dataset_id=train, base_model="m", test_on=TestOn.NOTHING, knobs={"epochs": 3, **knobs})
        found = cost.estimate(session, SETTINGS, choices)
    assert found.steps == steps
    assert words in start_plan._steps(choices, found)
