"""Two hundred runs at a vendor, watched by one dispatcher and one cloud worker, as `make bench` does with thousands."""

import pytest

from benchmarks import remote


@pytest.mark.full
def test_two_hundred_runs_are_watched_by_one_worker():
    figures = remote.measure(runs=200, teams=5, seconds=40.0, blocked_seconds=8.0)
    assert figures["never_polled"] == 0
    assert figures["polls"] >= 2 * 200
    assert figures["longest_gap_seconds"] < 3 * figures["interval_seconds"]
    assert figures["ends"] > 0
    assert figures["latest_end_seconds"] < 2 * figures["interval_seconds"]
    assert figures["of_slacks_limit"] <= 1.0
    assert figures["task_rows_of_watching"] <= 4
    assert figures["memory_ratio"] < 0.1
