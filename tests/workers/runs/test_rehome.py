"""Repeating a run elsewhere: where, for how much, with which settings; and both compared on the same examples."""

import dataclasses

import pytest

from bot.blocks import evaluation as evaluation_block
from bot.blocks import rehome as buttons
from bot.sandbox.block_kit import problems_of_blocks
from providers.base import Method
from workers.dataprep.example import Example, Message
from workers.errors import NotFound
from workers.plans.choices import Choices, TestOn
from workers.rights import Actor
from workers.run_status import RunStatus
from workers.runs import comparison, division, rehome
from workers.settings import Settings
from workers.tables import Credential, Dataset, Evaluation, Generation, Run

TUNER = Actor("T1", "U1", "C1")
SETTINGS = Settings(today="2026-11-25")
MINI = "gpt-4.1-mini-2025-04-14"


def add(session, *, method="sft", plan=None, **values):
    tokens = {"total": 100_000, "max": 900, "tokenizer": "o200k_base", "assistant": {"total": 30_000}}
    dataset = Dataset(
        team_id="T1", channel_id="C1", name="d", sha256="s", storage_key="k", format="openai-chat", method=method,
        examples=100, trainable=True,
        report={"epochs": 3, "method": method, "format": "openai-chat", "examples": 100, "tokens": tokens},
    )  # fmt: skip
    session.add(dataset)
    session.flush()
    choices = Choices(dataset_id=dataset.id, provider="openai", base_model=MINI, method=Method(method), name="recipes")
    choices = dataclasses.replace(choices, **(plan or {}))
    fixed = {
        "team_id": "T1", "channel_id": "C1", "creator_id": "U1", "name": "recipes", "status": RunStatus.FAILED,
        "request_key": "k", "dataset_id": dataset.id, "provider": "openai", "base_model": MINI, "method": method,
        "plan": choices.to_json(),
    }  # fmt: skip
    run = Run(**{**fixed, **values})
    session.add(run)
    session.flush()
    return run


def set_up(session, *providers):
    for name in providers:
        shown = {"endpoint": "https://x.openai.azure.com", "account": "x"}
        session.add(Credential(team_id="T1", provider=name, sealed="x", shown=shown))


def test_everywhere_else_that_learns_so_with_the_price(db):
    with db.write() as session:
        run = add(session)
        set_up(session, "openai", "azure_openai", "azure_ml")
        offers = rehome.offers_of(session, SETTINGS, run)
    assert [(one.provider, one.base_model) for one in offers] == [
        ("local", "smollm2-135m-instruct"), ("azure_openai", MINI), ("azure_ml", "Ministral-3B"),
        ("autotrain", "smollm2-135m-instruct"),
    ]  # fmt: skip
    assert offers[0].label == "Train SmolLM2 135M here, free"
    assert offers[1].label == f"gpt-4.1-mini at Azure OpenAI, about ${offers[1].dollars:,.2f}"
    assert offers[2].label.startswith("Ministral-3B at Azure Machine Learning, ")
    assert offers[1].dollars > 1.2
    assert offers[1].value == f"{run.id}:azure_openai"
    assert offers[3].label == "Train SmolLM2 135M here with AutoTrain, free"
    assert len({one.action_id for one in offers}) == buttons.MOST_BUTTONS
    assert problems_of_blocks(buttons.buttons(offers)) == []
    assert problems_of_blocks(buttons.retiring(run, {"words": "it ends <!here>"}, []).blocks) == []


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_where_there_is_nothing_to_offer(db):
    with db.write() as session:
        pairs = add(session, method="kto", provider="local")
        assert rehome.offers_of(session, SETTINGS, pairs) == []
        part = add(session, request_key="k2", plan={"test_on": TestOn.CROSS_CHECK})
        part.plan = {**part.plan, "part": division.part_json(0, pairs)}
        assert rehome.offers_of(session, SETTINGS, part) == []
        gone = add(session, request_key="k3")
        session.get(Dataset, gone.dataset_id).deleted_at = 1.0
        assert rehome.offers_of(session, SETTINGS, gone) == []
        with pytest.raises(NotFound):
            rehome.choices(session, SETTINGS, TUNER, gone.id, "local")
        with pytest.raises(NotFound):
            rehome.choices(session, SETTINGS, Actor("T1", "U1", "C2"), pairs.id, "openai")
    assert buttons.buttons([]) == []


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_what_has_closed_is_no_offer(db):
    with db.write() as session:
        run = add(session, provider="local", base_model="m", plan={"provider": "local", "base_model": "m"})
        set_up(session, "openai")
        there = rehome.offers_of(session, SETTINGS, run)
        after = rehome.offers_of(session, Settings(today="2027-02-01"), run)
    assert [one.provider for one in there] == ["openai", "autotrain"]
    assert [one.provider for one in after] == ["autotrain"]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_every_setting_is_kept_changed_or_named(db):
    knobs = {"epochs": 4, "batch_size": 8, "learning_rate": 1e-3, "lora_r": 32}
    with db.write() as session:
        plan = {"provider": "local", "base_model": "m", "knobs": knobs, "goal": "be brief", "seed": 5}
        run = add(session, provider="local", base_model="m", plan=plan)
        set_up(session, "openai")
        moved = rehome.choices(session, SETTINGS, TUNER, run.id, "openai")
        notes = rehome.notes(session, TUNER, moved)
        other = rehome.notes(session, TUNER, dataclasses.replace(moved, seed=6))
    assert (moved.provider, moved.base_model, moved.seed, moved.goal) == ("openai", MINI, 5, "be brief")
    assert dict(moved.knobs) == {"epochs": 4, "batch_size": 8}
    assert moved.knob_problems() == {}
    assert (moved.name, moved.rehomed_from_id) == ("recipes-openai", run.id)
    said = " ".join(notes)
    assert "Data, split and test are the same, so the two can be compared." in said
    assert "Learning rate: 0.001 has no counterpart there and is dropped." in said
    assert "LoRA rank: 32 has no counterpart there and is dropped." in said
    assert "Kept: epochs 4, examples a step 8." in said
    assert "cannot be compared" in other[0]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_only_a_run_that_one_may_see_is_noted(db):
    with db.write() as session:
        run = add(session)
        again = add(session, request_key="k2")
        now = Choices(dataset_id=1, rehomed_from_id=run.id)
        rehome.note(session, Actor("T1", "U9", "C2"), again, now)
        assert again.rehomed_from_id is None
        assert rehome.notes(session, Actor("T1", "U9", "C2"), now) == []
        rehome.note(session, TUNER, again, now)
        assert again.rehomed_from_id == run.id


