"""Which file is learnt from, what is held out of a lone one, and how tokens and epochs are counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.dataprep import convert, split, tokens
from workers.dataprep.example import Example, Message
from workers.dataprep.roles import guess
from workers.dataprep.tokens import Spread
from workers.tables import DatasetRole


def test_the_cookbooks_two_files(examples):
    train, test = guess([("cookbook_recipe_training.jsonl", 101), ("cookbook_recipe_validation.jsonl", 100)])
    assert (train.role, test.role) == (DatasetRole.TRAIN, DatasetRole.TEST)
    assert "training" in train.reason
    assert "validation" in test.reason


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([("test.jsonl", 5)], ["train"]),
        ([("val.jsonl", 5), ("Train.JSONL", 2), ("test.jsonl", 5)], ["validation", "train", "test"]),
        ([("a.jsonl", 5), ("b.jsonl", 50)], ["test", "train"]),
        ([("a.jsonl", 5), ("b.jsonl", 5)], ["train", "test"]),
        ([("eval.jsonl", 500), ("data.jsonl", 5)], ["test", "train"]),
        ([("trainers.jsonl", 1), ("contest.jsonl", 2)], ["test", "train"]),
        ([("test.jsonl", 1), ("holdout.jsonl", 2)], ["test", "train"]),
        ([("train.jsonl", 1), ("more.jsonl", 2)], ["train", "train"]),
        ([("train.jsonl", 1), ("dev.jsonl", 2)], ["train", "test"]),
    ],
)
def test_roles_by_name_and_then_by_size(files, expected):
    guesses = guess(files)
    assert [one.role for one in guesses] == expected
    assert all(one.reason for one in guesses)


def example(question, answer="a", system="s"):
    return Example((Message("system", system), Message("user", question), Message("assistant", answer)))


def test_the_same_is_held_out_every_time_and_by_content():
    dataset = [example(f"question {number}") for number in range(100)]
    held = split.held_out_places(dataset, 20, seed=42)
    assert len(held) == 20
    assert held == split.held_out_places(iter(dataset), 20, seed=42)
    assert held != split.held_out_places(dataset, 20, seed=43)
    backwards = {99 - place for place in split.held_out_places(dataset[::-1], 20, seed=42)}
    assert backwards == held


@given(questions=st.lists(st.sampled_from(["a b", "c", "d", "e", "f"]), max_size=60), count=st.integers(0, 20))
def test_one_question_stays_on_one_side(questions, count):
    dataset = [example(one.upper() + " ", str(place), f"s{place}") for place, one in enumerate(questions)]
    held = split.held_out_places(dataset, count, seed=1)
    assert len(held) <= count
    learnt = {questions[place] for place in range(len(questions)) if place not in held}
    assert learnt.isdisjoint(questions[place] for place in held)


@pytest.mark.parametrize(
    ("examples", "epochs"),
    [(0, 3), (1, 25), (5, 20), (33, 3), (34, 3), (101, 3), (8333, 3), (8334, 2), (25_001, 1), (10**6, 1)],
)
def test_epochs_as_the_cookbook_computes_them(examples, epochs):
    assert tokens.default_epochs(examples) == epochs


def test_tokens_of_an_example_count_names_roles_and_overhead():
    plain = Example((Message("user", "hello world"), Message("assistant", "hi")))
    assert tokens.of_example(plain, "cl100k_base") == (3 + (3 + 2 + 1) + (3 + 1 + 1), 1)
    named = Example((Message("user", "hello world", {"name": "bob"}), Message("assistant", "hi")))
    assert tokens.of_example(named, "cl100k_base")[0] == 14 + 2


def test_special_tokens_in_a_file_are_only_text():
    assert tokens.count("<|endoftext|>", "o200k_base") > 1
    assert tokens.count("", "o200k_base") == 0


def test_percentiles_between_ranks():
    spread = Spread.of([4, 1, 3, 2])
    assert (spread.total, spread.min, spread.max, spread.mean, spread.median) == (10, 1, 4, 2.5, 2.5)
    assert (spread.p5, spread.p95) == (1.1, 3.8)
    assert Spread.of([]) == Spread()
    assert Spread.of([7]).p95 == 7


def test_examples_survive_being_written(put, examples, tmp_path):
    source = examples / "cookbook_recipe_training.jsonl"
    out = tmp_path / "out.jsonl"
    assert convert.write(convert.read_examples(source), "openai-chat", out) == 101
    assert list(convert.read_examples(out)) == list(convert.read_examples(source))


def test_pairs_there_and_back(put, tmp_path):
    pairs = put([{"prompt": "é", "completion": "1"}, {"prompt": "b", "completion": ""}])
    chat, back = tmp_path / "chat.jsonl", tmp_path / "back.jsonl"
    convert.write(convert.read_examples(pairs), "openai-chat", chat)
    convert.write(convert.read_examples(chat), "prompt-completion", back)
    assert back.read_text() == '{"prompt": "é", "completion": "1"}\n{"prompt": "b", "completion": ""}\n'


def test_what_calls_tools_keeps_its_calls(put, tmp_path):
    record = {"messages": [
        {"role": "user", "content": [{"type": "text", "text": "x"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
    ]}  # fmt: skip
    out = tmp_path / "out.jsonl"
    convert.write(convert.read_examples(put([record])), "openai-chat", out)
    (first,) = convert.read_examples(out)
    assert first.messages[0].extra == {"content": [{"type": "text", "text": "x"}]}
    assert (first.messages[1].content, first.messages[1].extra) == (None, {"tool_calls": [{"id": "1"}]})


def test_what_a_format_cannot_express_is_refused_and_leaves_no_file(put, tmp_path):
    chat = put([{"messages": [{"role": "system", "content": "s"}, {"role": "assistant", "content": "a"}]}])
    out = tmp_path / "out" / "pairs.jsonl"
    out.parent.mkdir()
    for format_id, words in (("prompt-completion", "Line 1"), ("parchment", "There is no format 'parchment'")):
        with pytest.raises(Exception, match=words):
            convert.write(convert.read_examples(chat), format_id, out)
    assert list(out.parent.iterdir()) == []
