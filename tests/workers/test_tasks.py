"""The lease protocol: one claim, fenced effects, crashes counted, nothing lost."""

import threading
import time

import pytest
from sqlmodel import select

from workers import tasks
from workers.errors import LeaseLost
from workers.tables import InboundEvent, Task, TaskStatus
from workers.tasks import Timing

TIMING = Timing(lease_seconds=30, redispatch_seconds=15, max_crashes=3)


def add(db, subject_id=1, **options):
    with db.write() as session:
        return tasks.add(session, "test", subject_id, queue="cpu", team_id="T1", **options).id


def row(db, task_id):
    with db.read() as session:
        return session.get_one(Task, task_id)


def effects(db):
    with db.read() as session:
        return [one.key for one in session.exec(select(InboundEvent)).all()]


def dispatch(db, timing=TIMING, **options):
    with db.write() as session:
        return tasks.take_due(session, timing, **options)


def reap(db):
    with db.write() as session:
        return [task.id for task in tasks.reap(session, TIMING)]


def lose(db, lease):
    """Let another worker take the task away, as after a long sleep."""
    tasks.expire_lease(db, lease.task_id, lease.task.attempt)
    reap(db)


def test_asking_twice_is_asking_once(db):
    assert add(db) == add(db)
    assert add(db, key="again") != add(db)


def test_only_one_of_many_claims_succeeds(db):
    task_id = add(db)
    start = threading.Barrier(8)
    leases = []

    def claim():
        start.wait()
        leases.append(tasks.claim(db, task_id, 1, TIMING))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(leases) == 8
    assert sum(lease is not None for lease in leases) == 1


def test_an_old_attempt_finds_nothing_to_claim(db):
    task_id = add(db)
    tasks.claim(db, task_id, 1, TIMING).retry_later("not yet", 0)
    assert tasks.claim(db, task_id, 1, TIMING) is None
    assert tasks.claim(db, task_id, 2, TIMING) is not None


def test_effects_and_done_commit_together(db):
    lease = tasks.claim(db, add(db), 1, TIMING)
    with lease.finish() as session:
        session.add(InboundEvent(key="effect", team_id="T1"))
    task = row(db, lease.task_id)
    assert (task.status, task.lease_owner) == (TaskStatus.DONE, "")
    assert task.finished_at == pytest.approx(time.time(), abs=60)
    assert effects(db) == ["effect"]
    assert lease.closed


def test_a_fault_while_finishing_leaves_no_effect(db):
    lease = tasks.claim(db, add(db), 1, TIMING)
    with pytest.raises(ZeroDivisionError), lease.finish() as session:
        session.add(InboundEvent(key="effect", team_id="T1"))
        session.flush()
        _ = 1 / 0
    assert row(db, lease.task_id).status is TaskStatus.RUNNING
    assert effects(db) == []
    assert not lease.closed


def test_whoever_lost_the_lease_changes_nothing(db):
    lease = tasks.claim(db, add(db), 1, TIMING)
    lose(db, lease)
    with pytest.raises(LeaseLost), lease.finish() as session:
        session.add(InboundEvent(key="stale", team_id="T1"))
    with pytest.raises(LeaseLost), lease.write() as session:
        session.add(InboundEvent(key="stale", team_id="T1"))
    with pytest.raises(LeaseLost):
        lease.retry_later("late", 0)
    with pytest.raises(LeaseLost):
        lease.crash("late", "e1")
    with pytest.raises(LeaseLost):
        lease.check()
    task = row(db, lease.task_id)
    assert (task.status, task.attempt, task.crashes) == (TaskStatus.QUEUED, 2, 1)
    assert effects(db) == []


def test_the_successor_is_undisturbed_by_its_predecessor(db):
    old = tasks.claim(db, add(db), 1, TIMING)
    lose(db, old)
    new = tasks.claim(db, old.task_id, 2, TIMING)
    with pytest.raises(LeaseLost):
        old.renew()
    with new.finish() as session:
        session.add(InboundEvent(key="effect", team_id="T1"))
    assert effects(db) == ["effect"]


def test_a_kept_lease_outlives_its_first_term(db):
    lease = tasks.claim(db, add(db), 1, Timing(lease_seconds=1.5))  # longer than a busy machine holds its breath
    with lease.kept():
        time.sleep(3.5)
        assert reap(db) == []
        with lease.finish():
            pass
    assert row(db, lease.task_id).crashes == 0


def test_the_loss_is_noticed_while_working(db):
    lease = tasks.claim(db, add(db), 1, Timing(lease_seconds=0.4))
    with lease.kept():
        lose(db, lease)
        assert lease.lost.wait(5)


