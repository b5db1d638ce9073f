import warnings

import pytest

from workers.dataprep import tokens
from workers.dataprep.example import Example, Message
from workers.errors import UserError

TEXTS = ["", "Hello, world!", "naïve café 漢字 👩‍🚀", "<|endoftext|> as text", " \n\n\t x", "a" * 5000, "123456" * 20]


@pytest.mark.parametrize("name", ["cl100k_base", "o200k_base"])
def test_counts_are_those_of_another_implementation(name):
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        import bpe_openai

        encoding = bpe_openai.get_encoding(name)
    assert tokens.counter(name)(TEXTS) == [len(encoding.encode_ordinary(text)) for text in TEXTS]


def test_the_cookbooks_formula():
    plain = Example((Message("user", "hello world"), Message("assistant", "hi")))  # 3 + (3 + 2 + 1) + (3 + 1 + 1)
    assert tokens.of_example(plain, "cl100k_base") == (14, 1, 14, 5)
    named = Example((Message("user", "hello world", {"name": "ann"}), Message("assistant", "hi")))
    assert tokens.of_example(named, "cl100k_base")[0] == 14 + 1 + tokens.count("ann", "cl100k_base")


def test_many_at_once_are_counted_as_one_by_one():
    calls = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    examples = [
        Example((Message("user", "What is 2 + 2?"), Message("assistant", "4"))),
        Example((Message("user", "Call it."), Message("assistant", None, {"tool_calls": calls}))),
        Example((Message("user", [{"type": "text", "text": "What is this?"}]), Message("assistant", "A cat."))),
        Example((Message("user", "x"), Message("assistant", "good")), rejected=(Message("assistant", "bad"),)),
    ]
    assert tokens.of_examples(examples, "o200k_base") == [tokens.of_example(one, "o200k_base") for one in examples]


def test_half_a_character_is_no_crash():
    assert tokens.count("\ud800", "o200k_base") > 0


def test_a_models_own_tokenizer_counts_from_its_file(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({"hello": 0, "world": 1, "?": 2}, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.save(str(tmp_path / "tokenizer.json"))
    assert tokens.count("hello there world", f"file:{tmp_path / 'tokenizer.json'}") == 3


@pytest.mark.parametrize("name", ["gpt-9", "file:/nowhere/tokenizer.json"])
def test_an_unknown_tokenizer_is_said_in_words(name):
    with pytest.raises(UserError, match=r"tokenizer"):
        tokens.counter(name)


@pytest.mark.parametrize(
    ("examples", "epochs"), [(0, 3), (1, 25), (5, 20), (10, 10), (34, 3), (101, 3), (8333, 3), (8334, 2), (100_000, 1)]
)
def test_epochs_are_the_cookbooks(examples, epochs):
    assert tokens.default_epochs(examples) == epochs


def test_of_two_answers_a_model_reads_one_at_a_time():
    prompt, chosen, rejected = (Message(role, "word " * 50) for role in ("user", "assistant", "assistant"))
    one = tokens.of_example(Example((prompt, chosen)), "o200k_base")
    two = tokens.of_example(Example((prompt, chosen), rejected=(rejected,)), "o200k_base")
    assert two.read == one.read == one.total
    assert two.total == one.total + one.last


def test_a_call_of_a_tool_is_an_answer_that_can_be_cut_off():
    calls = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"city": "Paris"}'}}]
    called = tokens.of_example(
        Example((Message("user", "?"), Message("assistant", None, {"tool_calls": calls}))), "o200k_base"
    )
    assert called.assistant == 0
    assert called.last > 20
