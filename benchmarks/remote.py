"""How dear it is to watch very many runs at a vendor: 5,000 of 50 workspaces, one dispatcher, one cloud worker.

The baseline is the simplest thing that works: a worker for each run, which waits for it. A few such are measured, and
counted as often as there are runs.
"""

import itertools
import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil
from sqlalchemy import func
from sqlmodel import Session, select

from workers import announcements, bootstrap
from workers.db import Database
from workers.plans.choices import Choices
from workers.run_status import RunStatus
from workers.runs.lifecycle import card_slot
from workers.runs.pace import JITTER, POLLS_A_SECOND, SHORTEST, Pace
from workers.settings import Settings
from workers.supervisor import exported
from workers.tables import Announcement, AnnouncementStatus, Credential, Dataset, Run, Task
from workers.vault import Vault

ROOT = Path(__file__).resolve().parents[1]
RUNS, TEAMS, SECONDS = 5_000, 50, 180.0
ENDING_SHARE = 0.05
"""So many of the runs end meanwhile."""
SLACK_EDITS = 50.0
"""Edits a minute that Slack takes of one workspace."""
BLOCKED, BLOCKED_SECONDS = 3, 25.0
"""How many waiting workers are measured, and for how long."""
TICKS = 2.0
"""Seconds beside the interval that a poll may wait for its turn."""
MODEL = "gpt-4.1-nano-2025-04-14"


@dataclass(frozen=True)
class Used:
    """What processes took: seconds of processor time, and bytes of memory."""

    cpu: float
    memory: int


def measure(
    runs: int = RUNS, teams: int = TEAMS, seconds: float = SECONDS, blocked_seconds: float = BLOCKED_SECONDS
) -> dict[str, Any]:
    """Intervals kept, ends noticed, what it took, and how often that is what waiting workers would take."""
    with tempfile.TemporaryDirectory(prefix="ftb-bench-") as folder, _installation(Path(folder)) as settings:
        _add_runs(settings, runs, teams)
        with _vendor(runs, seconds) as url:
            env = _environment() | exported(settings) | {"FINETUNE_BOT_OPENAI_URL": f"{url}/v1"}
            with (
                _Slack(settings) as slack,
                _started(env, settings, "dispatcher") as one,
                _started(env, settings, "worker", "cloud") as other,
            ):
                began_using = _used([one, other])
                time.sleep(seconds)
                used = _used([one, other])
            ended = time.time()
            seen = _polls(url)
            blocked = _blocked(env, blocked_seconds)
        tasks = _tasks(settings)
    cpu = (used.cpu - began_using.cpu) / seconds
    interval = max(SHORTEST, runs / POLLS_A_SECOND)  # each look at one of these finds news
    allowed = interval * (1 + JITTER) + TICKS
    gaps = _gaps(seen, ended)
    late = [_lateness(seen["polls"][int(job)], at, ended) for job, at in seen["ends"].items() if at < ended - allowed]
    edits = max(slack.edits.values(), default=0) / (seconds / 60.0)
    figures = {
        "runs": runs,
        "workspaces": teams,
        "seconds": round(seconds),
        "polls": sum(map(len, seen["polls"])),
        "never_polled": sum(not polls for polls in seen["polls"]),
        "requests": seen["requests"],
        "interval_seconds": round(interval, 1),
        "longest_gap_seconds": round(max(gaps), 1),
        "beyond_the_interval": sum(gap > allowed for gap in gaps),
        "ends": len(late),
        "latest_end_seconds": round(max(late, default=0.0), 1),
        "of_a_core": round(cpu, 3),
        "megabytes": round(used.memory / 1e6),
        "card_edits_a_minute_of_the_busiest_workspace": round(edits, 1),
        "of_slacks_limit": round(edits / SLACK_EDITS, 3),
        "task_rows_of_watching": tasks,
        "baseline_megabytes": round(blocked.memory / BLOCKED * runs / 1e6),
        "baseline_processes": runs,
        "memory_ratio": round(used.memory / (blocked.memory / BLOCKED * runs), 5),
    }
    good = (
        figures["beyond_the_interval"] == figures["never_polled"] == 0
        and max(late, default=0.0) <= 2 * allowed
        and cpu < 1.0
        and edits <= SLACK_EDITS
        and figures["memory_ratio"] < 0.01 * RUNS / runs
        and tasks <= 4
    )
    return {**figures, "good": good}


def _gaps(seen: dict[str, Any], ended: float) -> list[float]:
    """Seconds between two looks at a job, and since the last one where the job goes on."""
    found = []
    for job, polls in enumerate(seen["polls"]):
        over = polls and polls[-1] >= seen["ends"].get(str(job), math.inf)
        found += [later - earlier for earlier, later in itertools.pairwise([*polls, *([] if over else [ended])])]
    return found


def _lateness(polls: Sequence[float], at: float, ended: float) -> float:
    """Seconds from a job's end to the first look after it."""
    return next((poll - at for poll in polls if poll >= at), ended - at)


@contextmanager
def _installation(folder: Path) -> Iterator[Settings]:
    """A home with its tables and its queue."""
    settings = Settings(home=folder / "home")
    bootstrap.prepare(settings)
    queue = subprocess.Popen(bootstrap.valkey_command(settings), stdout=subprocess.DEVNULL)
    try:
        bootstrap.wait_for_queue(settings.redis)
        yield settings
    finally:
        queue.kill()
        queue.wait()


