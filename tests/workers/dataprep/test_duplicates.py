import random

import numpy as np
import pytest

from workers.dataprep import duplicates, near
from workers.dataprep.duplicates import Spill
from workers.dataprep.example import Example, Message


@pytest.fixture(params=["memory", "disk"])
def held(request, monkeypatch):
    """Few numbers stay in memory, many go to the disk; what is found must not depend on it."""
    if request.param == "disk":
        monkeypatch.setattr(duplicates, "MOST_IN_MEMORY", 100)


def spilled(rows: list[tuple[int, ...]], keys: int) -> Spill:
    spill = Spill(len(rows[0]), keys)
    for start in range(0, len(rows), 3):
        spill.add(np.array(rows[start : start + 3], np.uint64))
    return spill


@pytest.mark.usefixtures("held")
def test_repeats_and_contradictions_name_the_first_line_they_agree_with():
    draw = random.Random(1)
    hashes = [draw.getrandbits(64) for _ in range(40)]
    rows, first, prompts = [], {}, {}
    same, other = [], []
    for line in range(400):
        prompt = draw.choice(hashes[:20])
        whole = prompt ^ draw.choice(hashes[20:24])
        rows.append((prompt, whole, line))
        if whole in first:
            same.append((line, first[whole]))
        elif prompt in prompts:
            other.append((line, prompts[prompt]))
        first.setdefault(whole, line)
        prompts.setdefault(prompt, line)
    with spilled(rows, 2) as spill:
        found = duplicates.repeats(spill)
    assert [tuple(pair) for pair in found.repeats.tolist()] == same
    assert [tuple(pair) for pair in found.contradicting.tolist()] == other


def test_nothing_added_has_no_repeats():
    with Spill(3, 2) as spill:
        assert len(duplicates.repeats(spill).repeats) == 0


def test_a_spill_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(duplicates, "MOST_IN_MEMORY", 10)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with spilled([(1, 2, 3)] * 9, 1) as spill:
        assert list(tmp_path.rglob("*"))
        assert sum(len(part) for part in spill.groups()) == 9
    assert not list(tmp_path.rglob("*"))


def text(draw: random.Random, words: int) -> str:
    return " ".join("".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(3, 9))) for _ in range(words))


def example(question: str, answer: str, line: int = 0) -> Example:
    return Example((Message("system", "Be kind."), Message("user", question), Message("assistant", answer)), line)


def near_pairs(examples: list[Example]) -> list[tuple[int, int]]:
    common = near.boilerplate(examples)
    with Spill(near.WIDTH) as spill:
        numbers, bands = near.signatures(*near.told(examples), common)
        spill.add(near.records(bands, numbers, numbers))
        alike = near.Likeness(lambda offset: examples[offset], common)
        found, complete = near.pairs(spill, alike)
        assert complete
        return [tuple(pair) for pair in found.tolist()]


@pytest.mark.usefixtures("held")
def test_examples_with_a_few_changed_words_are_found_and_others_are_not():
    draw = random.Random(5)
    examples = [example(text(draw, 120), text(draw, 40)) for _ in range(200)]
    wanted = []
    for number in range(0, 200, 4):
        question = examples[number].messages[1].text.split()
        question[draw.randrange(len(question))] = "changed"
        wanted.append((len(examples), number))
        examples.append(example(" ".join(question).upper().replace(" ", "  "), examples[number].messages[2].text))
    found = near_pairs(examples)
    assert set(found) <= set(wanted)
    assert len(found) >= 0.97 * len(wanted)


def test_an_instruction_that_stands_in_every_example_makes_them_not_alike():
    draw = random.Random(6)
    instruction = text(draw, 200)
    examples = [example(f"{instruction} {text(draw, 30)}", text(draw, 5)) for _ in range(100)]
    assert near_pairs(examples) == []


def test_short_examples_are_nearly_nothing():
    assert near_pairs([example("What is 2 + 2?", "4"), example("What is 2 + 3?", "5")] * 20) == []


def test_very_long_examples_are_compared_in_little_memory():
    import tracemalloc

    draw = random.Random(8)
    whole = text(draw, 60_000)
    examples = [example(f"{number} {whole}", "Yes.") for number in range(15)]
    tracemalloc.start()
    found = near_pairs(examples)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 14
    assert most < 150_000_000


def test_looking_ends_and_says_so(monkeypatch):
    monkeypatch.setattr(near, "MOST_COMPARED", 5)
    draw = random.Random(9)
    whole = text(draw, 300)
    examples = [example(whole, f"{number} {text(draw, 3)}") for number in range(30)]
    with Spill(near.WIDTH) as spill:
        common = near.boilerplate([])
        numbers, bands = near.signatures(*near.told(examples), common)
        spill.add(near.records(bands, numbers, numbers))
        found, complete = near.pairs(spill, near.Likeness(examples.__getitem__, common))
    assert not complete
    assert 0 < len(found) <= 5


def test_a_piece_counts_once_for_each_who_has_it():
    draw = random.Random(10)
    owners = np.sort(np.array([draw.randrange(20) for _ in range(900)]))
    hashes = np.array([draw.choice([0, 5, 2**60 + 1, 2**60 + 2, 2**64 - 1]) for _ in owners], np.uint64)
    found = list(zip(*(one.tolist() for one in near.distinct(hashes, owners)), strict=True))
    assert found == sorted(set(zip(hashes.tolist(), owners.tolist(), strict=True)))
    assert len(near.distinct(hashes[:0], owners[:0])[0]) == 0
