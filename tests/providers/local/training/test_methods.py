"""Each method on a tiny model that says "no" more often than "yes": what it learns, and that a resume is no change."""

import json
from dataclasses import replace

import pytest

from providers.base import Method, ProviderJobStatus, TrainingRequest
from providers.errors import InvalidRequest, TrainingFailed
from providers.local import base_models
from providers.local.plain_template import load_tokenizer
from providers.local.training import recipe
from providers.local.training.knobs import Knobs
from providers.local.training.methods import judging, learning
from providers.local.training.methods.base import Reading
from providers.local.training.run_folder import Reporter, RunFolder
from tests.tiny_model import make, taught

pytestmark = pytest.mark.filterwarnings("default")  # the libraries' own, which a trainer's log has as well
HYPERPARAMETERS = {"epochs": 4, "batch_size": 8, "learning_rate": 5e-3, "lora_r": 8, "checkpoint_steps": 6}


class Watcher:
    """Stands for `Control`: wants a pause after so many steps."""

    def __init__(self, pause_after=None):
        self.pause_wanted = self
        self._left = pause_after

    def training_begins(self):
        pass

    def is_set(self):
        if self._left is None:
            return False
        self._left -= 1
        return self._left <= 0


@pytest.fixture(scope="module")
def undecided(tmp_path_factory):
    """A tiny model that answers "yes" to a quarter of all questions, and "no" to the others."""
    talks = [[user(place), said("no" if place % 4 else "yes")] for place in range(480)]
    return taught(make(tmp_path_factory.mktemp("undecided") / "model"), talks)


def user(number):
    return {"role": "user", "content": f"say {number % 97}"}


def said(text):
    return {"role": "assistant", "content": text}


def pair(number):
    return {"prompt": [user(number)], "chosen": [said("yes")], "rejected": [said("no")]}


