"""By which methods a dataset can be learnt: what the form offers, what a plan accepts, what a change brings."""

from dataclasses import replace

import pytest
from sqlmodel import select

from providers.base import Method
from tests.workers.plans.test_plan_and_cost import SETTINGS, TUNER, add, check, propose
from workers.errors import InvalidPlan
from workers.plans import cost, methods, plan, proposal
from workers.plans.choices import Choices
from workers.tables import Dataset

pytestmark = pytest.mark.parametrize("db", ["sqlite"], indirect=True)
DPO, KTO, ORPO, GRPO, SFT, RFT = Method.DPO, Method.KTO, Method.ORPO, Method.GRPO, Method.SFT, Method.RFT


@pytest.mark.parametrize(
    ("method", "offered"),
    [("sft", ["sft", "grpo"]), ("dpo", ["dpo", "orpo", "kto"]), ("kto", ["kto"]), ("rft", ["grpo"])],
)
def test_the_form_offers_what_this_machine_can_do_with_such_examples(db, method, offered):
    with db.write() as session:
        add(session, method=method, format=method)
    form = propose(db)
    assert [one.value for one in form.methods] == offered
    assert form.choices.method == offered[0]
    assert not form.warnings


@pytest.mark.parametrize(("kind", "able"), [("sft", {SFT, GRPO}), ("dpo", {DPO, ORPO, KTO}), ("kto", {KTO})])
def test_a_plan_may_have_any_of_them_and_no_other(db, kind, able):
    with db.write() as session:
        add(session, method=kind, format=kind)
    chosen = propose(db).choices
    for method in Method:
        choices = replace(chosen, method=method, knobs={"epochs": 1})
        if method in able:
            assert check(db, choices)[0].method == kind
        else:
            with pytest.raises(InvalidPlan) as error:
                check(db, choices)
            assert "is for the method" in error.value.problems["dataset_id"]


def test_a_dataset_of_prompts_and_references_is_no_reinforcement_by_graders_here(db):
    with db.write() as session:
        add(session, method="rft", format="rft")
    choices = propose(db).choices
    assert check(db, choices)[0].method == "rft"
    with pytest.raises(InvalidPlan) as error:
        check(db, replace(choices, method=RFT))
    assert "does not learn with a grader (RFT)" in error.value.problems["provider"]


def test_another_method_brings_its_own_rate_and_settings(db):
    with db.write() as session:
        add(session, method="dpo", format="preference")
        known = plan.propose(session, SETTINGS, TUNER).choices
        assert known.number("learning_rate") == 5e-5
        typed = replace(known, method=ORPO, knobs={**known.knobs, "loss_type": "ipo"})
        typed = proposal.with_preset(session, SETTINGS, typed, known, "usual")
        form = plan.redrawn(session, SETTINGS, TUNER, typed, "local")
        assert form.choices.method is ORPO
        assert form.choices.number("learning_rate") == 2e-4
        assert "loss_type" not in form.choices.knobs
        full = proposal.with_preset(session, SETTINGS, known, known, "full")
        assert full.number("learning_rate") == pytest.approx(1e-6)


def test_a_pair_is_two_labelled_answers(db):
    with db.write() as session:
        add(session, method="dpo", format="preference", examples=40)
        add(session, "labels", method="kto", format="kto", examples=40)
        pairs, labels = session.exec(select(Dataset)).all()
        assert methods.learnt(pairs, KTO, 30) == 60
        assert methods.learnt(pairs, DPO, 30) == methods.learnt(labels, KTO, 30) == 30
        chosen = plan.propose(session, SETTINGS, TUNER, dataset_id=pairs.id).choices
        by_pairs, by_labels = (
            cost.estimate(session, SETTINGS, replace(chosen, method=method)).steps for method in (DPO, KTO)
        )
    assert by_labels == 2 * by_pairs


def test_another_provider_or_dataset_brings_a_method_that_it_can(db):
    with db.write() as session:
        pairs = add(session, "pairs.jsonl", method="dpo", format="preference")
        chats = add(session, "chats.jsonl")
        typed = Choices(dataset_id=pairs, name="n", base_model="smollm2-135m-instruct", method=ORPO)
        assert plan.redrawn(session, SETTINGS, TUNER, typed, "local").choices.method is ORPO
        assert plan.redrawn(session, SETTINGS, TUNER, typed, "autotrain").choices.method is DPO
        moved = replace(typed, dataset_id=chats)
        assert plan.redrawn(session, SETTINGS, TUNER, moved, "local").choices.method is SFT
