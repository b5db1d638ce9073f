"""Blocks judged by as many processes as there are cores, the results in the blocks' order.

Each process has a pipe of its own to this one and ends when that closes, so none outlives its parent. They are started
afresh, not forked: the parent may have threads.
"""

import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Generic, TypeVar

from workers.errors import FinetuneBotError

Job = TypeVar("Job")
Result = TypeVar("Result")

AHEAD = 4
"""So many finished blocks a process may wait for one before them."""


class ProcessEnded(FinetuneBotError):
    """A process ended without an answer, most likely killed for want of memory."""


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(work: Callable[[Job], Result], jobs: Sequence[Job], processes: int) -> Iterator[Result]:
    """`work(job)` of each, in order. `work` and all that goes to and fro must be picklable."""
    if processes <= 1 or len(jobs) <= 1:
        yield from map(work, jobs)
        return
    with _Team(work, jobs, min(processes, len(jobs))) as team:
        yield from team.results()


class _Team(Generic[Job, Result]):
    def __init__(self, work: Callable[[Job], Result], jobs: Sequence[Job], processes: int) -> None:
        self._jobs = jobs
        self._next = iter(range(len(jobs)))
        self._lock = threading.Lock()
        self._done: queue.Queue[tuple[int, Result | BaseException]] = queue.Queue()
        self._room = threading.Semaphore(processes * AHEAD)
        self._stopped = threading.Event()
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for _ in range(processes):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, work), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        self._threads = [threading.Thread(target=self._drive, args=(pipe,), daemon=True) for pipe in self._pipes]

    def __enter__(self) -> "_Team[Job, Result]":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for _thread in self._threads:
            self._room.release()
        for process in self._processes:
            process.terminate()
        for thread in self._threads:
            thread.join()
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            pipe.close()
            process.join()

    def results(self) -> Iterator[Result]:
        waiting: dict[int, Result] = {}
        for wanted in range(len(self._jobs)):
            while wanted not in waiting:
                place, result = self._done.get()
                if isinstance(result, BaseException):
                    raise result
                waiting[place] = result
            yield waiting.pop(wanted)
            self._room.release()

    def _drive(self, pipe: Connection) -> None:
        """Give one process a job after the other."""
        place = -1
        try:
            while True:
                self._room.acquire()
                with self._lock:
                    place = next(self._next, -1)
                if place < 0 or self._stopped.is_set():
                    return
                pipe.send(self._jobs[place])
                self._done.put((place, pipe.recv()))
        except (EOFError, OSError):
            if not self._stopped.is_set():
                words = "A process that was checking the file ended without an answer; it may have run out of memory."
                self._done.put((place, ProcessEnded(words)))
        except Exception as error:  # noqa: BLE001 -- the edge of a thread: what cannot be unpickled is raised there
            self._done.put((place, error))


def _serve(pipe: Connection, work: Callable[[Job], Result]) -> None:
    """A process's life: jobs in, results out, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which closes the pipe
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            result: object = work(job)
        except Exception as error:  # noqa: BLE001 -- the edge of a process: the parent raises it
            result = error
        try:
            pipe.send(result)
        except (BrokenPipeError, ConnectionResetError):
            return
