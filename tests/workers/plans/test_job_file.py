"""A plan as YAML: what is written is read back, and what is wrong is said with its place."""

import dataclasses
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.base import AUTO, Method
from providers.capabilities import CAPABILITIES
from workers.plans import job_file
from workers.plans.choices import Choices, TestOn
from workers.plans.job_fields import PROVIDERS, Named
from workers.plans.job_file import JobFilePlan
from workers.plans.job_yaml import NoJobFile
from workers.tables import Dataset, Run

AUTOTRAIN = """
task: llm-sft
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
project_name: recipes-sft
log: tensorboard
backend: local
data:
  path: data/recipes.jsonl
  train_split: train
  valid_split: valid
  chat_template: tokenizer
  column_mapping: {text_column: messages}
params:
  epochs: 2
  batch_size: 1
  lr: 3e-5
  peft: true
  lora_r: 8
  quantization: int4
  scheduler: linear
hub: {username: me, token: "${HF_TOKEN}", push_to_hub: true}
"""
SETTINGS = """  scheduler: cosine
  gradient_accumulation: 4
  block_size: 512
  lora_alpha: 24
  lora_dropout: 0.1
  warmup_ratio: 0.2
  target_modules: all-linear
  mixed_precision: bf16
  optimizer: paged_adamw_8bit
  unsloth: true
  merge_adapter: false
  auto_find_batch_size: false
  padding: right
"""


def rows():
    fixed = {
        "team_id": "T1",
        "storage_key": "k",
        "format": "openai-chat",
        "method": "sft",
        "examples": 50,
        "trainable": True,
    }
    names = ("recipes.jsonl", "held out.jsonl", "watched.jsonl")
    return {number: Dataset(id=number, name=name, version=number, sha256=str(number) * 64, **fixed)
            for number, name in enumerate(names, 1)}  # fmt: skip


def run_of(choices):
    return Run(
        id=7, team_id="T1", name=choices.name, request_key="k", dataset_id=choices.dataset_id,
        test_dataset_id=choices.test_dataset_id, validation_dataset_id=choices.validation_dataset_id,
        provider=choices.provider, base_model=choices.base_model, method=choices.method, plan=choices.to_json(),
    )  # fmt: skip


def knobs_of(provider, method):
    def one(knob):
        if knob.choices:
            return st.sampled_from(knob.choices)
        number = (st.integers(int(knob.low), int(knob.high)) if knob.whole else st.floats(knob.low, knob.high)).filter(
            lambda value: knob.low <= value <= knob.high
        )
        return st.one_of(number, st.just(AUTO)) if knob.can_auto else number

    usable = Choices(dataset_id=1, provider=provider, method=method).usable_knobs
    return st.fixed_dictionaries({knob.name: one(knob) for knob in usable})


plans = st.sampled_from([(p, m) for p in PROVIDERS for m in sorted(CAPABILITIES[p].methods)]).flatmap(
    lambda chosen: st.builds(
        Choices,
        dataset_id=st.just(1),
        test_dataset_id=st.sampled_from([None, 2]),
        validation_dataset_id=st.sampled_from([None, 3]),
        name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,38}", fullmatch=True).map(str.strip),
        goal=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=300).map(str.strip),
        provider=st.just(chosen[0]),
        base_model=st.sampled_from(["gpt-4.1-nano", "smollm2-135m-instruct", "azureml://registries/x/models/y"]),
        method=st.just(chosen[1]),
        knobs=knobs_of(*chosen),
        seed=st.integers(0, 2**31 - 1),
        test_on=st.sampled_from(TestOn),
        hold_out_validation=st.booleans(),
    )
)


@settings(deadline=None)
@given(plans)
def test_what_is_written_is_read_back(choices):
    datasets = rows()
    plan = job_file.read(job_file.write(run_of(choices), datasets).encode())
    assert plan.problems == plan.notes == ()
    assert plan.dataset == Named("recipes.jsonl", 1, "1" * 64)
    assert plan.test == (Named("held out.jsonl", 2, "2" * 64) if choices.test_dataset_id else None)
    again = plan.choices(1, test_id=2 if plan.test else None, validation_id=3 if plan.validation else None)
    expected = dataclasses.replace(
        choices,
        test_on=TestOn.HELD_OUT if choices.test_dataset_id else choices.test_on,
        hold_out_validation=choices.hold_out_validation and not choices.validation_dataset_id,
    )
    assert again == expected
    assert JobFilePlan.from_json(plan.to_json()) == plan


