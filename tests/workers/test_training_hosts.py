import threading

from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from providers.local.hardware import Gpu, Hardware
from workers import training_hosts
from workers.db import epoch_now
from workers.tables import TrainingHost

SMALL = Hardware(memory=8 * 10**9, cores=2, bits=32)
LARGE = Hardware(memory=64 * 10**9, cores=16, bits=16, gpus=(Gpu("A10", 24 * 10**9, 8.6),))


def test_the_machine_with_most_room_is_what_a_plan_is_measured_by(db, monkeypatch):
    with db.read() as session:
        assert training_hosts.best(session) is None
    training_hosts.report(db, SMALL)
    training_hosts.report(db, SMALL)
    monkeypatch.setattr(training_hosts.socket, "gethostname", lambda: "gpu-1")
    training_hosts.report(db, LARGE)
    with db.read() as session:
        assert training_hosts.best(session) == LARGE


def test_a_machine_that_was_not_seen_for_long_counts_no_more(db):
    training_hosts.report(db, SMALL)
    with db.write() as session:
        session.exec(update(TrainingHost).values(seen_at=epoch_now() - training_hosts.FORGOTTEN_AFTER - 60))
    with db.read() as session:
        assert training_hosts.best(session) is None


def test_a_machine_says_it_again_and_a_database_that_is_away_ends_nothing(db, monkeypatch, eventually):
    monkeypatch.setattr(training_hosts, "EVERY_SECONDS", 0.05)
    stop, seen = threading.Event(), []
    real = training_hosts.report

    def report(where, hardware):
        seen.append(hardware)
        if len(seen) == 1:
            raise OperationalError("SELECT", {}, Exception("away"))
        real(where, hardware)

    monkeypatch.setattr(training_hosts, "report", report)
    thread = training_hosts.keep_reporting(db, lambda: SMALL, stop)
    eventually(lambda: len(seen) >= 3)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    with db.read() as session:
        assert training_hosts.best(session) == SMALL
