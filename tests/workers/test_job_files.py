"""A job file is fitted to the datasets that are here: exactly, or refused with words; what differs is said."""

from dataclasses import replace

import pytest

from workers import job_files
from workers.errors import UserError
from workers.plans import job_file
from workers.plans.choices import Choices, TestOn
from workers.rights import Actor
from workers.settings import Settings
from workers.tables import Dataset, DatasetRole, JobFile

TUNER = Actor("T1", "U1", "C1")
HASH = {number: f"{number}a" * 32 for number in range(1, 10)}
pytestmark = pytest.mark.parametrize("db", ["sqlite"], indirect=True)


@pytest.fixture
def put(db):
    """A checked dataset; its id. `number` is its hash's."""

    def keep(name, number, role=DatasetRole.TRAIN, message_ts="9.9", **more):
        fixed = {
            "team_id": "T1", "channel_id": "C1", "creator_id": "U1", "storage_key": "k", "format": "openai-chat",
            "method": "sft", "examples": 100, "trainable": True,
        }  # fmt: skip
        with db.write() as session:
            row = Dataset(name=name, sha256=HASH[number], role=role, message_ts=message_ts, **{**fixed, **more})
            session.add(row)
            session.flush()
            return row.id

    return keep


@pytest.fixture
def chosen(db):
    """The choices that these lines come to, attached with the message 1.1; and what is said of them."""

    def read(*lines, change=None):
        text = "\n".join(["finetune: 1", "name: x", *lines])
        with db.write() as session:
            row = JobFile(
                team_id="T1", channel_id="C1", creator_id="U1", name="job.yml", message_ts="1.1",
                plan=job_file.read(text.encode()).to_json(),
            )  # fmt: skip
            session.add(row)
            session.flush()
        with db.read() as session:
            choices = job_files.choices(session, TUNER, row.id)
            assert choices.job_file_id == row.id
            now = replace(choices, base_model="smollm2-135m-instruct", **(change or {}))
            return choices, job_files.notes(session, TUNER, now)

    return read


def refused(chosen, *lines):
    with pytest.raises(UserError) as told:
        chosen(*lines)
    return told.value.user_message


def test_a_hash_tells_exactly(chosen, put):
    wanted = put("a.jsonl", 1)
    put("a.jsonl", 2, message_ts="1.1", version=2)
    assert chosen(f"dataset: {{name: a.jsonl, sha256: {HASH[1]}}}")[0].dataset_id == wanted
    assert chosen(f"dataset: {{sha256: {HASH[1]}}}")[0].dataset_id == wanted
    choices, said = chosen(f"dataset: {{name: b.jsonl, version: 1, sha256: {HASH[1]}}}")
    assert choices.dataset_id == wanted
    assert "Learn from: b.jsonl v1 1a1a1a1a1a1a in the file; the same content is a.jsonl v1 here." in said


def test_another_hash_is_refused_though_the_name_is_here_or_a_file_came_with_it(chosen, put):
    put("a.jsonl", 1, message_ts="1.1")
    said = refused(chosen, f"dataset: {{name: a.jsonl, version: 1, sha256: {HASH[2]}}}")
    assert said.startswith("The dataset “a.jsonl v1 2a2a2a2a2a2a” that the job file names is not in this channel")
    refused(chosen, f"dataset: {{sha256: {HASH[2]}}}")


def test_a_version_is_that_one_or_none(chosen, put):
    first = put("a.jsonl", 1)
    second = put("a.jsonl", 2, version=2)
    assert chosen("dataset: {name: a.jsonl, version: 1}")[0].dataset_id == first
    assert chosen("dataset: A.jsonl")[0].dataset_id == second
    assert "(there are: v1, v2, but not that one)" in refused(chosen, "dataset: {name: a.jsonl, version: 3}")


def test_another_name_is_refused_though_a_file_came_with_it(chosen, put):
    put("a.jsonl", 1, message_ts="1.1")
    assert "“b.jsonl” that the job file names is not in this channel" in refused(chosen, "dataset: b.jsonl")
    put("c.jsonl", 2, DatasetRole.TEST, message_ts="1.1")
    assert "“d.jsonl”" in refused(chosen, "dataset: a.jsonl", "test: d.jsonl")


def test_without_a_name_it_is_what_came_with_it(chosen, put):
    put("older.jsonl", 1)
    assert "names no dataset, and none that is ready came with it" in refused(chosen)
    beside = put("a.jsonl", 2, message_ts="1.1")
    choices, said = chosen()
    assert choices.dataset_id == beside
    assert "Learn from: none named in the file, a.jsonl v1 here." in said
    put("b.jsonl", 3, message_ts="1.1")
    assert "names no dataset, and several came with it" in refused(chosen)


