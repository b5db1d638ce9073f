"""What of a test was also learnt from."""

import tracemalloc

import pytest

from workers.dataprep import convert, leakage
from workers.dataprep.example import Example, Message


def text(seed, length=60):
    return " ".join(f"w{(seed * 7919 + place * 104729) % 99991}" for place in range(length))


def example(question, answer="yes", system="Be brief."):
    return Example((Message("system", system), Message("user", question), Message("assistant", answer)))


TRAIN = [example(text(number), text(number + 1000, 20)) for number in range(1200)]


def test_each_kind_is_counted_once():
    fresh = [example(text(number + 5000)) for number in range(5)]
    same = example(TRAIN[700].messages[1].text.upper() + "  ", TRAIN[700].answer, system="Another one.")
    asked = example(TRAIN[3].messages[1].text, "something else")
    alike = example(TRAIN[1100].messages[1].text + " indeed", TRAIN[1100].answer)
    found = leakage.between(iter(TRAIN), [*fresh, same, asked, alike])
    assert (found.tested, found.same, found.asked, found.alike, found.count) == (8, 1, 1, 1, 3)
    assert found.leaked.tolist() == [False] * 5 + [True] * 3
    assert found.words == (
        "3 of its 8 examples are also in the training data (1 the same, 1 the same prompt with another answer, "
        "1 nearly the same)"
    )


def test_a_common_instruction_is_no_leak():
    order = text(1, 200)
    train = [example(f"{order} case {number}", "a") for number in range(300)]
    test = [example(f"{order} case {number}", "b") for number in range(300, 400)]
    assert leakage.between(train, test).count == 0


@pytest.mark.parametrize(("train", "test"), [([], TRAIN[:3]), (TRAIN[:3], []), ([], [])])
def test_nothing_to_compare(train, test):
    found = leakage.between(train, test)
    assert (found.count, found.words, len(found.leaked)) == (0, "", len(test))


def test_the_cookbooks_two_files_share_nothing(examples):
    files = [examples / f"cookbook_recipe_{name}.jsonl" for name in ("training", "validation")]
    found = leakage.between(*(convert.read_examples(one) for one in files))
    assert (found.tested, found.count) == (100, 0)


def test_a_file_sorted_by_task_is_compared_in_little_memory_and_a_tasks_instruction_is_no_leak():
    order = text(1, 150)
    train = [example(f"{order} {text(number)[:60]}", "a") for number in range(300)]
    first = [example(text(number + 5000), "a") for number in range(500)]
    rest = [example(f"{order} {text(number)[:60]}", "b") for number in range(10_000, 12_000)]
    tracemalloc.start()
    found = leakage.between(train, [*first, *rest])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.tested, found.count) == (2500, 0)
    assert most < 60_000_000


def test_matches_are_looked_at_a_part_at_a_time(monkeypatch):
    test = [example(TRAIN[number].messages[1].text + " indeed", TRAIN[number].answer) for number in range(0, 900, 9)]
    whole = leakage.between(TRAIN, test)
    monkeypatch.setattr(leakage, "MOST_MATCHES", 50)
    assert leakage.between(TRAIN, test).leaked.tolist() == whole.leaked.tolist()
    assert whole.alike == 100


def test_of_a_very_long_example_little_is_kept_and_its_copy_is_found():
    long = [example(text(number, 20_000)) for number in range(3)]
    changed = [example(one.messages[1].text + " indeed") for one in long]
    shorter = example(long[0].messages[1].text[: len(long[0].messages[1].text) // 2])
    found = leakage.between([*changed, TRAIN[0]], [*long, shorter])
    assert found.leaked.tolist() == [True] * 3 + [False]
