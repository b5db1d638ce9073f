"""A run's files: nothing is both learnt and tested, and a model is published whole."""

import dataclasses
import json
from functools import partial

import pytest

from workers.dataprep import convert
from workers.dataprep.limits import Limits, UnreadableDataset
from workers.plans.choices import Choices, TestOn
from workers.runs import material
from workers.tables import Dataset, Run


def record(question, system="Be brief."):
    return {"messages": [
        {"role": "system", "content": system},
        {"role": "user", "content": question},
        {"role": "assistant", "content": "yes"},
    ]}  # fmt: skip


@pytest.fixture
def run(context, tmp_path):
    """A run on these records, with files of its own to test on and to watch, or without."""

    def make(records, test=None, watched=None, **choices):
        ids = {}
        with context.db.write() as session:
            for key, content in (("train", records), ("test", test), ("watched", watched)):
                if content is None:
                    continue
                path = tmp_path / f"{key}.jsonl"
                path.write_text("".join(json.dumps(one) + "\n" for one in content))
                context.storage.put(f"datasets/{key}", path)
                row = Dataset(
                    team_id="T1", name=key, sha256=key, storage_key=f"datasets/{key}", format="openai-chat",
                    method="sft", examples=len(content), trainable=True,
                )  # fmt: skip
                session.add(row)
                session.flush()
                ids[key] = row.id
            others = {"test_dataset_id": ids.get("test"), "validation_dataset_id": ids.get("watched")}
            made = Run(
                team_id="T1", name="r", request_key="k", dataset_id=ids["train"], provider="local", base_model="m",
                method="sft", model_name="recipes-1", **others,
                plan=Choices(dataset_id=ids["train"], **others, **choices).to_json(),
            )  # fmt: skip
            session.add(made)
            session.flush()
            return made

    return make


def learnt(context, run, tmp_path):
    path = tmp_path / "learnt.jsonl"
    count = material.write_training(context, run, path)
    questions = [json.loads(line)["messages"][1]["content"] for line in path.read_text().splitlines()]
    assert len(questions) == count
    return questions


def watched(context, run, tmp_path):
    path = tmp_path / "to_watch.jsonl"
    count = material.write_validation(context, run, path)
    lines = path.read_text().splitlines() if path.exists() else []
    assert len(lines) == count
    return [json.loads(line)["messages"][1]["content"] for line in lines]


def held_out(context, run):
    return [one.messages[1].content for one in material.held_out(context, run)]


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_of_a_lone_dataset_a_part_is_held_out(context, run, tmp_path):
    made = run([record(f"q{number}") for number in range(100)])
    test = held_out(context, made)
    train = learnt(context, made, tmp_path)
    assert (len(train), len(test)) == (80, 20)
    assert set(train).isdisjoint(test)
    assert held_out(context, made) == test


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_small_dataset_is_learnt_whole(context, run, tmp_path):
    made = run([record(f"q{number}") for number in range(49)])
    assert held_out(context, made) == []
    assert len(learnt(context, made, tmp_path)) == 49


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_of_a_test_dataset_the_first_are_asked(context, run, tmp_path):
    made = run([record(f"q{number}") for number in range(60)], [record(f"t{number}") for number in range(90)])
    assert held_out(context, made) == [f"t{number}" for number in range(context.settings.held_out_examples)]
    assert len(learnt(context, made, tmp_path)) == 60


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_of_a_lone_dataset_three_parts_are_made_that_share_nothing(context, run, tmp_path):
    made = run([record(f"q{number}") for number in range(100)], hold_out_validation=True)
    parts = [learnt(context, made, tmp_path), watched(context, made, tmp_path), held_out(context, made)]
    assert [len(part) for part in parts] == [70, 10, 20]
    assert len({question for part in parts for question in part}) == 100


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_the_division_is_kept_whatever_the_settings_become(context, run, tmp_path):
    made = run([record(f"q{number}") for number in range(100)])
    before = held_out(context, made)
    context = dataclasses.replace(context, settings=context.settings.model_copy(update={"held_out_examples": 30}))
    assert material.divided(context, made) == material.divided(context, made)
    assert held_out(context, made) == before
    assert set(learnt(context, made, tmp_path)).isdisjoint(before)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_without_a_test_everything_is_learnt(context, run, tmp_path):
    made = run([record(f"q{number}") for number in range(100)], test_on=TestOn.NOTHING)
    assert len(learnt(context, made, tmp_path)) == 100
    assert held_out(context, made) == []
    assert watched(context, made, tmp_path) == []


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_what_was_learnt_is_left_out_of_the_test_and_of_what_is_watched(context, run, tmp_path):
    train = [record(f"q{number}") for number in range(60)]
    test = [record("Q1 "), record("t1"), record(" q2"), record("t2")]
    made = run(train, test, [record("q5"), record("v1")])
    assert held_out(context, made) == ["t1", "t2"]
    assert watched(context, made, tmp_path) == ["v1"]
    assert len(learnt(context, made, tmp_path)) == 60
    parts = material.divided(context, made)
    assert parts.leaked == 2
    assert parts.note.startswith(
        "In the test file 2 of its 4 examples are also in the training data (2 the same); they were left out"
    )
    assert material.compare(context, made.dataset_id, made.test_dataset_id).count == 2


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_test_that_was_learnt_whole_is_none(context, run, tmp_path):
    train = [record(f"q{number}") for number in range(60)]
    made = run(train, train[:20], train[20:30])
    assert held_out(context, made) == []
    assert watched(context, made, tmp_path) == []
    assert "Choose a test that the model has not seen" in material.divided(context, made).note


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_file_that_was_accepted_is_read_whatever_its_size(context, run, tmp_path, monkeypatch):
    monkeypatch.setattr(convert, "Limits", partial(Limits, max_bytes=10))  # as where an admin allows more than usual
    made = run([record(f"q{number}") for number in range(60)], [record("t")])
    assert held_out(context, made) == ["t"]
    assert len(learnt(context, made, tmp_path)) == 60
    with pytest.raises(UnreadableDataset, match="limit"):
        material.compare(context, made.dataset_id, made.test_dataset_id, Limits(max_bytes=10))