def test_options_are_the_vendors_own_section():
    choices = Choices(
        dataset_id=1, name="x", provider="openai", base_model="o4-mini", method=Method.RFT,
        options={"grader": {"type": "string_check", "name": "same", "input": "{{sample.output_text}}"}},
    )  # fmt: skip
    written = job_file.write(run_of(choices), rows())
    assert yaml.safe_load(written)["openai"]["grader"]["type"] == "string_check"
    assert job_file.read(written.encode()).options == choices.options


def test_a_hosting_capacity_is_written_and_read_back():
    choices = Choices(
        dataset_id=1, name="x", provider="azure_openai", base_model="gpt-4.1-nano-2025-04-14",
        options={"training_tier": "developerTier", "hosting_capacity": 25},
    )  # fmt: skip
    written = job_file.write(run_of(choices), rows())
    assert yaml.safe_load(written)["azure_openai"]["hosting_capacity"] == 25
    read = job_file.read(written.encode())
    assert (read.problems, read.options) == ((), choices.options)


def test_numbers_without_a_dot_are_numbers():
    plan = job_file.read(b"finetune: 1\nname: x\ndataset: a.jsonl\nhyperparameters: {learning_rate: 5e-4, epochs: 2}")
    assert plan.problems == ()
    assert plan.knobs == {"learning_rate": 5e-4, "epochs": 2}


def test_every_problem_is_collected_and_other_vendors_sections_are_left_alone():
    plan = job_file.read(
        b"finetune: 2\nname: [x]\nprovider: openai\nmethod: sft\ncolour: red\nseed: -1\ntest: {of: me}\ndataset: 7\n"
        b"azure_openai: {training_tier: standard}\nopenai: {speed: 9}\n"
        b"hyperparameters: {epochs: 99, lora_r: 8, beta: 1}\n"
    )
    said = "\n".join(plan.problems)
    for words in (
        "finetune: 2", "“name” must be a text", "“colour” is nothing", "“seed” must be", "“test” must be held-out",
        "“dataset” must be a dataset", "openai, “speed”: no such option", "“epochs”: Must be between 1 and 50",
        "“lora_r”: There is no such setting", "“beta”: There is no such setting",
    ):  # fmt: skip
        assert words in said
    assert plan.notes == ("The section “azure_openai” is for another provider and is left alone.",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "at its top must be names"),
        (b"- a\n- b\n", "at its top must be names"),
        (b"finetune: 1\nname: x\nname: y\n", "line 3, column 1: “name” stands twice"),
        (b"a: &a [x]\nb: [*a, *a]\n", "anchors"),
        (b"finetune: [1\nname: x", "cannot be read. line"),
        (b"x: !!python/object/apply:os.system ['true']\n", "cannot be read"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"finetune: 1\n" + b"#" * 70_000, "at most 64,000"),
        (b"a: " + b"[" * 5_000, "nested too deep"),
        (b"services:\n  web: {image: nginx}\n", "is no job file"),
        (b"1: 2\n", "a name must be a text"),
        (b"? [a, b]\n: c\n", "cannot be read"),
        (b"finetune: \x00", "cannot be read"),
    ],
)
def test_what_is_no_job_file_is_refused_with_words(text, words):
    with pytest.raises(NoJobFile, match=r".") as refused:
        job_file.read(text)
    assert words in refused.value.user_message


