import json

import pytest

from providers.errors import InvalidRequest
from providers.local import base_models
from providers.local.training.methods.conversations import tokenise

USER = {"role": "user", "content": "how much"}
ANSWER = {"role": "assistant", "content": "none at all"}


@pytest.fixture(scope="module")
def tokenizer(tiny):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny, local_files_only=True)


@pytest.fixture
def read(tmp_path, tiny, tokenizer):
    def read(*conversations, max_length=512):
        path = tmp_path / "train.jsonl"
        path.write_text("".join(json.dumps({"messages": one}) + "\n" for one in conversations))
        return tokenise(path, tokenizer, base_models.end_tokens(tiny, tokenizer), max_length)

    return read


def learnt_text(tokenizer, example):
    return tokenizer.decode([token for token in example.labels if token != -100])


def test_the_answer_and_its_end_are_learnt_and_nothing_else(read, tokenizer):
    (example,) = read([{"role": "system", "content": "be brief"}, USER, ANSWER]).examples
    assert learnt_text(tokenizer, example) == "none at all<|end|>"
    assert example.input_ids[-1] == example.labels[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(example.input_ids).startswith("<|start|>system\nbe brief<|end|>\n<|start|>user\nhow much")


def test_every_answer_of_a_conversation_is_learnt_but_those_of_no_weight(read, tokenizer):
    unweighted = {"role": "assistant", "content": "well", "weight": 0}
    (example,) = read([USER, ANSWER, USER, unweighted, USER, ANSWER]).examples
    assert learnt_text(tokenizer, example) == "none at all<|end|>none at all<|end|>"
    assert "well" in tokenizer.decode(example.input_ids)


def test_what_is_tokenised_is_what_will_be_asked(read, tokenizer):
    (example,) = read([USER, ANSWER]).examples
    asked = tokenizer(tokenizer.apply_chat_template([USER], tokenize=False, add_generation_prompt=True))["input_ids"]
    assert example.input_ids[: len(asked)] == asked
    assert example.labels[len(asked) - 1] == -100
    assert example.labels[len(asked)] == example.input_ids[len(asked)]


def test_long_examples_are_cut_and_counted(read):
    long = {"role": "assistant", "content": "none " * 200}
    file = read([USER, ANSWER], [USER, long], max_length=100)
    assert file.shortened == 1
    assert len(file.examples[1].input_ids) == len(file.examples[1].labels) == 100


@pytest.mark.parametrize(
    ("conversation", "words"),
    [
        ([{"role": "user", "content": "x " * 300}, ANSWER], "Nothing is left to learn in line 2"),
        ([USER], "Line 2 has no answer"),
        ([USER, {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}], "Line 2 calls a tool"),
        ([USER, {"role": "assistant"}], "Line 2 .* is not a list of messages"),
        ("text", "Line 2 .* is not a list of messages"),
        ([], "Line 2 .* is not a list of messages"),
    ],
)
def test_what_cannot_be_learnt_is_refused_with_its_line(read, conversation, words):
    with pytest.raises(InvalidRequest, match=words):
        read([USER, ANSWER], conversation, max_length=100)


def test_an_empty_file_and_a_broken_line(read, tmp_path, tokenizer):
    with pytest.raises(InvalidRequest, match="no examples"):
        read()
    (tmp_path / "broken.jsonl").write_bytes(b'{"messages": [\xff\n')
    with pytest.raises(InvalidRequest, match=r"Line 1 .* not JSON"):
        tokenise(tmp_path / "broken.jsonl", tokenizer, frozenset({2}), 100)


def test_a_template_that_never_ends_an_answer_is_refused(tmp_path, tokenizer):
    (tmp_path / "train.jsonl").write_text(json.dumps({"messages": [USER, ANSWER]}))
    with pytest.raises(InvalidRequest, match="never stop"):
        tokenise(tmp_path / "train.jsonl", tokenizer, frozenset({0}), 100)