@pytest.mark.parametrize("name", ["recipes", "r" * 40])
def test_names_that_are_repeated_are_accepted_again(name):
    first = rehome._name(name, "azure_openai")
    assert len(first) <= 40
    assert first.endswith("-azure-openai")
    assert rehome._name(first, "azure_openai") == first


EXAMPLES = [Example((Message("user", f"q{one}"), Message("assistant", f"answer {one}"))) for one in range(12)]


@pytest.fixture
def both(db):
    """A run and the one that repeats it, with these answers of their tuned models."""

    def make(before, after, status=RunStatus.READY, **plan):
        with db.write() as session:
            first = add(session, status=status, model_name="ft:first")
            second = add(
                session, request_key="k2", provider="local", base_model="base", model_name="tuned", plan=plan
            )  # fmt: skip
            second.dataset_id, second.plan = first.dataset_id, {**first.plan, **plan}
            second.rehomed_from_id = first.id
            for run, answers in ((first, before), (second, after)):
                kept = Evaluation(team_id="T1", run_id=run.id, done=run is first)
                session.add(kept)
                session.flush()
                for model, said in ((run.base_model, ["x"] * 12), (run.model_name, answers)):
                    for place, answer in enumerate(said):
                        session.add(Generation(evaluation_id=kept.id, model=model, position=place, answer=answer))
            session.flush()
            return comparison.of_run(session, kept, second, EXAMPLES), first, second

    return make


RIGHT = [one.answer for one in EXAMPLES]


def test_it_is_compared_with_the_run_that_it_repeats(both):
    summary, first, second = both(["wrong"] * 12, RIGHT)
    assert f"Beside run {first.id} (OpenAI, {MINI}), as it answered the same 12 examples" in summary["words"]
    assert "0.00 there, 1.00 here; this one is better" in summary["words"]
    assert summary["original"]["scores"][summary["main"]] == 0.0
    drawn = evaluation_block.draw(second, summary)
    assert problems_of_blocks(drawn.blocks) == []
    (table,) = [one for one in drawn.blocks if one["type"] == "table"]
    assert table["rows"][0][3]["text"] == f"Run {first.id} (OpenAI)"
    sections = [one["text"]["text"] for one in drawn.blocks if one["type"] == "section"]
    assert f"*Its best* (score 0.00 → 1.00; Run {first.id} (OpenAI): 0.00)\nq0" in sections
    answers = (
        "*Tuned*",
        "```answer 0```",
        f"*Run {first.id} (OpenAI)*",
        "```wrong```",
        "*Reference*",
        "```answer 0```",
    )
    assert "\n".join(answers) in sections[2]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("before", "words"), [(RIGHT, "no clear difference")])
def test_no_difference_is_said_so(both, before, words):
    assert words in both(before, RIGHT)[0]["words"]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("before", "status", "plan", "why"),
    [
        (RIGHT[:5], RunStatus.READY, {}, "its answers to these examples are not there"),
        ([], RunStatus.READY, {}, "its own comparison did not come to its end"),
        ([], RunStatus.FAILED, {}, "it never came to a model that could have answered"),
        (RIGHT, RunStatus.READY, {"seed": 8}, "data, split or test are no longer the same"),
    ],
)
def test_what_cannot_be_set_side_by_side_says_why(both, before, status, plan, why):
    summary, first, second = both(before, RIGHT, status=status, **plan)
    assert f"Not set beside run {first.id} (OpenAI, {MINI}): " in summary["words"]
    assert why in summary["words"]
    assert "original" not in summary
    drawn = evaluation_block.draw(second, summary)
    assert problems_of_blocks(drawn.blocks) == []
    assert f"Run {first.id} (OpenAI)" not in str(drawn.blocks)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_button_keeps_its_price_however_long_a_name_is(db):
    with db.write() as session:
        run = add(session)
        offer = rehome.offers_of(session, SETTINGS.model_copy(update={"base_model": f"/models/{'m' * 90}"}), run)[0]
        assert offer.label == f"Train {'m' * 55}… here, free"
        moved = Choices(dataset_id=1, provider="azure_ml", base_model=f"azureml://x/models/{'m' * 90}/versions/1")
        label = rehome._offer(run, moved, 1234.5).label
    assert label.endswith("…" + " at Azure Machine Learning, about $1,234.50")
    assert len(label) == 75
