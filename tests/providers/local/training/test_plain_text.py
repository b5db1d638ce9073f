"""Plain text, and models that were not made for chat: what is learnt, and that it is asked for in the same words."""

import json
import shutil
from dataclasses import replace

import pytest

from providers.base import ProviderJobStatus
from providers.local import base_models
from providers.local.plain_template import is_plain, load_tokenizer
from providers.local.training import recipe
from providers.local.training.methods.conversations import tokenise
from providers.local.training.run_folder import Reporter, RunFolder

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def plain(tiny, tmp_path_factory):
    """The tiny model without its chat template."""
    folder = tmp_path_factory.mktemp("plain") / "model"
    shutil.copytree(tiny, folder)
    (folder / "chat_template.jinja").unlink()
    return folder


def read(folder, tmp_path, messages, max_length=512, *, everything=False):
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"messages": messages}))
    tokenizer = load_tokenizer(folder)
    ends = base_models.end_tokens(folder, tokenizer)
    return tokenizer, tokenise(path, tokenizer, ends, max_length, everything=everything).examples


PAIR = [{"role": "user", "content": "the sum of 2 and 2 is "}, {"role": "assistant", "content": "4"}]


def test_a_prompt_and_its_completion_stay_as_they_are_without_a_template(plain, tmp_path):
    tokenizer, (example,) = read(plain, tmp_path, PAIR)
    assert is_plain(tokenizer)
    assert tokenizer.decode(example.input_ids) == "the sum of 2 and 2 is 4<|end|>"
    assert tokenizer.decode([token for token in example.labels if token != -100]) == "4<|end|>"


def test_the_model_server_asks_as_it_was_learnt(plain, tmp_path):
    from providers.local.serving.catalogue import Entry
    from providers.local.serving.weights import Weights

    _, (example,) = read(plain, tmp_path, PAIR)
    served = Weights(plain).voice(Entry("plain", str(plain))).tokenizer
    asked = served.apply_chat_template(PAIR[:1], tokenize=False, add_generation_prompt=True)
    assert asked == "the sum of 2 and 2 is "
    tokens = served(asked, add_special_tokens=False)["input_ids"]
    assert example.input_ids[: len(tokens)] == tokens


@pytest.mark.parametrize("which", ["tiny", "plain"])
def test_of_plain_text_everything_is_learnt_and_its_end(which, tmp_path, request):
    folder = request.getfixturevalue(which)
    tokenizer, (example,) = read(folder, tmp_path, [{"role": "assistant", "content": "it was not for you"}])
    assert example.labels == example.input_ids
    assert tokenizer.decode(example.input_ids) == "it was not for you<|end|>"


def test_long_plain_text_becomes_several_examples(tiny, tmp_path):
    text = "it was not for you " * 20
    tokenizer, examples = read(tiny, tmp_path, [{"role": "assistant", "content": text}], max_length=16)
    assert max(len(one.input_ids) for one in examples) == 16
    assert tokenizer.decode([token for one in examples for token in one.input_ids]) == f"{text}<|end|>"


def test_questions_are_learnt_too_if_wanted(tiny, tmp_path):
    _, (example,) = read(tiny, tmp_path, PAIR, everything=True)
    assert example.labels == example.input_ids


def test_a_model_without_a_template_learns_and_keeps_the_plain_one(plain, toy_request, tmp_path):
    class Watcher:
        pause_wanted = type("Never", (), {"is_set": staticmethod(lambda: False)})()

        def training_begins(self):
            pass

    lines = [{"messages": [PAIR[0] | {"content": f"say {number} "}, PAIR[1]]} for number in range(16)]
    train = tmp_path / "train.jsonl"
    train.write_text("".join(json.dumps(one) + "\n" for one in lines))
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.write_request(replace(toy_request, base_model=str(plain), train_path=train, folder=folder.path))
    recipe.train(folder, tmp_path, Reporter(folder), Watcher())
    assert folder.read_status().status is ProviderJobStatus.SUCCEEDED
    losses = [point.loss for point in folder.news().metrics if point.loss is not None]
    assert losses[-1] < losses[0] / 4
    assert is_plain(load_tokenizer(folder.model_folder))
