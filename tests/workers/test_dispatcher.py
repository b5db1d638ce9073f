"""The dispatcher: work reaches its queue, again after Redis forgot it; crashes, watchers and upkeep are seen to."""

import threading
import time
import uuid
from types import SimpleNamespace

import pytest
from redis import Redis
from sqlmodel import select

from workers import dispatcher, tasks
from workers.dispatcher import Dispatcher
from workers.jobs.kinds import KINDS, Kind
from workers.queues.connection import QueueName
from workers.run_status import RunStatus
from workers.tables import Dataset, InboundEvent, Run, Task, TaskStatus

KEY = "k" * 40
BROKEN = "unix:///nowhere/valkey.sock"


@pytest.fixture
def place(db, valkey, settings):
    settings = settings.model_copy(update={"redis_url": valkey, "redispatch_seconds": 0.3})
    with Redis.from_url(valkey) as redis:
        yield SimpleNamespace(db=db, settings=settings, redis=redis, dispatcher=Dispatcher(settings, db, KEY))


def add(db, kind="check_dataset", subject_id=1, queue="cpu"):
    with db.write() as session:
        return tasks.add(session, kind, subject_id, queue=queue, team_id="T1").id


def row(db, task_id):
    with db.read() as session:
        return session.get_one(Task, task_id)


def waiting(redis, queue="cpu"):
    return [one.decode() for one in redis.lrange(f"rq:queue:{queue}", 0, -1)]


def add_run(db, **values):
    with db.write() as session:
        dataset = Dataset(
            team_id="T1", name="a", sha256="a", storage_key="a", format="f", method="sft", examples=1, trainable=True
        )
        session.add(dataset)
        session.flush()
        run = Run(
            team_id="T1", name="r", request_key=uuid.uuid4().hex, dataset_id=dataset.id, provider="openai",
            base_model="m", method="sft", status=RunStatus.TRAINING, **values,
        )  # fmt: skip
        session.add(run)
        session.flush()
        return run.id


def test_each_task_reaches_its_own_queue_once(place):
    first, second = add(place.db), add(place.db, kind="train_local", queue="gpu")
    place.dispatcher.tick()
    place.dispatcher.tick()
    assert waiting(place.redis) == [f"t{first}-1-1"]
    assert waiting(place.redis, "gpu") == [f"t{second}-1-1"]


def test_what_redis_forgot_is_dispatched_again(place):
    task_id = add(place.db)
    place.dispatcher.tick()
    place.redis.flushall()
    time.sleep(0.35)
    place.dispatcher.tick()
    assert waiting(place.redis) == [f"t{task_id}-1-2"]


def test_while_redis_is_away_nothing_counts_as_dispatched(place):
    task_id = add(place.db)
    settings = place.settings.model_copy(update={"redis_url": BROKEN})
    Dispatcher(settings, place.db, KEY).tick()
    assert row(place.db, task_id).dispatch_no == 0
    place.dispatcher.tick()
    assert waiting(place.redis) == [f"t{task_id}-1-1"]


def test_a_lost_worker_s_task_is_back_on_its_queue_in_one_tick(place):
    task_id = add(place.db)
    place.dispatcher.tick()
    tasks.claim(place.db, task_id, 1, place.settings.timing)
    tasks.expire_lease(place.db, task_id, 1)
    place.dispatcher.tick()
    assert waiting(place.redis)[-1] == f"t{task_id}-2-2"


def give_up(session, task):
    session.add(InboundEvent(key=f"told:{task.subject_id}", team_id="T1"))


def break_down(session, task):
    session.add(InboundEvent(key="half", team_id="T1"))
    session.flush()
    raise RuntimeError(f"cannot tell about {task.id}")


def test_the_third_lost_worker_is_the_end_and_a_fault_in_telling_harms_nobody_else(place, monkeypatch):
    for function in (give_up, break_down):
        monkeypatch.setattr(dispatcher, function.__name__, function, raising=False)
        kind = Kind(QueueName.CPU, "none:none", f"workers.dispatcher:{function.__name__}")
        monkeypatch.setitem(KINDS, function.__name__, kind)
    broken, told = add(place.db, "break_down", 1), add(place.db, "give_up", 2)
    for attempt in (1, 2, 3):
        for task_id in (broken, told):
            assert tasks.claim(place.db, task_id, attempt, place.settings.timing)
            tasks.expire_lease(place.db, task_id, attempt)
        place.dispatcher.tick()
    assert {row(place.db, one).status for one in (broken, told)} == {TaskStatus.DEAD}
    with place.db.read() as session:
        assert [one.key for one in session.exec(select(InboundEvent))] == ["told:2"]


def watchers(db):
    with db.read() as session:
        return session.exec(select(Task).where(Task.kind == "watch").order_by(Task.key)).all()


def test_a_watcher_is_asked_for_once_while_runs_are_due_and_begins_anew_after_its_end(place):
    add_run(place.db, next_poll_at=time.time() - 1)
    place.dispatcher.tick()
    place.dispatcher.tick()
    (one,) = watchers(place.db)
    assert (one.key, one.queue, one.attempt) == ("watch:0", "cloud", 1)
    assert waiting(place.redis, "cloud") == [f"t{one.id}-1-1"]
    for attempt in (1, 2):
        with tasks.claim(place.db, one.id, attempt, place.settings.timing).finish():
            pass
        place.dispatcher.tick()
    (one,) = watchers(place.db)  # still the one row
    assert (one.status, one.attempt) == (TaskStatus.QUEUED, 3)
    assert waiting(place.redis, "cloud")[-1].startswith(f"t{one.id}-3-")