@settings(deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_anything_else_is_refused_too(text):
    try:
        read = job_file.read(text)
    except NoJobFile as error:
        read = error.user_message
    assert isinstance(read, JobFilePlan) or read


def test_an_autotrain_file_is_a_plan_and_says_what_is_left_out():
    plan = job_file.read(AUTOTRAIN.encode())
    assert plan.problems == ()
    assert (plan.name, plan.method, plan.provider) == ("recipes-sft", "sft", "local")
    assert plan.dataset == Named(name="recipes.jsonl")
    assert plan.watch == "held-out"
    theirs = {"epochs": 2, "batch_size": 1, "learning_rate": 3e-5, "lora_r": 8}
    assert plan.knobs == {**theirs, "quantization": "nf4", "scheduler": "linear"}
    said = "\n".join(plan.notes)
    for words in ("AutoTrain", "push_to_hub", "columns"):
        assert words in said


def test_an_autotrain_file_can_be_carried_out_by_autotrain_itself():
    text = AUTOTRAIN.replace("  scheduler: linear\n", SETTINGS)
    plan = job_file.read(text.encode())
    assert plan.problems == ()
    theirs = plan.at("autotrain")
    assert (theirs.provider, theirs.base_model) == ("autotrain", "smollm2-135m-instruct")
    assert theirs.knobs == {
        "epochs": 2, "batch_size": 1, "learning_rate": 3e-5, "lora_r": 8, "lora_alpha": 24, "lora_dropout": 0.1,
        "quantization": "nf4", "gradient_accumulation": 4, "max_length": 512, "warmup_ratio": 0.2, "precision": "bf16",
        "scheduler": "cosine", "target_modules": "all-linear",
    }  # fmt: skip
    assert theirs.choices(1, test_id=None, validation_id=None).knob_problems() == {}
    said = "\n".join(theirs.notes)
    for words in ("“params.optimizer: paged_adamw_8bit” is not taken over: there is no such value", "“params.unsloth”"):
        assert words in said
    for name in ("params.merge_adapter", "params.peft", "params.padding", "params.auto_find_batch_size"):
        assert name not in said
    assert plan.at("openai") == plan
    assert JobFilePlan.from_json(plan.to_json()) == plan


def test_what_autotrain_does_not_learn_here_has_no_button_for_it():
    assert job_file.read(AUTOTRAIN.replace("llm-sft", "llm-orpo").encode()).elsewhere == {}


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("task: llm-sft", "task: image-classification", "llm-sft, llm-dpo, llm-orpo"),
        ("backend: local", "backend: spaces-a10g-large", "at somebody's cost"),
        ("epochs: 2", "epochs: 900", "between 1 and 50"),
        ("path: data/recipes.jsonl", "path: https://example.org/x", "“data.path” is an address"),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "https://example.org/model", "“base_model” is an address"),
        ('hub: {username: me, token: "${HF_TOKEN}", push_to_hub: true}', "hub: [1]", "“hub” must have names"),
    ],
)
def test_what_an_autotrain_file_must_not_ask_for(before, after, words):
    assert before in AUTOTRAIN
    assert words in "\n".join(job_file.read(AUTOTRAIN.replace(before, after).encode()).problems)


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[3] / "examples").glob("*.yml")), ids=lambda one: one.stem
)
def test_the_examples_are_job_files(path):
    plan = job_file.read(path.read_bytes())
    assert plan.problems == ()
    assert (Path(__file__).parents[3] / "examples" / plan.dataset.name).is_file()
    assert plan.choices(1, test_id=None, validation_id=None).knob_problems() == {}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "provider: stub",
            "There is no provider “stub”. Choose one of: autotrain, azure_ml, azure_openai, local, openai.",
        ),
        ("name: 1.5", "“name” must be a text; put it in quotes"),
        (f"name: {'x' * 41}", "“name” has 41 characters; at most 40"),
        (f"goal: {'x' * 301}", "“goal” has 301 characters; at most 300"),
        (f"base_model: {'x' * 200}", "“base_model” has 200 characters; at most 199"),
        ('name: "a\\nb"', "“name” must stand on one line"),
        ("dataset: {version: 2}", "“dataset” must be a dataset"),
        ("dataset: {name: [x]}", "“dataset” must be a dataset"),
        ("dataset: {name: x, version: true}", "“dataset” must be a dataset"),
        ("seed: 1.0", "“seed” must be a whole number"),
        ("finetune: true", "“finetune: True” is a version"),
        ("hyperparameters: {epochs: nan}", "“epochs”: Must be a number"),
        ("hyperparameters: []", "“hyperparameters” must have names"),
    ],
)
def test_what_the_form_could_not_show_is_a_problem_of_the_file(line, words):
    name = line.partition(":")[0]
    lines = [one for one in ("finetune: 1", "name: x", "dataset: a.jsonl") if not one.startswith(f"{name}:")]
    assert words in "\n".join(job_file.read("\n".join([*lines, line]).encode()).problems)


