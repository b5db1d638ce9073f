"""A worker and its horse, as real processes on a real queue: killed, stopped, cut off from Redis."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from redis import Redis

from tests.workers.queues.conftest import ERRANDS
from workers.queues.executing import ExecutingWorker
from workers.queues.signing import installation_key
from workers.supervisor import exported
from workers.tables import TaskStatus

on_sqlite = pytest.mark.parametrize("db", ["sqlite"], indirect=True)
usually_on_sqlite = pytest.mark.parametrize(
    "db", ["sqlite", pytest.param("postgresql", marks=pytest.mark.full)], indirect=True
)
"""What is done to the tables is the protocol of `workers.tasks`, whose own tests use both databases."""


@usually_on_sqlite
def test_a_task_delivered_often_is_carried_out_once(installation, eventually):
    installation.start_worker()
    first, second = installation.ask("quick", 1), installation.ask("quick", 2)
    with Redis.from_url(installation.settings.redis) as redis:
        eventually(lambda: redis.llen("rq:queue:cpu") >= 2 or installation.is_done(first))
    eventually(lambda: installation.is_done(first) and installation.is_done(second))
    time.sleep(1.5)  # long enough for the dispatcher's second thoughts
    assert installation.effects() == [f"effect:{first}", f"effect:{second}"]
    assert len(installation.starts(first)) == len(installation.starts(second)) == 1


@usually_on_sqlite
def test_a_killed_horse_s_task_is_carried_out_again_at_once(installation, eventually, gone):
    worker = installation.start_worker()
    task_id = installation.ask("patient")
    eventually(lambda: installation.starts(task_id))
    ((_, pid, child),) = installation.starts(task_id)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(installation.starts(task_id)) == 2)
    assert gone(child)
    (installation.settings.folder / "go").touch()
    eventually(lambda: installation.is_done(task_id))
    assert installation.effects() == [f"effect:{task_id}"]
    assert installation.task(task_id).crashes == 1
    assert worker.poll() is None


@usually_on_sqlite
def test_a_killed_worker_takes_everything_along_and_another_takes_over(installation, eventually, gone):
    worker = installation.start_worker()
    task_id = installation.ask("patient")
    eventually(lambda: installation.starts(task_id))
    ((_, pid, child),) = installation.starts(task_id)
    worker.kill()
    eventually(lambda: gone(pid) and gone(child), seconds=3)
    installation.start_worker()
    eventually(lambda: len(installation.starts(task_id)) == 2)
    (installation.settings.folder / "go").touch()
    eventually(lambda: installation.is_done(task_id))
    assert installation.effects() == [f"effect:{task_id}"]


@on_sqlite
def test_a_killed_queue_server_delays_and_loses_nothing(installation, eventually):
    installation.start_worker()
    running = installation.ask("patient", 1)
    eventually(lambda: installation.starts(running))
    installation.queue.kill()
    installation.queue.wait()
    asked_meanwhile = installation.ask("quick", 2)
    (installation.settings.folder / "go").touch()
    eventually(lambda: installation.is_done(running))
    installation.start_queue()
    eventually(lambda: installation.is_done(asked_meanwhile), seconds=30)
    assert len(installation.starts(running)) == len(installation.starts(asked_meanwhile)) == 1


@on_sqlite
def test_a_wiped_queue_server_loses_nothing(installation, eventually):
    ids = [installation.ask("quick", number) for number in range(5)]
    with Redis.from_url(installation.settings.redis) as redis:
        eventually(lambda: redis.llen("rq:queue:cpu") == 5)
        redis.flushall()
    installation.start_worker()
    eventually(lambda: all(installation.is_done(one) for one in ids))
    assert len(installation.effects()) == 5


@on_sqlite
def test_a_worker_that_slept_is_fenced(installation, eventually, gone):
    sleeper = installation.start_worker()
    task_id = installation.ask("stubborn")
    eventually(lambda: installation.starts(task_id))
    ((_, pid),) = installation.starts(task_id)
    os.kill(pid, signal.SIGSTOP)
    sleeper.send_signal(signal.SIGSTOP)
    installation.start_worker()
    eventually(lambda: len(installation.starts(task_id)) == 2)
    (installation.settings.folder / "go").touch()
    eventually(lambda: installation.is_done(task_id))
    sleeper.send_signal(signal.SIGCONT)
    os.kill(pid, signal.SIGCONT)
    eventually(lambda: "task_lost" in installation.log())
    assert installation.effects() == [f"effect:{task_id}"]
    assert not gone(pid)  # it noticed by itself, and serves on


@on_sqlite
def test_a_task_that_does_not_notice_its_lost_lease_is_abandoned(installation, eventually, gone):
    sleeper = installation.start_worker()
    task_id = installation.ask("stubborn")
    eventually(lambda: installation.starts(task_id))
    ((_, pid),) = installation.starts(task_id)
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: installation.task(task_id).status is TaskStatus.QUEUED)
    os.kill(pid, signal.SIGCONT)
    eventually(lambda: gone(pid), seconds=15)
    assert sleeper.poll() is None


@on_sqlite
def test_a_stop_lets_a_task_end_and_gives_it_back(installation, eventually, gone):
    worker = installation.start_worker(grace=20)
    task_id = installation.ask("patient")
    eventually(lambda: installation.starts(task_id))
    ((_, pid, _child),) = installation.starts(task_id)
    worker.terminate()
    assert worker.wait(10) == 0
    task = installation.task(task_id)
    assert (task.status, task.crashes, task.last_error) == (TaskStatus.QUEUED, 0, "asked to stop")
    assert gone(pid)
    with Redis.from_url(installation.settings.redis) as redis:
        assert redis.scard("rq:workers") == 0


@on_sqlite
def test_a_task_that_does_not_end_is_cut_off_after_the_grace(installation, eventually, gone):
    worker = installation.start_worker(grace=0.5)
    task_id = installation.ask("stubborn")
    eventually(lambda: installation.starts(task_id))
    worker.terminate()
    assert worker.wait(10) == 0
    assert gone(installation.starts(task_id)[0][1])
    assert installation.effects() == []


@on_sqlite
def test_a_fault_is_noted_with_an_id_and_no_secret_is_logged(installation, eventually):
    installation.start_worker()
    task_id = installation.ask("broken")
    eventually(lambda: installation.task(task_id).crashes == 1)
    task = installation.task(task_id)
    assert (task.status, task.last_error) == (TaskStatus.QUEUED, "ValueError")
    eventually(lambda: task.error_id in installation.log())
    assert "task_crashed" in installation.log()
    assert "canary" not in installation.log()


@on_sqlite
def test_a_horse_that_does_not_come_up_costs_no_task_its_life(installation, eventually):
    settings = installation.settings
    worker = ExecutingWorker(settings, "cpu", installation_key(settings.folder), command=("false",))
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(stop,))
    thread.start()
    try:
        task_id = installation.ask("quick")
        eventually(lambda: worker._pause >= 2.0)
        assert installation.task(task_id).crashes == 0
        installation.start_worker()
        eventually(lambda: installation.is_done(task_id))
    finally:
        stop.set()
        thread.join()


@on_sqlite
def test_a_horse_whose_last_words_nobody_read_goes_with_its_worker(installation):
    """A socket closed on unread words ends the other side's reading with an error instead of an end."""
    ours, theirs = socket.socketpair()
    env = os.environ | exported(installation.settings)
    with theirs:
        horse = subprocess.Popen([sys.executable, ERRANDS, "horse"], stdin=theirs.fileno(), process_group=0, env=env)
    select.select([ours], [], [], 30)  # it has said that it is ready
    ours.close()
    assert horse.wait(10) == -signal.SIGKILL
