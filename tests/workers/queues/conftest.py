"""An installation with real workers: its own Valkey, a dispatcher, and processes to be killed."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlmodel import select

from workers import bootstrap, tasks
from workers.db import Database
from workers.dispatcher import Dispatcher
from workers.queues.signing import installation_key
from workers.settings import Settings
from workers.supervisor import exported
from workers.tables import InboundEvent, Task, TaskStatus

ERRANDS = Path(__file__).with_name("errands.py")


@dataclass
class Installation:
    """What a test does to it, and what became of it."""

    settings: Settings
    db: Database
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    queue: subprocess.Popen[bytes] | None = None

    def start_queue(self) -> None:
        self.queue = subprocess.Popen(bootstrap.valkey_command(self.settings), stdout=subprocess.DEVNULL)
        self.processes.append(self.queue)
        bootstrap.wait_for_queue(self.settings.redis, 20)

    def start_worker(self, grace: float = 5.0) -> subprocess.Popen[bytes]:
        with (self.settings.folder / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, str(ERRANDS), "worker", str(grace)],
                env=os.environ | exported(self.settings),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(worker)
        return worker

    def ask(self, kind: str, subject_id: int = 1) -> int:
        with self.db.write() as session:
            return tasks.add(session, kind, subject_id, queue="cpu", team_id="T1").id or 0

    def task(self, task_id: int) -> Task:
        with self.db.read() as session:
            return session.get_one(Task, task_id)

    def is_done(self, task_id: int) -> bool:
        return self.task(task_id).status is TaskStatus.DONE

    def effects(self) -> list[str]:
        with self.db.read() as session:
            return list(session.exec(select(InboundEvent.key).order_by(InboundEvent.key)))

    def starts(self, task_id: int) -> list[list[int]]:
        """Each start of the task: its attempt, its horse's process id, and a child's if it has one."""
        path = self.settings.folder / "starts"
        lines = path.read_text().splitlines() if path.exists() else []
        numbers = [[int(word) for word in line.split()] for line in lines]
        return [rest for first, *rest in numbers if first == task_id]

    def log(self) -> str:
        return (self.settings.folder / "worker.log").read_text()


@pytest.fixture
def installation(settings: Settings, db: Database) -> Iterator[Installation]:
    """Valkey and a dispatcher run; leases are short."""
    url = db.url.render_as_string(hide_password=False)
    settings = settings.model_copy(update={"database_url": url, "lease_seconds": 2.0, "redispatch_seconds": 1.0})
    bootstrap.make_folders(settings)
    place = Installation(settings, db)
    place.start_queue()
    stop = threading.Event()
    dispatcher = Dispatcher(settings, db, installation_key(settings.folder))
    thread = threading.Thread(target=dispatcher.run, args=(stop,), name="dispatcher")
    thread.start()
    try:
        yield place
    finally:
        for process in reversed(place.processes):
            _end(process)
        stop.set()
        thread.join()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.kill()
    process.wait()


@pytest.fixture
def gone() -> Callable[[int], bool]:
    """Whether a process has ended; one that only waits to be reaped has."""
    import psutil

    def look(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return look