def test_a_system_prompt_that_all_share(context, run):
    assert material.common_system_prompt(context, run([record("a"), record("b")])) == "Be brief."


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize("other", [record("b", "Be long."), {"messages": record("b")["messages"][1:]}])
def test_a_system_prompt_that_not_all_share_is_none(context, run, other):
    assert material.common_system_prompt(context, run([record("a"), other])) == ""


def test_a_file_that_is_gone(context, run, tmp_path):
    made = run([record("a")])
    context.storage.delete("datasets/train")
    with pytest.raises(FileNotFoundError):
        material.write_training(context, made, tmp_path / "out")


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_model_is_published_whole_however_often(context, run, tmp_path):
    made = run([record("a")])
    folder = tmp_path / "trained"
    folder.mkdir()
    (folder / "adapter.safetensors").write_bytes(b"first")
    (folder / "left_over").write_bytes(b"")
    context.settings.models_folder.mkdir(parents=True)
    material.publish_model(context, made, folder)
    (folder / "adapter.safetensors").write_bytes(b"second")
    (folder / "left_over").unlink()
    material.publish_model(context, made, folder)
    target = context.settings.models_folder / "recipes-1"
    assert sorted(one.name for one in target.iterdir()) == ["adapter.safetensors", "run.json"]
    assert (target / "adapter.safetensors").read_bytes() == b"second"
    assert json.loads((target / "run.json").read_text()) == {"run": made.id, "name": "r"}
    assert [one.name for one in context.settings.models_folder.iterdir()] == ["recipes-1"]
    with context.storage.open(f"models/{made.id}/adapter.safetensors") as file:
        assert file.read() == b"second"


@pytest.fixture
def beside(context):
    """Models of this machine, and a folder beside them."""
    folder = context.settings.models_folder
    for path in (folder / "recipes-1", folder / "other", folder.parent / "precious"):
        path.mkdir(parents=True)
        (path / "file").write_bytes(b"")
    return lambda: sorted(str(one.relative_to(folder.parent)) for one in folder.parent.rglob("file"))


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ["other", "../precious", ".", "..", "", "recipes-1"])
def test_a_name_that_comes_from_a_vendor_is_no_folder(context, run, beside, tmp_path, name):
    made = run([record("a")])
    made.provider, made.model_name = "openai", name
    before = beside()
    material.discard_model(context, made)
    with pytest.raises(ValueError, match="no folder"):
        material.publish_model(context, made, tmp_path)
    assert beside() == before


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", ["../precious", "/tmp", ".", "..", "", ".other.partial", "other/file"])
def test_only_a_child_of_the_models_folder_is_a_model(context, run, beside, tmp_path, name):
    made = run([record("a")])
    made.model_name = name
    before = beside()
    for act in (material.discard_model, lambda *given: material.publish_model(*given, tmp_path)):
        with pytest.raises(ValueError, match="no folder"):
            act(context, made)
    assert beside() == before
    made.model_name = "recipes-1"
    material.discard_model(context, made)
    material.discard_model(context, made)
    assert [one for one in before if one not in beside()] == ["models/recipes-1/file"]