def test_retrying_later_is_no_crash(db):
    lease = tasks.claim(db, add(db), 1, TIMING)
    lease.retry_later("the vendor is busy", 0.3)
    task = row(db, lease.task_id)
    assert (task.status, task.attempt, task.crashes) == (TaskStatus.QUEUED, 2, 0)
    assert task.last_error == "the vendor is busy"
    assert dispatch(db) == []
    time.sleep(0.35)
    assert [one.attempt for one in dispatch(db)] == [2]


def test_crashing_three_times_is_dying_and_somebody_is_told(db):
    task_id = add(db)
    told = []
    for attempt in (1, 2, 3):
        lease = tasks.claim(db, task_id, attempt, TIMING)
        died = lease.crash("ValueError", f"e{attempt}", lambda _session, task: told.append(task.error_id))
        assert died == (attempt == 3)
    task = row(db, task_id)
    assert (task.status, task.crashes, task.error_id) == (TaskStatus.DEAD, 3, "e3")
    assert told == ["e3"]
    assert tasks.claim(db, task_id, 4, TIMING) is None


def test_a_crashed_task_waits_a_moment(db):
    lease = tasks.claim(db, add(db), 1, TIMING)
    lease.crash("ValueError", "e1")
    assert dispatch(db) == []
    assert row(db, lease.task_id).due_at > time.time()


def test_if_telling_fails_the_task_is_not_given_up(db):
    lease = tasks.claim(db, add(db), 1, Timing(max_crashes=1))

    def tell(_session, _task):
        raise RuntimeError("cannot tell")

    with pytest.raises(RuntimeError, match="cannot tell"):
        lease.crash("ValueError", "e1", tell)
    assert row(db, lease.task_id).status is TaskStatus.RUNNING


def test_reaping_leaves_the_living_alone(db):
    lease = tasks.claim(db, add(db), 1, TIMING)
    assert reap(db) == []
    assert row(db, lease.task_id).status is TaskStatus.RUNNING


def test_three_lost_workers_are_a_dead_task(db):
    task_id = add(db)
    for attempt in (1, 2, 3):
        assert tasks.claim(db, task_id, attempt, TIMING)
        tasks.expire_lease(db, task_id, attempt)
        assert reap(db) == ([task_id] if attempt == 3 else [])
    assert row(db, task_id).status is TaskStatus.DEAD


def test_giving_back_touches_only_the_attempt_that_died(db):
    task_id = add(db)
    lease = tasks.claim(db, task_id, 1, TIMING)
    lose(db, lease)
    tasks.claim(db, task_id, 2, TIMING)
    tasks.expire_lease(db, task_id, 1)
    assert reap(db) == []
    assert row(db, task_id).status is TaskStatus.RUNNING


def test_a_dispatched_task_is_dispatched_again_until_it_is_claimed(db):
    task_id = add(db)
    timing = Timing(redispatch_seconds=0.3)
    (first,) = dispatch(db, timing)
    assert dispatch(db, timing) == []
    time.sleep(0.35)
    (second,) = dispatch(db, timing)
    assert (first.task_id, second.task_id) == (task_id, task_id)
    assert first.job_id != second.job_id
    tasks.claim(db, task_id, second.attempt, timing)
    time.sleep(0.35)
    assert dispatch(db, timing) == []


def test_what_is_due_later_waits(db):
    add(db, due_in=60)
    assert dispatch(db) == []


def test_two_dispatchers_do_not_take_the_same_task(db):
    for subject_id in range(30):
        add(db, subject_id)
    start, taken = threading.Barrier(2), []

    def take():
        start.wait()
        taken.extend(dispatch(db, limit=30))

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len({one.task_id for one in taken})


def test_the_doorbell_rings_after_the_commit_and_only_for_new_work(db):
    rung = []
    db.doorbell = lambda ids: rung.append([row(db, one).status for one in ids])
    add(db)
    add(db)
    add(db, subject_id=2, due_in=60)
    with pytest.raises(ZeroDivisionError), db.write() as session:
        tasks.add(session, "test", 3, queue="cpu", team_id="T1")
        _ = 1 / 0
    assert rung == [[TaskStatus.QUEUED]]


def test_counting_what_is_unfinished(db):
    add(db)
    lease = tasks.claim(db, add(db, 2), 1, TIMING)
    with db.read() as session:
        assert tasks.unfinished(session) == 2
        assert tasks.unfinished(session, queue="gpu") == 0
    with lease.finish():
        pass
    with db.read() as session:
        assert tasks.unfinished(session, queue="cpu") == 1


def test_two_requests_at_once_make_one_task(db):
    start, ids, problems = threading.Barrier(4), [], []

    def ask():
        start.wait()
        try:
            ids.append(add(db))
        except Exception as error:  # noqa: BLE001 -- reported by the assertion
            problems.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(set(ids)) == 1
