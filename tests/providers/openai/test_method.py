import pytest

from providers._openai_api import graders, method
from providers._openai_api.jobs import KEY
from providers.base import AUTO, Method, TrainingRequest
from providers.capabilities import CAPABILITIES
from providers.errors import InvalidRequest
from tests.contracts.openai_spec import problems as fits
from tests.providers.openai.conftest import GRADER

OPENAI = CAPABILITIES["openai"]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
SIMILARITY = {
    "type": "text_similarity",
    "name": "near",
    "input": "{{sample.output_text}}",
    "reference": "{{item.reference}}",
    "evaluation_metric": "fuzzy_match",
}
PYTHON = {"type": "python", "name": "p", "source": "def grade(sample, item):\n    return 1.0\n"}
SCORE = {
    "type": "score_model",
    "name": "s",
    "model": "o4-mini",
    "input": [{"role": "user", "content": "How good is {{sample.output_text}}?"}],
    "range": [0, 10],
}
LABEL = {
    "type": "label_model",
    "name": "l",
    "model": "o4-mini",
    "input": [{"role": "user", "content": "Label it"}],
    "labels": ["good", "bad"],
    "passing_labels": ["good"],
}


@pytest.fixture
def asked(tmp_path):
    (tmp_path / "train.jsonl").write_text("{}\n")

    def make(**changes):
        given = {
            "key": "run-1",
            "base_model": "gpt-4o-mini-2024-07-18",
            "method": Method.SFT,
            "train_path": tmp_path / "train.jsonl",
            "suffix": "mine",
            "folder": tmp_path,
        }
        return TrainingRequest(**{**given, **changes})

    return make


def body(request):
    made = method.body(request, OPENAI, "OpenAI")
    assert fits("CreateFineTuningJobRequest", {**made, "training_file": "file-1"}) == []
    return made


def problems(request):
    with pytest.raises(InvalidRequest) as caught:
        method.body(request, OPENAI, "OpenAI")
    return caught.value.user_message


def test_supervised(asked):
    knobs = {"epochs": 3.0, "batch_size": 8, "learning_rate_multiplier": 0.5}
    assert body(asked(hyperparameters=knobs))["method"] == {
        "type": "supervised",
        "supervised": {"hyperparameters": {"n_epochs": 3, "batch_size": 8, "learning_rate_multiplier": 0.5}},
    }


def test_preference(asked):
    knobs = {"epochs": AUTO, "beta": 0.1}
    assert body(asked(method=Method.DPO, hyperparameters=knobs))["method"] == {
        "type": "dpo",
        "dpo": {"hyperparameters": {"n_epochs": "auto", "beta": 0.1}},
    }


def test_a_vendor_without_auto_is_left_to_choose(asked):
    made = method.body(asked(hyperparameters={"epochs": AUTO, "batch_size": 4}), OPENAI, "X", keep_auto=False)
    assert made["method"]["supervised"]["hyperparameters"] == {"batch_size": 4}


def test_reinforcement(asked):
    knobs = {"reasoning_effort": "low", "compute_multiplier": 2, "eval_interval": 5, "eval_samples": AUTO}
    made = body(asked(method=Method.RFT, hyperparameters=knobs, options={"grader": GRADER, "response_format": SCHEMA}))
    assert made["method"] == {
        "type": "reinforcement",
        "reinforcement": {
            "grader": GRADER,
            "response_format": SCHEMA,
            "hyperparameters": {
                "reasoning_effort": "low",
                "compute_multiplier": 2,
                "eval_interval": 5,
                "eval_samples": "auto",
            },
        },
    }


def test_integrations_metadata_and_no_suffix(asked):
    wandb = {"type": "wandb", "wandb": {"project": "p", "name": None, "entity": "e", "tags": ["a"]}}
    made = body(asked(suffix="", options={"integrations": [wandb], "metadata": {"a": "b"}}))
    assert made["integrations"] == [wandb]
    assert made["metadata"] == {"a": "b", KEY: "run-1"}
    assert "suffix" not in made


def test_every_knob_of_the_form_reaches_the_body(asked):
    for kind in OPENAI.methods:
        options = {"grader": GRADER} if kind is Method.RFT else {}
        for knob in OPENAI.knobs:
            if knob.methods and kind not in knob.methods:
                continue
            values = [*knob.choices] or [knob.default, knob.high, max(knob.low, 0.0001)]
            for value in values:
                made = body(asked(method=kind, options=options, hyperparameters={knob.name: value}))
                name = {"epochs": "n_epochs"}.get(knob.name, knob.name)
                assert made["method"][method.TYPES[kind]]["hyperparameters"] == {name: value}


def test_all_problems_are_said_at_once(asked, tmp_path):
    text = problems(
        asked(
            base_model="",
            suffix="x" * 65,
            seed=-1,
            validation_path=tmp_path / "none.jsonl",
            hyperparameters={"epochs": 99, "lora_r": 4, "beta": 0.1},
            options={"grader": GRADER, "training_tier": "x", "integrations": [{}], "metadata": {KEY: "mine"}},
        )
    )
    for part in (
        "no base model",
        "at most 64 printable characters",
        "seed must be 0 to",
        "validation file is not there",
        "Epochs must be a whole number from 1 to 50 or auto",
        "no hyperparameter lora_r",
        "no hyperparameter beta for the method sft",
        "grader is for rft only",
        "no option training_tier",
        "integrations[0] must be",
        f"metadata may not have the name {KEY}",
    ):
        assert part in text, part


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 51),
        ("epochs", 1.5),
        ("epochs", "3"),
        ("epochs", True),
        ("epochs", float("nan")),
        ("epochs", float("inf")),
        ("batch_size", 257),
        ("learning_rate_multiplier", 0),
        ("learning_rate_multiplier", -1.0),
    ],
)
def test_knobs_out_of_their_range(asked, name, value):
    assert "must be" in problems(asked(hyperparameters={name: value}))


