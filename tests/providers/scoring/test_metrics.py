"""One answer against its reference, by the shape that the references have."""

import pytest

from providers.scoring import metrics, shape
from providers.scoring.shape import Shape

NOTHING = {"exact": 0.0, "precision": 0.0, "recall": 0.0, "f1": 0.0}


@pytest.mark.parametrize(
    ("references", "expected"),
    [
        (['["a", "b"]', "[]"], Shape.STRINGS),
        (['["a"]', "[1]"], Shape.RECORD),
        (['{"a": 1}', '["a"]'], Shape.RECORD),
        (["1", " -2.5e3", "30%", ".5"], Shape.NUMBER),
        (["1", "1.2.3"] * 3, Shape.LABEL),
        (["Positive", "negative", "positive"] * 3, Shape.LABEL),
        (["yes", "no"], Shape.LABEL),
        ([f"word{number}" for number in range(30)], Shape.TEXT),
        (["a long answer of more than five words"] * 9, Shape.TEXT),
        (['["a"]', "cut off ["] * 20, Shape.LABEL),
        (["null", "[]"], Shape.LABEL),
        ([], Shape.TEXT),
    ],
)
def test_the_shape_is_that_of_every_reference(references, expected):
    assert shape.of(references) is expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('["salt", "eggs"]', {"valid_json": 1, "exact": 1, "precision": 1, "recall": 1, "f1": 1}),
        ('["eggs", "salt", "salt"]', {"valid_json": 1, "exact": 0, "precision": 1, "recall": 1, "f1": 1}),
        ('["salt", "milk", "flour"]', {"valid_json": 1, "exact": 0, "precision": 1 / 3, "recall": 1 / 2, "f1": 0.4}),
        ('["Salt", "eggs "]', {"valid_json": 1, **NOTHING}),
        ("[]", {"valid_json": 1, **NOTHING}),
        ('{"salt": 1}', {"valid_json": 1, **NOTHING}),
        ('["salt", 2]', {"valid_json": 1, **NOTHING}),
        ('["salt", "egg', {"valid_json": 0, **NOTHING}),
        ('Sure! ["salt", "eggs"]', {"valid_json": 0, **NOTHING}),
        ("", {"valid_json": 0, **NOTHING}),
        ("[" * 50_000, {"valid_json": 0, **NOTHING}),
    ],
)
def test_lists_of_strings_are_compared_as_sets(answer, expected):
    assert metrics.score(Shape.STRINGS, answer, '["salt", "eggs"]') == pytest.approx(expected)


def test_two_empty_lists_agree():
    assert metrics.score(Shape.STRINGS, "[]", "[]")["f1"] == 1
    assert metrics.score(Shape.STRINGS, '["a"]', "[]")["f1"] == 0


@pytest.mark.parametrize(
    ("answer", "exact", "f1"),
    [
        ('{"b": [1, 2], "a": {"c": "x"}}', 1, 1),
        ('{"a": {"c": "x"}, "b": [2, 1]}', 0, 1),
        ('{"a": {"c": "y"}, "b": [1, 2]}', 0, 2 / 3),
        ('{"a": {"c": "x"}}', 0, 0.5),
        ('{"a": {"c": "x"}, "b": ["1", "2"]}', 0, 1 / 3),
        ("5", 0, 0),
        ("[" * 900 + "]" * 900, 0, 0),
        ("nonsense", 0, 0),
    ],
)
def test_records_are_compared_field_by_field(answer, exact, f1):
    scores = metrics.score(Shape.RECORD, answer, '{"a": {"c": "x"}, "b": [1, 2]}')
    assert (scores["exact"], scores["f1"]) == (exact, pytest.approx(f1))


@pytest.mark.parametrize(
    ("kind", "answer", "reference", "exact"),
    [
        (Shape.NUMBER, " 1,000.0 ", "1000", 1),
        (Shape.NUMBER, "30 %", "30%", 1),
        (Shape.NUMBER, "31", "30", 0),
        (Shape.NUMBER, "about 30", "30", 0),
        (Shape.NUMBER, "nan", "30", 0),
        (Shape.LABEL, " Positive.", "positive", 1),
        (Shape.LABEL, "positive, I think", "positive", 0),
        (Shape.TEXT, "The  cat sat", "the cat sat", 1),
        (Shape.TEXT, "sat the cat", "the cat sat", 0),
    ],
)
def test_exact_forgives_only_how_it_is_written(kind, answer, reference, exact):
    assert metrics.score(kind, answer, reference)["exact"] == exact


def test_texts_are_compared_by_their_words():
    scores = metrics.score(Shape.TEXT, "the cat, the cat!", "The cat sat.")
    assert (scores["precision"], scores["recall"]) == (0.5, pytest.approx(2 / 3))


@pytest.mark.parametrize("kind", Shape)
def test_every_shape_has_its_main_metric_and_a_name_for_each(kind):
    scores = metrics.score(kind, "x", "[]")
    assert metrics.MAIN[kind] in scores
    assert set(scores) <= set(metrics.LABELS)
