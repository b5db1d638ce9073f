"""Upkeep goes on whatever one row is like, and looks first at what was not looked at for longest."""

import pytest
from sqlmodel import select, update

from workers.hosting import leases
from workers.run_status import RunStatus
from workers.tables import Endpoint, EndpointStatus, HostedModel, LeaseStatus, Run, Task


def beside(scene, number, **values):
    """Another run that has its model hosted, like the scene's."""
    row, run = scene.row(), scene.run
    with scene.db.write() as session:
        known = run.model_dump(exclude={"id", "request_key", "plan"})
        other = Run(**known, request_key=f"other-{number}", plan=values.pop("plan", run.plan))
        session.add(other)
        session.flush()
        endpoint = Endpoint(team_id="T1", channel_id="C1", creator_id="U1", name="other", run_id=other.id,
                            provider=run.provider, model="other")  # fmt: skip
        session.add(endpoint)
        session.flush()
        known = row.model_dump(exclude={"id", "name", "run_id", "endpoint_id"})
        made = HostedModel(**{**known, "name": f"n{number}", "run_id": other.id, "endpoint_id": endpoint.id, **values})
        session.add(made)
        session.flush()
        return made.id


def state(scene, hosted_id):
    return scene.rows(id=hosted_id)[0].status


def test_one_row_that_breaks_everything_does_not_keep_the_others_hosted(scene):
    row = scene.hosted()
    broken = beside(scene, 1, plan={"part": {"number": "none"}}, ends_at=row.ends_at - 60)
    unwanted = beside(scene, 2, plan={"part": {"number": "none"}})
    with scene.db.write() as session:
        run = session.get_one(Run, scene.rows(id=unwanted)[0].run_id)
        run.status = RunStatus.CANCELLING
        session.add(run)
    later = beside(scene, 3, ends_at=row.ends_at + 60)
    scene.pass_hours(4.1)
    scene.tend()
    assert [state(scene, one) for one in (row.id, later)] == [LeaseStatus.ENDING] * 2
    assert [one.status for one in scene.rows(Endpoint)] == [
        EndpointStatus.ASLEEP, EndpointStatus.ACTIVE, EndpointStatus.ACTIVE, EndpointStatus.ASLEEP,
    ]  # fmt: skip
    assert state(scene, broken) is LeaseStatus.READY  # nothing of it is half done
    assert scene.rows(Task, kind="unhost_model", subject_id=broken) == []
    with scene.db.write() as session:
        session.execute(update(Run).where(Run.id == scene.rows(id=broken)[0].run_id).values(plan={}))
    scene.tend()
    assert state(scene, broken) is LeaseStatus.ENDING


def test_what_was_not_looked_at_for_longest_is_looked_at_first(scene, monkeypatch):
    monkeypatch.setattr(leases, "BATCH", 2)
    row = scene.hosted()
    rows = [row.id, *(beside(scene, number) for number in range(1, 5))]
    with scene.db.write() as session:  # all of them live for long
        for one in session.exec(select(HostedModel).where(HostedModel.status == LeaseStatus.READY)):
            one.ready_at, one.ends_at = one.ready_at - 7200.0 + (one.id or 0), one.ends_at + 1e6
            session.add(one)
    seen = []
    for _ in range(3):
        scene.tend()
        seen.append([one.subject_id for one in scene.rows(Task, kind="check_hosted_model")])
    assert seen == [rows[:2], rows[:4], rows]
    scene.tend()
    assert len(scene.rows(Task, kind="check_hosted_model")) == 5  # an hour has to pass


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_database_that_is_away_is_not_taken_for_a_broken_row(scene, monkeypatch):
    from sqlalchemy.exc import OperationalError

    def away(*_args, **_kwargs):
        raise OperationalError("select", {}, Exception("gone"))

    scene.hosted()
    scene.pass_hours(4.1)
    monkeypatch.setattr(leases.models, "end", away)
    with pytest.raises(OperationalError):
        scene.tend()