@pytest.mark.parametrize(
    ("name", "value"), [("reasoning_effort", "extreme"), ("reasoning_effort", AUTO), ("compute_multiplier", 0.00001)]
)
def test_knobs_of_reinforcement_out_of_their_range(asked, name, value):
    assert "must be" in problems(asked(method=Method.RFT, options={"grader": GRADER}, hyperparameters={name: value}))


@pytest.mark.parametrize("kind", [Method.KTO, Method.ORPO, Method.GRPO])
def test_methods_that_the_vendor_does_not_know(asked, kind):
    assert f"does not know the method {kind}" in problems(asked(method=kind))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metadata": {str(n): "x" for n in range(16)}}, "15 pairs"),
        ({"metadata": {"x" * 65: "x"}}, "may not have the name"),
        ({"metadata": {"x": "x" * 513}}, "at most 512"),
        ({"metadata": {"x": 1}}, "must be a text"),
        ({"metadata": "x"}, "names and texts"),
        ({"integrations": [{"type": "wandb", "wandb": {"project": "p", "tags": [1]}}]}, "tags"),
        ({"integrations": [{"type": "wandb", "wandb": {"project": "p", "secret": 1}}]}, "has no secret"),
        ({"integrations": [{"type": "wandb", "wandb": {"project": "p", "name": 1}}]}, "name must be a text"),
        ({"integrations": [{"type": "mlflow"}]}, "must be"),
        ({"integrations": [{}] * 6}, "at most 5"),
        ({"integrations": "x"}, "must be a list"),
    ],
)
def test_options_beyond_the_limits(asked, options, words):
    assert words in problems(asked(options=options))


def test_reinforcement_without_a_grader_or_with_a_bad_format(asked):
    assert "grader must be an object" in problems(asked(method=Method.RFT))
    for bad in (
        "x",
        {},
        {"type": "json_schema"},
        {"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}},
    ):
        text = problems(asked(method=Method.RFT, options={"grader": GRADER, "response_format": bad}))
        assert "response_format must be" in text


@pytest.mark.parametrize(
    "grader",
    [
        GRADER,
        SIMILARITY,
        PYTHON,
        SCORE,
        {"type": "multi", "name": "m", "graders": {"a": GRADER, "b": LABEL, "c": PYTHON}, "calculate_output": "a + b"},
        {"type": "multi", "name": "m", "graders": LABEL, "calculate_output": "x"},
    ],
)
def test_graders_that_are_right(grader):
    assert graders.problems(grader) == []
    if grader["type"] != "multi" or "type" in grader["graders"]:  # the description knows one inside, the guide many
        assert fits("FineTuneReinforcementMethod", {"grader": grader}) == []


@pytest.mark.parametrize(
    ("grader", "words"),
    [
        (None, "grader must be an object"),
        ([], "grader must be an object"),
        ({}, "grader.type must be one of"),
        ({"type": "magic"}, "grader.type must be one of multi, python"),
        (LABEL, "grader.type must be one of"),
        ({**GRADER, "name": ""}, "grader.name must be a text"),
        ({**GRADER, "operation": "equals"}, "eq, ne, like, ilike"),
        ({**GRADER, "input": 7}, "grader.input must be a text"),
        ({**SIMILARITY, "evaluation_metric": "vibes"}, "grader.evaluation_metric"),
        ({**PYTHON, "source": "def grade(:"}, "line 1"),
        ({**PYTHON, "source": "x = 1"}, "must define grade"),
        ({**PYTHON, "source": None}, "must be Python"),
        ({**PYTHON, "source": "(" * 50_000}, "no Python"),
        ({**PYTHON, "source": "x" * 300_000}, "the most is"),
        ({**SCORE, "range": [1, 0]}, "the lower one first"),
        ({**SCORE, "range": [0, True]}, "the lower one first"),
        ({**SCORE, "input": []}, "list of messages"),
        ({**SCORE, "input": [{"role": "tool", "content": "x"}]}, "grader.input[0] must be a message"),
        ({**SCORE, "input": [{"role": "user", "content": ""}]}, "grader.input[0].content"),
        ({**SCORE, "sampling_params": 1}, "sampling_params"),
        ({"type": "multi", "name": "m", "graders": {}, "calculate_output": "a"}, "grader.graders must hold"),
        ({"type": "multi", "name": "m", "graders": {"a": {}}, "calculate_output": ""}, "grader.graders.a.type"),
        (
            {
                "type": "multi",
                "name": "m",
                "graders": {"a": {**LABEL, "passing_labels": ["x"]}},
                "calculate_output": "a",
            },
            "among grader.graders.a.labels",
        ),
    ],
)
def test_graders_that_are_wrong(grader, words):
    found = graders.problems(grader)
    assert any(words in one for one in found), found


def test_graders_in_graders_end_somewhere():
    grader = GRADER
    for _ in range(10):
        grader = {"type": "multi", "name": "m", "graders": {"a": grader}, "calculate_output": "a"}
    assert any("too deeply" in one for one in graders.problems(grader))
