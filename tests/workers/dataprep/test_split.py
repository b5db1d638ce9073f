"""Train, validation and test: the same every time, whole groups, each label's share, never too few."""

import random
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.dataprep import families, split
from workers.dataprep.example import Example, Message
from workers.dataprep.split import Keys, Side


def example(question, answer="a", line=0, **more):
    return Example((Message("user", question), Message("assistant", answer)), line, **more)


def numbered(count, answer="a"):
    return [example(f"question {number}", answer, number + 1) for number in range(count)]


@pytest.mark.parametrize(
    ("examples", "test", "validation"), [(0, 0, 0), (49, 0, 0), (50, 10, 10), (101, 20, 10), (10**6, 40, 40)]
)
def test_how_many_are_held_out(examples, test, validation):
    assert (split.test_size(examples, 40), split.validation_size(examples, 40)) == (test, validation)


@given(
    questions=st.lists(st.sampled_from([f"q{number}" for number in range(12)]), max_size=80),
    pairs=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), max_size=12),
    counts=st.tuples(st.integers(0, 15), st.integers(0, 15)),
    seed=st.integers(0, 5),
)
def test_no_group_is_on_two_sides(questions, pairs, counts, seed):
    keys = Keys.of(example(one, str(place), place + 1) for place, one in enumerate(questions))
    parts = split.split(keys, validation=counts[0], test=counts[1], seed=seed)
    assert parts.count(Side.VALIDATION) <= counts[0]
    assert parts.count(Side.TEST) <= counts[1]
    for side in Side:
        own = {questions[place] for place in parts.places(side)}
        assert own.isdisjoint(questions[place] for other in Side if other != side for place in parts.places(other))
    again = split.split(keys, validation=counts[0], test=counts[1], seed=seed)
    assert np.array_equal(parts.sides, again.sides)
    groups = split._Groups.of(keys, seed, pairs)
    group_of = {int(place): number for number in range(len(groups)) for place in groups[number]}
    assert sorted(group_of) == list(range(len(questions)))
    assert groups.sizes.sum() == len(questions)
    for left, right in pairs:
        if max(left, right) <= len(questions):
            assert group_of[left - 1] == group_of[right - 1]


def test_what_is_nearly_the_same_stays_together():
    near = [[1, 2], [2, 3], [50, 3]]
    for seed in range(20):
        parts = split.split(Keys.of(numbered(100)), test=20, seed=seed, near=iter(near))
        assert parts.count(Side.TEST) == 20
        assert len({int(parts.sides[line - 1]) for line in (1, 2, 3, 50)}) == 1


def test_where_everything_is_nearly_the_same_only_prompts_are_kept_together():
    keys = Keys.of(numbered(100))
    parts = split.split(keys, test=20, near=[range(1, 101)])
    assert parts.count(Side.TEST) == 20


def test_each_label_gets_its_share():
    labels = ["spam"] * 80 + ["ham"] * 15 + ["other"] * 5
    dataset = [example(f"mail {number}", label, number + 1) for number, label in enumerate(labels)]
    for seed in range(10):
        parts = split.split(Keys.of(dataset), validation=20, test=20, seed=seed)
        for side in (Side.VALIDATION, Side.TEST):
            found = Counter(labels[place] for place in parts.places(side))
            assert found == {"spam": 16, "ham": 3, "other": 1}


def test_answers_that_are_no_labels_are_not_stratified():
    assert (Keys.of(numbered(100, "the very same")).labels == -1).all()
    texts = [example(f"q{number}", f"answer {number}", number + 1) for number in range(100)]
    assert (Keys.of(texts).labels == -1).all()
    long = [example(f"q{number}", f"{number % 2} " * 30, number + 1) for number in range(100)]
    assert (Keys.of(long).labels == -1).all()
    pairs = [example(f"q{number}", "yes", number + 1, rejected=(Message("assistant", "no"),)) for number in range(100)]
    assert (Keys.of(pairs).labels == -1).all()
    wanted = [example(f"q{number}", f"text {number}", number + 1, label=number % 4 > 0) for number in range(100)]
    assert Counter(Keys.of(wanted).labels.tolist()) == {0: 25, 1: 75}


def test_a_picture_is_part_of_the_prompt():
    def shown(url):
        parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
        return Example((Message("user", parts), Message("assistant", "a")))

    assert split.prompt_key(shown("https://a")) != split.prompt_key(shown("https://b"))
    assert split.prompt_key(shown("https://a")) == split.prompt_key(shown("https://a"))


def test_text_without_prompts_is_told_apart_by_itself():
    dataset = [Example((Message("assistant", f"a story {number}"),), number + 1) for number in range(60)]
    assert split.split(Keys.of(dataset), test=12).count(Side.TEST) == 12


def test_parts_for_cross_checking_are_of_one_size_and_whole_groups():
    questions = [f"q{number // 2}" for number in range(40)]
    keys = Keys.of(example(one, "x", place + 1) for place, one in enumerate(questions))
    parts = split.folds(keys, 3, seed=7)
    sizes = [parts.count(number) for number in range(3)]
    assert sum(sizes) == 40
    assert max(sizes) - min(sizes) <= 2
    for number in range(20):
        assert parts.sides[2 * number] == parts.sides[2 * number + 1]
    assert min(split.folds(keys, 3, near=[range(1, 41)]).count(number) for number in range(3)) > 0


def test_pairs_that_are_nearly_the_same_are_found():
    words = [f"{chr(97 + number % 26)}{number * 7919 % 1000}word" for number in range(4000)]
    dataset = [example(" ".join(words[n * 60 : n * 60 + 60]), line=n + 1) for n in range(60)]
    dataset.append(example(dataset[10].messages[0].text.upper() + " and so on", line=61))
    assert families.pairs(dataset) == [(61, 11)]
    assert families.pairs([]) == []


def test_long_examples_are_kept_together_in_little_memory(monkeypatch):
    texts = [random.Random(number).randbytes(120_000).hex() for number in range(30)]

    def dataset():
        return (example(f"{texts[number % 30]} {number}", line=number + 1) for number in range(300))

    tracemalloc.start()
    found = families.pairs(dataset())
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [(number + 1, number % 30 + 1) for number in range(30, 300)]
    assert most < 60_000_000
    monkeypatch.setattr(families, "MOST_PIECES", 100)
    assert set(found) <= set(families.pairs(dataset()))


def test_when_no_close_look_is_left_candidates_stay_together(monkeypatch):
    words = " ".join(f"w{place * 104729 % 99991}" for place in range(80))
    dataset = [example(f"{words} {number}", line=number + 1) for number in range(12)]
    monkeypatch.setattr(families.near, "MOST_COMPARED", 3)
    assert {line for line, _ in families.pairs(dataset)} == set(range(2, 13))