def test_the_test_that_came_with_it_is_the_test(chosen, put):
    put("train.jsonl", 1, message_ts="1.1")
    watched = put("val.jsonl", 2, DatasetRole.VALIDATION, message_ts="1.1")
    choices, said = chosen("dataset: train.jsonl")
    assert (choices.test_dataset_id, choices.validation_dataset_id) == (watched, None)
    assert "Test: none named in the file, val.jsonl v1 here." in said
    test = put("test.jsonl", 3, DatasetRole.TEST, message_ts="1.1")
    choices, _ = chosen("dataset: train.jsonl")
    assert (choices.test_dataset_id, choices.validation_dataset_id) == (test, watched)
    choices, _ = chosen("dataset: train.jsonl", "validation: test.jsonl")
    assert (choices.test_dataset_id, choices.validation_dataset_id) == (watched, test)
    choices, _ = chosen("dataset: train.jsonl", "validation: nothing")
    assert (choices.test_dataset_id, choices.validation_dataset_id) == (test, None)
    choices, said = chosen("dataset: train.jsonl", "test: held-out")
    assert (choices.test_dataset_id, choices.test_on, choices.validation_dataset_id) == (None, TestOn.HELD_OUT, None)
    assert not [one for one in said if one.startswith("Test")]


def test_the_test_that_came_with_the_dataset_is_the_test_too(chosen, put):
    put("train.jsonl", 1)
    test = put("test.jsonl", 2, DatasetRole.TEST)
    assert chosen("dataset: train.jsonl")[0].test_dataset_id == test


def test_of_few_examples_none_are_held_out_unless_the_file_says_so(chosen, put):
    put("train.jsonl", 1, examples=20)
    choices, said = chosen("dataset: train.jsonl")
    assert choices.test_on is TestOn.NOTHING
    assert "Test: none named in the file, nothing here." in said
    assert chosen("dataset: train.jsonl", "test: held-out")[0].test_on is TestOn.HELD_OUT


def test_the_method_is_the_datasets_where_none_is_named(chosen, put):
    put("pairs.jsonl", 1, method="dpo")
    lines = ("dataset: pairs.jsonl", "provider: openai", "hyperparameters: {beta: 0.5}")
    choices, said = chosen(*lines)
    assert choices.method == "dpo"
    assert "Method: none named in the file, DPO here." in said
    put("chats.jsonl", 2)
    assert "beta: There is no such setting for sft here." in refused(chosen, "dataset: chats.jsonl", *lines[1:])


def test_another_method_than_the_datasets_is_refused_when_the_form_is_filled(chosen, put, db):
    from workers.plans import plan

    put("pairs.jsonl", 1, method="dpo")
    choices, _ = chosen("dataset: pairs.jsonl", "method: sft")
    with db.read() as session:
        form = plan.propose(session, Settings(), TUNER, choices=choices)
    assert form.choices is None
    (problem,) = form.problems
    assert problem.startswith("This plan is for the method SFT, but pairs.jsonl v1 is for DPO or ORPO or KTO. Choose")


def test_whatever_was_changed_since_is_said(chosen, put):
    put("train.jsonl", 1)
    lines = (
        "dataset: train.jsonl", "provider: azure_openai", "base_model: azureml://registries/x/models/NAME/versions/1",
        "method: sft", "seed: 7", "validation: nothing", "test: nothing",
        "hyperparameters: {epochs: 2, batch_size: 8}", "azure_openai: {training_tier: standard, hosting_capacity: 10}",
        "openai: {metadata: {a: b}}",
    )  # fmt: skip
    _, said = chosen(*lines, change={"options": {"training_tier": "standard"}})
    assert said == [
        "From the job file job.yml.",
        "The section “openai” is for another provider and is left alone.",
        "Base model: NAME in the file, smollm2-135m-instruct here.",
    ]
    local = {"provider": "local", "seed": 8, "knobs": {"epochs": 3}, "options": {}, "hold_out_validation": True}
    _, said = chosen(*lines, change={**local, "test_on": TestOn.CROSS_CHECK})
    assert said[2:] == [
        "Test: nothing in the file, cross-check here.",
        "Watched while training: nothing in the file, held-out here.",
        "Where: Azure OpenAI in the file, This machine here.",
        "Base model: NAME in the file, smollm2-135m-instruct here.",
        "Seed: 7 in the file, 8 here.",
        "Epochs: 2 in the file, 3 here.",
        "Examples a step: 8 in the file, 4 here.",
        "Training tier: standard in the file, none here.",
    ]
    _, said = chosen(*lines, change={"knobs": {"epochs": 2, "batch_size": 8, "learning_rate_multiplier": 0.5}})
    assert "Learning rate multiplier: auto in the file, 0.5 here." in said


def test_of_a_file_of_another_channel_nothing_is_said(chosen, put, db):
    put("train.jsonl", 1)
    choices, _ = chosen("dataset: train.jsonl")
    with db.read() as session:
        assert job_files.notes(session, replace(TUNER, channel_id="C2"), choices) == []
        assert job_files.notes(session, TUNER, Choices(dataset_id=1)) == []
        assert job_files.notes(session, TUNER, Choices(dataset_id=1, job_file_id=99)) == []
