"""A call that must come back in time."""

import threading
import time

import pytest

from workers.bounded import within


def test_what_the_call_returns_or_raises_is_passed_on():
    assert within(5.0, lambda: 42) == 42
    assert within(5.0, lambda: None) is None
    with pytest.raises(ZeroDivisionError):
        within(5.0, lambda: 1 // 0)


def test_a_call_that_hangs_is_left_alone():
    go_on = threading.Event()
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.1 s"):
        within(0.1, lambda: go_on.wait(30))
    assert time.monotonic() - began < 5.0
    assert all(one.daemon for one in threading.enumerate() if one.name == "bounded-call")
    go_on.set()
