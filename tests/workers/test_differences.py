"""What differs between two datasets."""

from workers.dataprep.example import Example, Message
from workers.differences import between


def example(question, answer, line=0, **more):
    return Example((Message("user", question), Message("assistant", answer)), line, **more)


def differ(before, after):
    return between(lambda: iter(before), lambda: iter(after))


def test_the_same_is_the_same_in_any_order():
    one, two = example("a", "1", 1), example("b", "2", 2)
    assert differ([one, two], [two, one]) == {"same": 2, "removed": 0, "added": 0, "changed": 0, "differences": []}


def test_added_removed_and_changed():
    before = [example("a", "1", 1), example("b", "2", 2), example("c", "3", 3)]
    after = [example("a", "1", 1), example("b", "other", 2), example("d", "4", 3)]
    found = differ(before, after)
    assert (found["same"], found["changed"], found["removed"], found["added"]) == (1, 1, 1, 1)
    assert found["differences"] == [
        {"line": 2, "before": "user: b\nassistant: 2", "after": "user: b\nassistant: other"},
        {"line": 3, "before": "user: c\nassistant: 3", "after": ""},
        {"line": 3, "before": "", "after": "user: d\nassistant: 4"},
    ]


def test_repetitions_are_counted_one_by_one():
    one = example("a", "1")
    found = differ([one, one, one], [one])
    assert (found["same"], found["removed"], found["added"], found["changed"]) == (1, 2, 0, 0)


def test_everything_of_an_example_counts():
    plain = example("a", "1")
    for other in (
        example("a", "1", label=True),
        example("a", "1", rejected=(Message("assistant", "2"),)),
        example("a", "1", tools=({"type": "function"},)),
        Example((Message("user", "a"), Message("assistant", "1", {"weight": 0}))),
    ):
        assert differ([plain], [other])["changed"] == 1


def test_what_is_shown_is_little():
    before = [example(f"q{number}", "x" * 5000, number) for number in range(3000)]
    found = differ(before, [])
    assert found["removed"] == 3000
    assert len(found["differences"]) == 15
    assert len(found["differences"][0]["before"]) == 1200


def test_what_differs_is_shown_without_secrets():
    key = "ghp_" + "9aB8cD7eF6gH5iJ4kL3mN2oP1qR0sT9uV8wX"
    (shown,) = differ([example("a", f"It is {key}, anna@firma.de", 1)], [])["differences"]
    assert shown["before"] == "user: a\nassistant: It is [hidden: GitHub token], [hidden: e-mail address]"