def test_a_watcher_that_broke_for_good_begins_anew(place):
    add_run(place.db, next_poll_at=time.time() - 1)
    for _ in range(place.settings.timing.max_crashes):
        place.dispatcher.tick()
        (one,) = watchers(place.db)
        assert tasks.claim(place.db, one.id, one.attempt, place.settings.timing)
        tasks.expire_lease(place.db, one.id, one.attempt)
    place.dispatcher.tick()  # dead of it
    place.dispatcher.tick()
    (one,) = watchers(place.db)
    assert (one.status, one.crashes) == (TaskStatus.QUEUED, 0)


def test_more_runs_get_more_watchers_up_to_some(place, monkeypatch):
    monkeypatch.setattr(dispatcher, "RUNS_A_WATCHER", 2)
    for _ in range(5):
        add_run(place.db, next_poll_at=time.time() - 1)
    place.dispatcher.tick()
    assert [one.key for one in watchers(place.db)] == ["watch:0", "watch:1", "watch:2"]
    for _ in range(9):
        add_run(place.db, next_poll_at=time.time() - 1)
    place.dispatcher.tick()
    assert len(watchers(place.db)) == dispatcher.MOST_WATCHERS


def test_a_run_that_is_not_due_is_not_watched(place):
    add_run(place.db, next_poll_at=time.time() + 60)
    add_run(place.db)
    place.dispatcher.tick()
    assert waiting(place.redis, "cloud") == []


def tend(session, settings):
    session.add(InboundEvent(key=f"tended:{settings.redispatch_seconds}", team_id="T1"))


def break_down_tending(session, _settings):
    session.add(InboundEvent(key="half tended", team_id="T1"))
    session.flush()
    raise RuntimeError("a fault of ours")


def test_what_needs_upkeep_gets_it_now_and_then_whatever_breaks_beside_it(place, monkeypatch):
    for function in (tend, break_down_tending):
        monkeypatch.setattr(dispatcher, function.__name__, function, raising=False)
    names = ("nowhere.at:all", "workers.dispatcher:break_down_tending", "workers.dispatcher:tend")
    monkeypatch.setattr(dispatcher, "TENDED", names)
    place.dispatcher._next_tending = 0.0
    task_id = add(place.db)
    place.dispatcher.tick()
    place.dispatcher.tick()  # not again so soon: the key would be there twice
    with place.db.read() as session:
        assert [one.key for one in session.exec(select(InboundEvent))] == ["tended:0.3"]
    assert waiting(place.redis) == [f"t{task_id}-1-1"]


def test_a_large_backlog_is_dispatched_completely(place):
    with place.db.write() as session:
        for number in range(dispatcher.BATCH + 50):
            session.add(Task(team_id="T1", kind="check_dataset", queue="cpu", subject_id=number, key=str(number)))
    place.dispatcher.tick()
    assert len(waiting(place.redis)) == dispatcher.BATCH + 50


def test_old_polls_and_events_are_forgotten_and_nothing_else(place):
    old = time.time() - dispatcher.KEEP_SECONDS - 60
    with place.db.write() as session:
        done = {"team_id": "T1", "queue": "cloud", "subject_id": 1, "status": TaskStatus.DONE}
        session.add(Task(kind="poll", key="old poll", finished_at=old, **done))
        session.add(Task(kind="poll", key="new poll", finished_at=time.time(), **done))
        session.add(Task(kind="submit", key="old submit", finished_at=old, **done))
        session.add(InboundEvent(key="old", team_id="T1", received_at=old))
        session.add(InboundEvent(key="new", team_id="T1"))
    place.dispatcher._next_sweep = 0.0
    place.dispatcher.tick()
    with place.db.read() as session:
        assert {one.key for one in session.exec(select(Task))} == {"new poll", "old submit"}
        assert [one.key for one in session.exec(select(InboundEvent))] == ["new"]


def test_the_loop_leaves_a_sign_of_life_and_outlives_its_database(place, monkeypatch):
    assert dispatcher.seconds_since_beat(place.settings) is None
    monkeypatch.setattr(dispatcher, "TICK_SECONDS", 0.02)
    healthy, task_id = place.db.read, add(place.db)

    def away():
        raise dispatcher.SQLAlchemyError("the database is away")

    monkeypatch.setattr(place.db, "read", away)
    stop = threading.Event()
    thread = threading.Thread(target=place.dispatcher.run, args=(stop,))
    thread.start()
    try:
        time.sleep(0.2)
        assert dispatcher.seconds_since_beat(place.settings) is None
        monkeypatch.setattr(place.db, "read", healthy)
        until = time.monotonic() + 10
        while dispatcher.seconds_since_beat(place.settings) is None and time.monotonic() < until:
            time.sleep(0.02)
    finally:
        stop.set()
        thread.join()
    assert dispatcher.seconds_since_beat(place.settings) < 10
    assert waiting(place.redis) == [f"t{task_id}-1-1"]