def _add_runs(settings: Settings, runs: int, teams: int) -> None:
    """Runs that have trained for a while, with their cards; when each is due is spread over an interval."""
    vault = Vault(settings.folder)
    spread = max(SHORTEST, runs / POLLS_A_SECOND)
    apart = Pace(watched=runs, of_team={"T0": runs // teams}).edits_apart("T0")
    now = time.time()
    db = Database(settings.database)
    with db.write() as session:
        for number in range(teams):
            sealed = vault.seal({"api_key": f"sk-{number}"})
            session.add(Credential(team_id=f"T{number}", provider="openai", sealed=sealed))
        datasets = [_dataset(session, f"T{number}") for number in range(teams)]
        rows = [
            _run(datasets[number % teams], number, now + 3.0 + spread * number / runs, now - apart * number / runs)
            for number in range(runs)
        ]
        session.add_all(rows)
        session.flush()
        session.add_all(_card(run) for run in rows)
    db.dispose()


def _dataset(session: Session, team_id: str) -> Dataset:
    dataset = Dataset(
        team_id=team_id,
        channel_id="C1",
        creator_id="U1",
        name="recipes.jsonl",
        sha256="0",
        storage_key="none",
        format="openai-chat",
        method="sft",
        examples=101,
        trainable=True,
    )
    session.add(dataset)
    session.flush()
    return dataset


def _run(dataset: Dataset, number: int, due_at: float, drawn_at: float) -> Run:
    return Run(
        team_id=dataset.team_id,
        channel_id="C1",
        creator_id="U1",
        name=f"recipes-{number}",
        request_key=f"form-{number}",
        status=RunStatus.TRAINING,
        dataset_id=dataset.id or 0,
        provider="openai",
        base_model=MODEL,
        method="sft",
        plan=Choices(dataset_id=dataset.id or 0, provider="openai", base_model=MODEL).to_json(),
        provider_job_id=f"ftjob-{number}",
        progress={"drawn_at": drawn_at},
        started_at=time.time(),
        next_poll_at=due_at,
    )


def _card(run: Run) -> Announcement:
    return Announcement(
        team_id=run.team_id,
        channel_id="C1",
        slot=card_slot(run),
        kind="run_card",
        subject_id=run.id,
        status=AnnouncementStatus.SENT,
        ts=f"1.{run.id}",
    )


class _Slack:
    """Takes the announcements as the notifier does, counts them, and says that each was delivered."""

    def __init__(self, settings: Settings) -> None:
        self._db = Database(settings.database)
        self._seconds_apart = settings.card_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="slack")
        self.edits: Counter[str] = Counter()
        """Edits of messages, by workspace."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()
        self._db.dispose()

    def _run(self) -> None:
        while not self._stop.wait(0.5):
            with self._db.read() as session:
                if not announcements.any_due(session):
                    continue
            with self._db.write() as session:
                taken = announcements.take_due(session, 60.0, limit=100)
            for one in taken:
                self.edits[one.team_id] += bool(one.ts)
                apart = self._seconds_apart if one.kind == "run_card" else 0.0
                announcements.delivered(self._db, one, one.ts or f"2.{one.id}", "shown", next_edit_in=apart)


def _tasks(settings: Settings) -> int:
    """How many tasks watching has left behind."""
    db = Database(settings.database)
    with db.read() as session:
        many = session.scalar(select(func.count()).where(Task.kind == "watch")) or 0
    db.dispose()
    return many


@contextmanager
def _vendor(runs: int, seconds: float) -> Iterator[str]:
    """The vendor, in a process of its own; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ending = max(1, int(runs * ENDING_SHARE))
    command = [sys.executable, "-m", "benchmarks.remote_vendor", str(port), str(runs), str(int(seconds)), str(ending)]
    url = f"http://127.0.0.1:{port}"
    with _process(command, _environment()):
        until = time.monotonic() + 30
        while True:
            try:
                _polls(url)
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)
        yield url


def _environment() -> dict[str, str]:
    """What a process of this benchmark finds its module with, wherever it was started."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def _polls(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{url}/polls", timeout=60) as answer:  # noqa: S310 -- our own server
        found: dict[str, Any] = json.load(answer)
    return found


@contextmanager
def _started(env: dict[str, str], settings: Settings, *name: str) -> Iterator[psutil.Process]:
    """One of the installation's processes, once it serves."""
    ready = bootstrap.ready_file(settings, "-".join(name))
    with _process([sys.executable, "-m", "workers", *name], env) as process:
        until = time.monotonic() + 60
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{' '.join(name)} did not start")
            time.sleep(0.1)
        yield psutil.Process(process.pid)


@contextmanager
def _process(command: list[str], env: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _used(processes: Sequence[psutil.Process]) -> Used:
    """What these processes and their children have taken so far."""
    everybody = [one for process in processes for one in (process, *process.children(recursive=True))]
    times = [one.cpu_times() for one in everybody]
    return Used(sum(one.user + one.system for one in times), sum(one.memory_info().rss for one in everybody))


def _blocked(env: dict[str, str], seconds: float) -> Used:
    """What a few workers take that each wait for one run."""
    workers = [
        subprocess.Popen([sys.executable, "-m", "benchmarks.remote", f"ftjob-{number}"], env=env)
        for number in range(1, 1 + BLOCKED)
    ]
    try:
        time.sleep(seconds)
        return _used([psutil.Process(one.pid) for one in workers])
    finally:
        for one in workers:
            one.kill()
            one.wait()


def wait_for(job_id: str) -> None:
    """The baseline's worker: ask about one run every 10 s, for ever."""
    from workers import vendors
    from workers.context import build

    context, cursor = build(Settings()), ""
    while True:
        cursor = vendors.training(context, "T0", "openai").poll(job_id, cursor).cursor
        time.sleep(10.0)


if __name__ == "__main__":
    wait_for(sys.argv[1])
