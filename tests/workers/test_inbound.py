"""A redelivered event has no second effect."""

import threading

import pytest
from sqlmodel import select

from workers import tasks
from workers.inbound import first_time
from workers.tables import InboundEvent, Task


def test_an_event_counts_once_and_each_workspace_for_itself(db):
    with db.write() as session:
        assert first_time(session, "T1", "Ev1")
        assert not first_time(session, "T1", "Ev1")
        assert first_time(session, "T2", "Ev1")
    with db.write() as session:
        assert not first_time(session, "T1", "Ev1")


def test_an_event_whose_handling_failed_may_come_again(db):
    with pytest.raises(ZeroDivisionError), db.write() as session:
        first_time(session, "T1", "Ev1")
        _ = 1 / 0
    with db.write() as session:
        assert first_time(session, "T1", "Ev1")


def test_four_deliveries_by_eight_threads_have_one_effect(db):
    start, firsts = threading.Barrier(8), []

    def deliver(number):
        start.wait()
        for _ in range(4):
            with db.write() as session:
                firsts.append(first_time(session, "T1", "Ev1"))
                if firsts[-1]:
                    tasks.add(session, "test", number, queue="cpu", team_id="T1")

    threads = [threading.Thread(target=deliver, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(firsts), sum(firsts)) == (32, 1)
    with db.read() as session:
        assert len(session.exec(select(Task)).all()) == 1
        assert len(session.exec(select(InboundEvent)).all()) == 1