def labelled(number):
    answer = ("yes", "no")[number % 2]
    return {"prompt": user(number // 2)["content"], "completion": answer, "label": answer == "yes"}


def asked(number):
    return {"messages": [user(number)], "answer": "yes"}


LINES = {Method.DPO: pair, Method.ORPO: pair, Method.KTO: labelled, Method.GRPO: asked}


def write(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def request_for(undecided, tmp_path):
    def request(method, name="run", **knobs):
        line = LINES[method]
        return TrainingRequest(
            key=name,
            base_model=str(undecided),
            method=method,
            train_path=write(tmp_path / "train.jsonl", map(line, range(48))),
            validation_path=write(tmp_path / "validation.jsonl", map(line, range(48, 56))),
            test_path=write(tmp_path / "test.jsonl", map(line, range(60, 80))),
            suffix="x",
            folder=tmp_path / name,
            hyperparameters={**HYPERPARAMETERS, **knobs},
        )

    return request


def train(request, cache, pause_after=None):
    folder = RunFolder(request.folder)
    folder.path.mkdir(exist_ok=True)
    folder.write_request(request)
    recipe.train(folder, cache, Reporter(folder), Watcher(pause_after))
    return folder


def reading(base, **knobs):
    tokenizer = load_tokenizer(base)
    return Reading(tokenizer, base_models.end_tokens(base, tokenizer), Knobs.read(knobs))


def mean(values):
    return sum(values) / len(values)


@pytest.mark.parametrize("method", [Method.DPO, Method.ORPO, Method.KTO])
def test_wanted_answers_become_the_likelier_ones(method, request_for, tmp_path):
    folder = train(request_for(method), tmp_path)
    judged = json.loads(folder.judged_file.read_text())
    assert len(judged["base"]) == len(judged["tuned"]) == 20
    assert mean(judged["tuned"]) > 0.95
    assert mean(judged["base"]) < 0.2
    figures = [point.figures for point in folder.news().metrics]
    assert folder.read_status().status is ProviderJobStatus.SUCCEEDED
    assert folder.read_status().trained_tokens > 0
    assert (folder.model_folder / "adapter_model.safetensors").is_file()
    margins = [one["reward_margin"] for one in figures if "reward_margin" in one]
    if method is not Method.KTO:
        assert margins[-1] > margins[0]
        assert figures[-1]["validation_preference_accuracy"] == 1.0


def test_answers_that_come_closer_to_the_reference_are_rewarded(request_for, tmp_path):
    request = request_for(Method.GRPO, generations=4, max_new_tokens=6, learning_rate=2e-3, batch_size=4)
    folder = train(request, tmp_path)
    metrics = folder.news().metrics
    rewards = [point.figures["reward"] for point in metrics if "reward" in point.figures]
    assert mean(rewards[:3]) < 0.6
    assert mean(rewards[-3:]) > mean(rewards[:3]) + 0.2
    assert metrics[-1].figures["validation_reward"] >= 0.75
    assert metrics[0].figures["answer_tokens"] > 0


def test_where_all_tries_are_worth_the_same_nothing_can_be_learnt(request_for, tmp_path):
    request = request_for(Method.GRPO, generations=2, max_new_tokens=4, epochs=0.5)
    write(request.train_path, [{**asked(number), "answer": "perhaps"} for number in range(48)])
    with pytest.raises(TrainingFailed, match="worth the same"):
        train(request, tmp_path)


@pytest.mark.parametrize("method", list(LINES))
def test_a_paused_training_goes_on_as_if_it_had_not_been_paused(method, request_for, tmp_path):
    knobs = {"epochs": 1, "max_new_tokens": 4, "generations": 2}
    whole = train(request_for(method, "whole", **knobs), tmp_path)
    request = request_for(method, "halved", **knobs)
    half = train(request, tmp_path, pause_after=3)
    assert half.read_status().status is ProviderJobStatus.PAUSED
    assert not half.judged_file.is_file()
    (checkpoint,) = half.checkpoints()
    rest = train(replace(request, resume_from=checkpoint), tmp_path)
    wanted, got = (
        {point.step: point.loss for point in folder.news().metrics if point.loss is not None}
        for folder in (whole, rest)
    )
    assert got == pytest.approx(wanted, abs=1e-5)
    assert json.loads(rest.judged_file.read_text()) if judging(method) else not rest.judged_file.is_file()


def test_full_fine_tuning_by_preferences_keeps_no_second_model(request_for, tmp_path):
    folder = train(request_for(Method.DPO, tuning="full", learning_rate=1e-3, epochs=1), tmp_path)
    judged = json.loads(folder.judged_file.read_text())
    assert mean(judged["tuned"]) > mean(judged["base"])


def test_pairs_end_with_the_end_token_and_share_a_prompt(undecided, tmp_path):
    one = {"prompt": [user(1)], "chosen": [said("yes")], "rejected": [said("no")]}
    tokenizer = load_tokenizer(undecided)
    file = learning(Method.DPO).read(write(tmp_path / "x.jsonl", [one]), reading(undecided))
    (prompt,), (wanted,), (unwanted,) = (file.columns[name] for name in ("prompt_ids", "chosen_ids", "rejected_ids"))
    assert tokenizer.decode(prompt) == "<|start|>user\nsay 1<|end|>\n<|start|>assistant\n"
    assert (tokenizer.decode(wanted), tokenizer.decode(unwanted)) == ("yes<|end|>", "no<|end|>")


@pytest.mark.parametrize(
    ("method", "line", "words"),
    [
        (Method.DPO, {**pair(1), "prompt": [{"role": "user", "content": "x " * 300}]}, "Nothing is left .* line 2"),
        (Method.DPO, {**pair(1), "chosen": [said(" ")]}, "Nothing is left .* line 2"),
        (Method.DPO, {**pair(1), "prompt": []}, "Nothing is left .* line 2"),
        (Method.DPO, {**pair(1), "rejected": 3}, "Line 2 .* not a list of messages"),
        (Method.ORPO, [1], "Nothing is left .* line 2"),
        (Method.KTO, {**labelled(1), "label": "yes"}, "Line 2 .* no label"),
        (Method.KTO, {**labelled(1), "prompt": "x " * 300}, "Nothing is left .* line 2"),
        (Method.GRPO, {"messages": [user(1)]}, "line 2 has none"),
        (Method.GRPO, {"messages": [user(1)], "a": 1, "b": 2}, "line 2 has several: a, b"),
        (Method.GRPO, {"messages": [user(1)], "answer": ""}, "Line 2 .* lacks"),
        (Method.GRPO, {"messages": [{"role": "user", "content": "x " * 300}], "answer": "1"}, "no room .* line 2"),
    ],
)
def test_what_cannot_be_learnt_is_refused_with_its_line(method, line, words, undecided, tmp_path):
    path = write(tmp_path / "x.jsonl", [LINES[method](0), line])
    with pytest.raises(InvalidRequest, match=words):
        learning(method).read(path, reading(undecided, max_length=100, max_new_tokens=20))


def test_pairs_of_the_same_answers_are_left_out_and_named(undecided, tmp_path):
    same = {**pair(1), "rejected": [said("yes")]}
    file = learning(Method.DPO).read(write(tmp_path / "x.jsonl", [pair(0), same]), reading(undecided))
    assert len(file.columns["prompt_ids"]) == 1
    assert file.warnings == ["Left out: both answers are the same in line 2."]
    with pytest.raises(InvalidRequest, match=r"no pairs .* the same in lines 1, 2"):
        learning(Method.DPO).read(write(tmp_path / "x.jsonl", [same, same]), reading(undecided))


def test_unbalanced_labels_are_said_with_the_weight_that_evens_them(undecided, tmp_path):
    lines = [labelled(0), labelled(2), labelled(4), labelled(1)]
    path = write(tmp_path / "x.jsonl", lines)
    (words,) = learning(Method.KTO).read(path, reading(undecided)).warnings
    assert "3 answers are wanted and 1 unwanted" in words
    assert "weight of bad to 3" in words
    assert not learning(Method.KTO).read(path, reading(undecided, undesirable_weight=3)).warnings


def test_a_batch_of_one_is_refused_for_labelled_answers(request_for, tmp_path):
    with pytest.raises(InvalidRequest, match="batch of one"):
        train(request_for(Method.KTO, batch_size=1), tmp_path)


def test_the_reference_of_a_conversation_is_its_last_answer(undecided, tmp_path):
    path = write(tmp_path / "x.jsonl", [{"messages": [user(1), said('["a"]')]}, {"messages": [user(2)], "answer": []}])
    file = learning(Method.GRPO).read(path, reading(undecided))
    assert file.columns["reference"] == ['["a"]', "[]"]
    assert all(one.endswith("<|start|>assistant\n") for one in file.columns["prompt"])


def test_the_model_of_the_highest_reward_is_taken(tmp_path):
    """Not of the lowest loss, which says nothing there."""
    import torch
    from transformers import TrainerControl, TrainerState

    from providers.local.training.best import Best

    folder = RunFolder(tmp_path)
    best, model = Best(folder, 0, None), torch.nn.Linear(1, 1)
    for step, reward in ((1, 0.2), (2, 0.9), (3, 0.5)):
        model.weight.data.fill_(step)
        metrics = {"eval_loss": float(step), "eval_reward": reward}
        best.on_evaluate(None, TrainerState(global_step=step), TrainerControl(), metrics=metrics, model=model)
    best.take(model, 3)
    assert model.weight.item() == 2
    assert "step 2 is taken: its reward, 0.900, was the highest" in folder.news().events[-1].message
