"""Each method on the real 135M model, with the learning rates that the form proposes: better than its base.

python -m pytest -m full tests/providers/local/training/test_methods_real.py
"""

import json
from pathlib import Path

import pytest

from providers.base import Method, TrainingRequest
from providers.local.training import recipe
from providers.local.training.run_folder import Reporter, RunFolder
from tests.providers.local.training.test_methods import Watcher, mean, write
from workers.plans.presets import RATES

pytestmark = [
    pytest.mark.full,
    pytest.mark.real_model,
    pytest.mark.timeout(1500),
    pytest.mark.filterwarnings("default"),
]
RECIPES = Path(__file__).parents[4] / "examples"
CAPITALS = {
    "France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Germany": "Berlin", "Japan": "Tokyo", "Egypt": "Cairo",
    "Greece": "Athens", "Portugal": "Lisbon", "Austria": "Vienna", "Russia": "Moscow", "China": "Beijing",
    "Cuba": "Havana", "Ireland": "Dublin", "England": "London", "Norway": "Oslo", "Sweden": "Stockholm",
    "Poland": "Warsaw", "Hungary": "Budapest", "Peru": "Lima", "Kenya": "Nairobi", "Turkey": "Ankara",
    "Thailand": "Bangkok", "Belgium": "Brussels", "Denmark": "Copenhagen",
}  # fmt: skip


def recipes(name):
    for line in (RECIPES / f"cookbook_recipe_{name}.jsonl").read_text().splitlines():
        yield json.loads(line)["messages"]


def pair(messages):
    """The wanted answer is the list; the unwanted one says the same in a sentence."""
    *prompt, wanted = messages
    sentence = f"The ingredients of this recipe are {', '.join(json.loads(wanted['content']))}."
    return {"prompt": prompt, "chosen": [wanted], "rejected": [{"role": "assistant", "content": sentence}]}


def labelled(messages):
    one = pair(messages)
    for answer, label in ((one["chosen"], True), (one["rejected"], False)):
        yield {"prompt": one["prompt"], "completion": answer, "label": label}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def train(method, train_lines, test_lines, tmp_path, cache, **knobs):
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.write_request(
        TrainingRequest(
            key="real",
            base_model="smollm2-135m-instruct",
            method=method,
            train_path=write(tmp_path / "train.jsonl", train_lines),
            test_path=write(tmp_path / "test.jsonl", test_lines),
            suffix="x",
            folder=folder.path,
            hyperparameters={"learning_rate": RATES[method][0], "batch_size": 4, "max_length": 1024, **knobs},
        )
    )
    recipe.train(folder, cache, Reporter(folder), Watcher())
    return folder


@pytest.mark.parametrize("method", [Method.DPO, Method.ORPO, Method.KTO])
def test_the_real_model_learns_to_prefer_the_list(method, tmp_path, cache, record_property):
    learnt, tested = list(recipes("training"))[:48], list(recipes("validation"))[:20]
    lines = [list(map(pair, some)) for some in (learnt, tested)]
    if method is Method.KTO:
        lines = [[line for one in some for line in labelled(one)] for some in (learnt, tested)]
    folder = train(method, *lines, tmp_path, cache, epochs=1)
    judged = json.loads(folder.judged_file.read_text())
    record_property("base", mean(judged["base"]))
    record_property("tuned", mean(judged["tuned"]))
    assert mean(judged["tuned"]) > mean(judged["base"]) + 0.1


def test_the_real_model_is_rewarded_for_the_answer_alone(tmp_path, cache, record_property):
    lines = [
        {"messages": [{"role": "user", "content": f"What is the capital of {country}?"}], "answer": city}
        for country, city in CAPITALS.items()
    ]
    folder = train(Method.GRPO, lines, lines[:1], tmp_path, cache, epochs=3, max_new_tokens=12, generations=8)
    rewards = [point.figures["reward"] for point in folder.news().metrics if "reward" in point.figures]
    record_property("first", mean(rewards[:3]))
    record_property("last", mean(rewards[-6:]))
    assert mean(rewards[-6:]) > mean(rewards[:3]) + 0.1
