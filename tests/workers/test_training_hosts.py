from sqlalchemy import update

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
