import random
import statistics

import numpy as np
import pytest

from workers.dataprep.spread import Histogram, Spread


def test_a_histogram_of_parts_gives_the_figures_of_the_whole():
    draw = random.Random(3)
    numbers = [draw.randint(0, 5000) for _ in range(4001)]
    parts = []
    for start in range(0, len(numbers), 1000):
        part = Histogram()
        part.add(numbers[start : start + 1000])
        parts.append(part)
    whole = parts[0]
    for part in parts[1:]:
        whole.merge(part)
    spread = whole.spread()
    assert (spread.total, spread.min, spread.max) == (sum(numbers), min(numbers), max(numbers))
    assert spread.mean == round(statistics.fmean(numbers), 1)
    assert spread.median == statistics.median(numbers)
    assert spread.p5 == pytest.approx(np.percentile(numbers, 5), abs=0.06)
    assert spread.p95 == pytest.approx(np.percentile(numbers, 95), abs=0.06)
    assert whole.capped(1000) == sum(min(1000, one) for one in numbers)


def test_nothing_counted_is_all_zero():
    assert Histogram().spread() == Spread()
    assert Histogram().bars() == {"edges": [], "counts": []}


def test_a_giant_number_needs_no_giant_table():
    histogram = Histogram()
    histogram.add([5, 7_000_000_123])
    assert histogram.spread().max == 7_000_000_123
    assert histogram.capped(10) == 15
    assert histogram.seen.size < 2_000_000


def test_bars_hold_every_example_once():
    histogram = Histogram()
    histogram.add([10, 11, 12, 300, 10_000])
    bars = histogram.bars()
    assert sum(bars["counts"]) == 5
    assert len(bars["edges"]) == len(bars["counts"]) + 1
    assert bars["edges"] == sorted(bars["edges"])
    assert bars["edges"][0] == 10
    assert bars["edges"][-1] == 10_001
