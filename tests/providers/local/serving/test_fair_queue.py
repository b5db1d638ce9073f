import time

import pytest

from providers.local.serving import fair_queue
from providers.local.serving.catalogue import Entry
from providers.local.serving.fair_queue import Busy, FairQueue
from providers.local.serving.generation import Generation, Question


def question(user, base="m"):
    return Generation(Question(Entry(base, base), [], 8, user=user), print)


def fill(queue, *users):
    asked = [question(user) for user in users]
    for one in asked:
        queue.add(one)
    return asked


def taken(queue, room=32, running=None, most_each=24, may=lambda _one: True):
    return [one.question.user for one in queue.take(room, running or {}, most_each, may)]


def test_fifty_questions_of_one_keep_no_other_waiting():
    queue = FairQueue()
    fill(queue, *["many"] * 50, "few", "one", "few")
    assert taken(queue, room=4) == ["many", "few", "one", "many"]
    assert taken(queue, room=2, running={"many": 2, "few": 1, "one": 1}) == ["few", "many"]
    assert taken(queue, room=2) == ["many", "many"]


def test_who_has_many_answers_under_way_comes_after_who_has_none():
    queue = FairQueue()
    fill(queue, "busy", "busy", "new")
    assert taken(queue, room=2, running={"busy": 5}) == ["new", "busy"]


def test_nobody_takes_all_places():
    queue = FairQueue()
    fill(queue, *["many"] * 50)
    assert taken(queue, most_each=24) == ["many"] * 24
    assert taken(queue, running={"many": 24}, most_each=24) == []
    assert len(queue) == 26


def test_within_a_line_the_first_comes_first():
    queue = FairQueue()
    asked = fill(queue, "a", "a", "a")
    assert queue.take(2, {}, 24, lambda _one: True) == asked[:2]


def test_what_may_not_begin_yet_holds_nobody_up():
    queue = FairQueue()
    other = question("a", "other")
    queue.add(other)
    fill(queue, "a", "b")
    assert taken(queue, may=lambda one: one.question.entry.name == "m") == ["a", "b"]
    assert len(queue) == 1
    assert queue.oldest(lambda _one: True, 60) is None
    assert queue.oldest(lambda _one: True, 0) is other
    assert queue.oldest(lambda _one: False, 0) is None


def test_who_does_not_wait_any_more_takes_no_place(monkeypatch):
    monkeypatch.setattr(fair_queue, "MOST_WAITING_EACH", 2)
    queue = FairQueue()
    gone, _ = fill(queue, "a", "a")
    with pytest.raises(Busy):
        fill(queue, "a")
    fill(queue, "b")
    gone.cancelled.set()
    fill(queue, "a")
    assert sorted(taken(queue)) == ["a", "a", "b"]


def test_taking_turns_is_quick_with_a_full_queue():
    queue = FairQueue()
    fill(queue, *(f"user-{number % 100}" for number in range(1000)))
    begin = time.perf_counter()
    assert len(taken(queue)) == 32
    assert time.perf_counter() - begin < 0.5
