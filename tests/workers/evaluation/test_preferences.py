import json

import pytest

from workers.dataprep.example import Example, Message
from workers.evaluation import preferences, reference
from workers.evaluation.compare import Asked, Verdict, compare


def judged(base, tuned):
    return preferences.read(json.dumps({"base": base, "tuned": tuned}).encode())


def test_shares_before_and_after_with_an_interval():
    found = judged([0.0] * 20 + [1.0] * 20, [1.0] * 36 + [0.0] * 4)
    assert (found.examples, found.base, found.tuned, found.gain) == (40, 0.5, 0.9, 0.4)
    assert found.verdict == Verdict.BETTER
    assert "prefers the wanted answers more often on 40 examples it had never seen (50% → 90%" in found.words
    assert judged([1.0] * 30, [0.0] * 30).verdict == Verdict.WORSE
    unclear = judged([0.0, 1.0], [1.0, 0.0])
    assert unclear.verdict == Verdict.UNCLEAR
    assert "few examples" in unclear.words


@pytest.mark.parametrize(
    "text",
    [b"", b"{}", b"[]", b'{"base": [1], "tuned": []}', b'{"base": [], "tuned": []}', b'{"base": [NaN], "tuned": [1]}'],
)
def test_what_no_trainer_wrote_is_nothing(text):
    assert preferences.read(text) is None


def test_the_verdict_is_that_of_the_preferences_and_the_answers_stand_beside():
    own = compare([Asked("q", "the wanted words", "something else", "the wanted words")]).to_json()
    noted = preferences.noted(own, judged([1.0] * 30, [0.0] * 30))
    assert noted["verdict"] == Verdict.WORSE
    assert noted["words"].endswith("Its own answers beside the wanted ones: 0.00 → 1.00 (-1.00 to +1.00).")
    assert noted["preferences"]["tuned"] == 0.0
    assert preferences.noted(own, None) == own
    assert preferences.noted({"problem": "p"}, judged([1.0], [1.0]))["problem"] == "p"


def test_the_reference_is_the_answer_or_the_field_that_is_one():
    question, answer = Message("user", "q"), Message("assistant", "a")
    assert reference.of(Example((question, answer))) == "a"
    assert reference.of(Example((question,), turns=0, reference={"level": 3, "Answer": ["x"]})) == '["x"]'
    assert reference.of(Example((question,), turns=0, reference={"sum": 4})) == "4"
    assert reference.of(Example((question,), turns=0, reference={"a": 1, "b": 2})) == ""
