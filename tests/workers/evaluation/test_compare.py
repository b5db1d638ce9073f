"""The verdict: what may be claimed, and what may not."""

import json
import random

import pytest

from workers.evaluation.compare import Asked, Verdict, compare, interval

RIGHT, WRONG = '["salt", "eggs"]', '["milk"]'


def asked(base, tuned):
    return [
        Asked(f"Recipe {number}", RIGHT, RIGHT if before else WRONG, RIGHT if after else WRONG)
        for number, (before, after) in enumerate(zip(base, tuned, strict=True))
    ]


def test_better_on_nearly_all():
    summary = compare(asked([0] * 40, [1] * 36 + [0] * 4))
    assert (summary.verdict, summary.shape, summary.main, summary.examples) == (Verdict.BETTER, "strings", "f1", 40)
    assert (summary.base["f1"], summary.tuned["f1"], summary.gain) == (0.0, 0.9, 0.9)
    assert 0.75 < summary.low < 0.9 < summary.high <= 1.0
    assert summary.words.startswith("Worth it")
    assert "set F1 0.00 → 0.90" in summary.words
    assert "few" not in summary.words


def test_worse():
    summary = compare(asked([1] * 30, [0] * 20 + [1] * 10))
    assert summary.verdict is Verdict.WORSE
    assert summary.high < 0
    assert summary.words.startswith("Not worth it")


def test_a_difference_that_could_be_chance_is_not_claimed():
    summary = compare(asked([1, 0] * 15, [0, 1] * 14 + [1, 1]))
    assert summary.verdict is Verdict.UNCLEAR
    assert summary.low <= 0 <= summary.high
    assert "includes 0" in summary.words


def test_no_difference_at_all():
    summary = compare(asked([1] * 25, [1] * 25))
    assert (summary.verdict, summary.low, summary.high) == (Verdict.UNCLEAR, 0, 0)


def test_few_examples_are_called_few():
    assert "few examples" in compare(asked([0] * 8, [1] * 8)).words
    single = compare(asked([0], [1]))
    assert (single.verdict, single.low, single.high) == (Verdict.UNCLEAR, -1, 1)


def test_the_interval_is_the_same_every_time_and_holds_the_mean_about_95_times_of_100():
    draw = random.Random(7)
    held = 0
    for _ in range(60):
        gains = [draw.gauss(0.3, 0.5) for _ in range(40)]
        low, high = interval(gains)
        assert (low, high) == interval(gains)
        held += low <= 0.3 <= high
    assert 52 <= held <= 60


def test_best_median_and_worst_are_shown_whoever_was_right():
    summary = compare(asked([1, 1, 1, 0, 0], [1, 1, 0, 0, 0]))
    assert [one["tuned_score"] for one in summary.answers] == [1, 0, 0]
    assert [one["question"] for one in summary.answers] == ["Recipe 0", "Recipe 2", "Recipe 4"]
    assert len(compare(asked([0], [1])).answers) == 1


def test_long_answers_are_cut_for_showing_only():
    one = Asked("q", "x " * 2000, "x " * 2000, "y")
    summary = compare([one])
    assert summary.base["exact"] == 1
    assert len(summary.answers[0]["base"]) < 510


@pytest.mark.parametrize("answer", ["", "\x00", "[" * 20_000, "NaN", '{"a": ' * 3000])
def test_whatever_a_model_says_there_is_a_verdict_in_plain_json(answer):
    for reference in (RIGHT, '{"a": 1}', "5", "text of some length, of many words"):
        summary = compare([Asked("q", reference, answer, reference)] * 20)
        assert summary.verdict is Verdict.BETTER
        json.loads(json.dumps(summary.to_json(), allow_nan=False))
