"""What may come out of Redis: a signed wish for an attempt at a task, and nothing else."""

import os
import pickle
import stat
import threading

import pytest
from redis import Redis
from rq import Queue
from rq.job import Callback
from rq.serializers import DefaultSerializer, JSONSerializer

from workers.errors import SetupProblem
from workers.queues.job import CARRY_OUT, JobRefused, TaskJob, Wanted, queue_of
from workers.queues.signing import BadSignature, SignedJson, installation_key
from workers.queues.worker import TaskWorker

KEY = "k" * 40
OURS = SignedJson(KEY)


class Taker(TaskWorker):
    """Keeps what it is to do."""

    def __init__(self, url):
        super().__init__("cpu", url, KEY)
        self.taken = []

    def _take(self, wanted, stop):
        self.taken.append(wanted)
        if wanted.task_id == 999:
            stop.set()


class Bomb:
    """Whoever unpickles this makes a file."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


def enqueue_with(serializer, redis, function=CARRY_OUT, args=(1, 1), **options):
    Queue("cpu", connection=redis, serializer=serializer).enqueue(function, args=args, **options)


def serve(url, redis):
    """Let a worker take everything that waits; returns what it took."""
    queue_of("cpu", redis, OURS).enqueue(CARRY_OUT, args=(999, 1))
    worker = Taker(url)
    stop = threading.Event()
    timer = threading.Timer(20, stop.set)
    timer.start()
    worker.run(stop)
    timer.cancel()
    return [one for one in worker.taken if one.task_id != 999]


@pytest.fixture
def redis(valkey):
    with Redis.from_url(valkey) as connection:
        yield connection


def test_our_own_jobs_are_taken_and_leave_nothing_behind(valkey, redis):
    queue_of("cpu", redis, OURS).enqueue(CARRY_OUT, args=(12, 3))
    assert serve(valkey, redis) == [Wanted(12, 3)]
    assert [key for key in redis.keys() if key.startswith((b"rq:job", b"rq:queue:cpu"))] == []


@pytest.mark.parametrize("serializer", [DefaultSerializer, JSONSerializer, SignedJson("f" * 40)])
def test_what_we_did_not_sign_is_refused_and_never_unpickled(valkey, redis, serializer):
    enqueue_with(serializer, redis)
    enqueue_with(serializer, redis, "os.mkdir", ("made",))
    if serializer is DefaultSerializer:
        enqueue_with(serializer, redis, CARRY_OUT, (Bomb(), 1))
    assert serve(valkey, redis) == []
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("function", "args"),
    [
        ("os.mkdir", ("made",)),
        ("os.mkdir", (1, 1)),
        (CARRY_OUT, ()),
        (CARRY_OUT, (1,)),
        (CARRY_OUT, (1, 2, 3)),
        (CARRY_OUT, ("1", 1)),
        (CARRY_OUT, (True, 1)),
    ],
)
def test_even_a_signed_job_may_only_name_an_attempt_at_a_task(valkey, redis, function, args):
    enqueue_with(OURS, redis, function, args)
    assert serve(valkey, redis) == []
    assert os.listdir() == []


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x04garbage", b"{}", pickle.dumps(Bomb())], ids=["empty", "garbage", "unsigned", "pickle"]
)
def test_a_damaged_job_harms_neither_the_worker_nor_the_next_job(valkey, redis, data):
    job = queue_of("cpu", redis, OURS).enqueue(CARRY_OUT, args=(1, 1))
    redis.hset(job.key, "data", data)
    queue_of("cpu", redis, OURS).enqueue(CARRY_OUT, args=(2, 1))
    assert serve(valkey, redis) == [Wanted(2, 1)]
    assert os.listdir() == []


def test_a_job_that_vanished_is_passed_over(valkey, redis):
    job = queue_of("cpu", redis, OURS).enqueue(CARRY_OUT, args=(1, 1))
    redis.delete(job.key)
    assert serve(valkey, redis) == []


def test_callbacks_are_not_heard_of(redis):
    queue = queue_of("cpu", redis, OURS)
    queued = queue.enqueue(CARRY_OUT, args=(1, 1), on_success=Callback("os.getcwd"), on_failure=Callback("os.getcwd"))
    fetched = TaskJob.fetch(queued.id, connection=redis, serializer=OURS)
    assert fetched.wanted() == Wanted(1, 1)
    assert fetched._success_callback_name is None
    assert fetched._failure_callback_name is None


def test_a_worker_of_rq_s_own_would_find_only_our_function(redis):
    enqueue_with(OURS, redis, "os.getcwd", ())
    (job_id,) = queue_of("cpu", redis, OURS).job_ids
    with pytest.raises(JobRefused):
        _ = TaskJob.fetch(job_id, connection=redis, serializer=OURS).func


def test_a_signature_holds_for_exactly_its_bytes():
    signed = OURS.dumps(["carry", [1, 2]])
    assert OURS.loads(signed) == ["carry", [1, 2]]
    for forged in (signed[:-2] + b"3]", b"." + signed.partition(b".")[2], signed.partition(b".")[2], b""):
        with pytest.raises(BadSignature):
            OURS.loads(forged)


def test_the_key_is_made_once_and_for_this_user_only(tmp_path):
    start, keys = threading.Barrier(6), []

    def ask():
        start.wait()
        keys.append(installation_key(tmp_path))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 6
    assert len(set(keys)) == 1
    (path,) = (tmp_path / "keys").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_shared_key_comes_from_the_environment_and_must_be_long(tmp_path, monkeypatch):
    monkeypatch.setenv("FINETUNE_BOT_QUEUE_KEY", "s" * 40)
    assert installation_key(tmp_path) == "s" * 40
    monkeypatch.setenv("FINETUNE_BOT_QUEUE_KEY", "short")
    with pytest.raises(SetupProblem, match="at least 32"):
        installation_key(tmp_path)
