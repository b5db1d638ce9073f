"""A process that dies between any two steps leaves nothing at the vendor that is not known here, and nothing for ever.

The whole story of a model (hosted, compared, deleted, deployed again, deleted) is played again and again; each time it
is killed at another step: before or after a call to the vendor, before or after a commit.
"""

import threading
from contextlib import contextmanager

import pytest
from sqlalchemy import event
from sqlmodel import Session, select

from tests.workers.hosting.conftest import TUNER, Killed
from workers import hosting, tasks
from workers.hosting import models
from workers.jobs import kinds
from workers.run_status import RunStatus
from workers.runs import conclusion, lifecycle
from workers.tables import Endpoint, LeaseStatus, Run, Task, TaskStatus

SAMPLED = 7
"""On PostgreSQL, which is slower to play, every so manieth step."""


class Reaper:
    """Kills at the step of this number, once."""

    def __init__(self, at):
        self.at, self.steps, self.killed = at, 0, ""
        self.thread = threading.get_ident()

    def step(self, where):
        if threading.get_ident() != self.thread:
            return  # a lease's own thread, which dies with its process
        self.steps += 1
        if self.steps == self.at and not self.killed:
            self.killed = where
            raise Killed

    @contextmanager
    def watching(self, cloud):
        def before(_session):
            self.step("before commit")

        def after(_session):
            self.step("after commit")

        cloud.step = self.step
        event.listen(Session, "before_commit", before)
        event.listen(Session, "after_commit", after)
        try:
            yield
        finally:
            event.remove(Session, "before_commit", before)
            event.remove(Session, "after_commit", after)
            cloud.step = lambda _where: None


def conclude(scene):
    """As the evaluation does once both models have answered."""
    with scene.db.write() as session:
        run = session.get_one(Run, scene.run_id)
        if run.status is RunStatus.EVALUATING:
            conclusion.evaluation_of(session, run)
            conclusion.ready(session, run, "", 100)
            for task in session.exec(select(Task).where(Task.kind == "evaluate")):
                task.status = TaskStatus.DONE
                session.add(task)


def delete(scene):
    with scene.db.write() as session:
        endpoint = session.exec(select(Endpoint)).one_or_none()
        if endpoint is not None and (row := hosting.hosted_for(session, endpoint)) is not None:
            hosting.end(session, TUNER, row.id)


def wake(scene):
    with scene.db.write() as session:
        hosting.wake(session, TUNER, session.exec(select(Endpoint)).one().id)


def cancel(scene):
    with scene.db.write() as session:
        lifecycle.cancel(session, TUNER, scene.run_id)


STORY = (
    ("trained", lambda scene: scene.begin()),
    ("deploys", lambda scene: scene.work("host_model")),
    ("compares", conclude),
    ("tidies", lambda scene: scene.work("unhost_model", soon=300)),
    ("deletes", delete),
    ("ends", lambda scene: scene.work("unhost_model", soon=300)),
    ("wakes", wake),
    ("deploys again", lambda scene: scene.work("host_model")),
    ("deletes again", delete),
    ("looks", lambda scene: scene.tend()),
    ("is quiet", lambda scene: scene.work("unhost_model", soon=10**6)),
)
CANCELLED = (
    ("trained", lambda scene: scene.begin()),
    ("asks", lambda scene: (scene.once("host_model"), scene.once("host_model"))),
    ("cancels", cancel),
    ("looks", lambda scene: scene.tend()),
    ("ends", lambda scene: scene.work(soon=300)),
    ("is quiet", lambda scene: scene.work("unhost_model", soon=10**6)),
)
IMPATIENT = "asks"
"""What is not done again before the story goes on."""


def restart(scene):
    """What the dispatcher does about tasks that lost their worker."""
    for task in scene.rows(Task, status=TaskStatus.RUNNING):
        tasks.expire_lease(scene.db, task.id, task.attempt)
    with scene.db.write() as session:
        for task in tasks.reap(session, scene.context.settings.timing):
            kinds.give_up(session, task)


def known(scene):
    """Whatever exists at the vendor is known here, as something that may be billed or that is asked for once more."""
    rows = {one.name: one for one in scene.rows()}
    for name in scene.cloud.there:
        assert rows[name].status in models.BILLED


def play(scene, story, at):
    """The story, killed at this step and gone on with; returns what was killed and how many steps it had."""
    reaper = Reaper(at)
    with reaper.watching(scene.cloud):
        for name, act in story:
            for _ in range(2):
                try:
                    act(scene)
                except Killed:
                    known(scene)
                    restart(scene)
                    if name == IMPATIENT:
                        break
                    continue  # whoever clicked clicks again, and a task is carried out again
                known(scene)
                break
    for _ in range(3):  # whatever is still to be done is done in time
        scene.tend()
        scene.work(soon=10**6)
    return reaper


def over(scene):
    assert scene.cloud.there == {}
    assert {one.status for one in scene.rows()} <= {LeaseStatus.ENDED, LeaseStatus.FAILED}
    assert set(scene.cloud.named) <= {one.name for one in scene.rows()}
    assert [one for one in scene.rows(Task) if one.status is TaskStatus.DEAD] == []


@pytest.fixture
def again(scene):
    """Forget everything, for another play of the story."""

    def forget():
        with scene.db.write() as session:
            for table in ("auditentry", "announcement", "task", "hostedmodel", "evaluation", "endpoint", "runevent"):
                session.connection().exec_driver_sql(f"DELETE FROM {table}")
            run = session.get_one(Run, scene.run_id)
            run.status, run.model_name, run.actual, run.cancel_requested_by = RunStatus.DEPLOYING, "slug-1", {}, ""
            session.add(run)
        scene.cloud.there.clear()
        scene.cloud.named.clear()

    return forget


@pytest.mark.parametrize("further", [0, 1], ids=["at once", "in steps"])
@pytest.mark.parametrize("story", [STORY, CANCELLED], ids=["story", "cancelled"])
def test_killed_between_any_two_steps(scene, again, story, further):
    scene.cloud.slow, scene.cloud.slow_end, scene.cloud.further = 0, 0, further
    steps = play(scene, story, at=0).steps
    over(scene)
    assert steps > 40
    pace = 1 if scene.db.is_sqlite else SAMPLED
    killed = []
    for at in range(1, steps + 1, pace):
        again()
        reaper = play(scene, story, at)
        killed.append(reaper.killed)
        over(scene)
    assert all(killed)
    assert {"before deploy", "after deploy", "before undeploy", "after undeploy"} <= set(killed) or pace > 1