@pytest.mark.parametrize(
    ("provider", "options", "words"),
    [
        ("azure_openai", "{training_tier: cheap}", "“training_tier”: choose one of: globalStandard"),
        ("azure_openai", "{training_tier: [standard]}", "“training_tier”: choose one of"),
        ("azure_openai", "{hosting_capacity: 0}", "“hosting_capacity”: Must be between 1 and 5000"),
        ("azure_openai", "{hosting_capacity: 2.5}", "“hosting_capacity”: Must be a whole number"),
        ("azure_openai", "{hosting_capacity: true}", "“hosting_capacity”: Must be a number"),
        ("azure_openai", "{hosting_capacity: many}", "“hosting_capacity”: must be a number"),
        ("openai", "{hosting_capacity: 5}", "“hosting_capacity”: no such option"),
        ("azure_ml", "{instance_types: Standard_A}", "“instance_types”: must be a list of names"),
        ("azure_ml", "{instance_types: ['a, b']}", "“instance_types”: must be a list of names"),
        ("azure_ml", "{instance_types: []}", "“instance_types”: must be a list of names"),
        ("azure_ml", "{job_tier: {a: b}}", "“job_tier”: must be a text"),
        ("openai", "{grader: python}", "“grader”: must have names"),
        ("openai", "{metadata: [a]}", "“metadata”: must have names"),
        ("openai", "{integrations: wandb}", "“integrations”: must be a list"),
    ],
)
def test_options_of_another_shape_are_problems(provider, options, words):
    text = f"finetune: 1\nname: x\nprovider: {provider}\n{provider}: {options}\n"
    plan = job_file.read(text.encode())
    assert [one for one in plan.problems if words in one]


def test_a_file_without_a_method_takes_the_datasets_and_its_settings_are_checked_for_any_of_them():
    plan = job_file.read(b"finetune: 1\nname: x\nprovider: openai\nhyperparameters: {beta: 0.1}\n")
    assert (plan.method, plan.problems) == ("", ())
    assert plan.choices(1, test_id=None, validation_id=None, method="dpo").method is Method.DPO
    assert "“lora_r”" in job_file.read(b"finetune: 1\nprovider: openai\nhyperparameters: {lora_r: 8}\n").problems[0]


def test_autotrains_name_of_a_model_that_is_here_is_ours():
    plan = job_file.read(AUTOTRAIN.encode())
    assert plan.base_model == "smollm2-135m-instruct"
    assert "“HuggingFaceTB/SmolLM2-135M-Instruct” is here as smollm2-135m-instruct." in plan.notes
    other = job_file.read(AUTOTRAIN.replace("HuggingFaceTB/SmolLM2-135M-Instruct", "meta/llama").encode())
    assert other.base_model == "meta/llama"


@pytest.mark.parametrize(
    ("text", "is_meant"),
    [
        ("# recipes\n---\nname: x\nfinetune: 1\nname: y\n", True),
        ("data: {path: a\ntask: llm-sft\n", True),
        ("a: &a [x]\nb: [*a, *a]\n", False),
        ("task: build\nsteps: [}\n", False),
    ],
)
def test_a_broken_file_that_is_meant_as_one_is_known_by_its_keys_wherever_they_stand(text, is_meant):
    with pytest.raises(NoJobFile) as caught:
        job_file.read(text.encode())
    assert caught.value.looks_like_one is is_meant


def test_a_preset_is_its_hyperparameters_and_what_is_written_goes_before_it():
    plan = job_file.read(b"finetune: 1\nprovider: local\npreset: trl-tutorial\nhyperparameters: {lora_r: 64}\n")
    assert plan.problems == ()
    assert (plan.knobs["lora_r"], plan.knobs["lora_alpha"], plan.knobs["quantization"]) == (64, 128, "nf4")


@pytest.mark.parametrize("where", ["provider: openai\npreset: trl-tutorial", "preset: nonsense"])
def test_a_preset_that_is_none_is_a_problem(where):
    assert "There is no preset" in job_file.read(f"finetune: 1\n{where}\n".encode()).problems[0]
