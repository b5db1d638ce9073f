"""Keeps the processes of an installation running: Valkey first, then the tables, then the Procfile.

Each runs in a session of its own, on a leash, with its output in logs/<name>.log. One that ends is started
again, after a pause that grows. A stop reaches all, last started first, with time for a checkpoint; Valkey
goes last. If the supervisor itself is killed, its processes die with it.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from workers import bootstrap, leash, procfile
from workers.errors import SetupProblem
from workers.procfile import Process
from workers.settings import Settings

log = structlog.get_logger()

GRACE_SECONDS = 20.0
"""How long a process may take to stop; a training worker saves a checkpoint in it."""
VALKEY_GRACE_SECONDS = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Before a process that ended is started again; doubled each time it does not last."""
LASTS_SECONDS = 60.0
"""A process that ran for so long begins again with the first pause."""
SLACK_PREFIX = "SLACK_"
WITH_SLACK = frozenset({"bot", "notifier"})
"""The processes that speak to Slack; no other one is given a variable of Slack's."""
LARGEST_LOG = 10_000_000
LOOK_SECONDS = 0.1
ROTATE_SECONDS = 30.0


def exported(settings: Settings) -> dict[str, str]:
    """The environment variables that make a child's settings equal to these."""
    variables = {}
    for name, info in Settings.model_fields.items():
        value = getattr(settings, name)
        alias = getattr(info.validation_alias, "choices", [f"FINETUNE_BOT_{name}"])[0]
        variables[str(alias).upper()] = "" if value is None else str(value)
    return variables | {"FINETUNE_BOT_HOME": str(settings.folder)}


@dataclass
class _Child:
    """A process that is kept running."""

    process: Process
    running: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    pause: float = FIRST_PAUSE
    shown: int = field(default=0)  # bytes of its log that the console has had


class Supervisor:
    """`run(stop)` in the foreground, or `start()`/`stop()` (a context manager) beside the caller's own work.

    `processes` are the Procfile's unless others are given; `env` is the children's whole environment (by
    default this process's own; see `exported`), of which only those of WITH_SLACK get Slack's part. With
    `echo`, logs are copied to the console.
    """

    def __init__(
        self,
        settings: Settings,
        processes: Sequence[Process] | None = None,
        env: Mapping[str, str] | None = None,
        *,
        echo: bool = False,
        grace: float = GRACE_SECONDS,
    ) -> None:
        self._settings = settings
        self._env = dict(os.environ if env is None else env)
        self._echo = echo
        self._grace = grace
        self._logs = settings.folder / "logs"
        wanted = procfile.read() if processes is None else processes
        elsewhere = {"serve"} if settings.serve_kind == "vllm" else set()
        self._children = [_Child(one) for one in wanted if one.name not in elsewhere]
        self._valkey: _Child | None = None
        self._stop = threading.Event()
        self._up = threading.Event()
        self._thread: threading.Thread | None = None
        self._problem: BaseException | None = None

    def run(self, stop: threading.Event | None = None) -> None:
        """Start everything and keep it running until `stop` is set. Raises SetupProblem."""
        stop = stop or self._stop
        bootstrap.make_folders(self._settings)
        with bootstrap.locked(self._settings):
            try:
                self._prepare()
                for child in self._children:
                    self._start(child)
                self._up.set()
                next_rotation = 0.0
                while not stop.wait(LOOK_SECONDS):
                    self._look_after()
                    if time.monotonic() >= next_rotation:
                        next_rotation = time.monotonic() + ROTATE_SECONDS
                        self._rotate()
            finally:
                self._stop_all()

    def start(self, seconds: float = 90.0) -> None:
        """Start everything, in a thread that then keeps it running. Raises SetupProblem."""
        self._thread = threading.Thread(target=self._run_in_thread, name="supervisor")
        self._thread.start()
        until = time.monotonic() + seconds
        while self._thread.is_alive() and not self._up.wait(0.05):
            if time.monotonic() > until:
                self.stop()
                raise SetupProblem(f"Not up after {seconds:.0f} s; see {self._logs}.")
        if self._problem is not None:
            raise self._problem

    def stop(self) -> None:
        """Stop everything and wait for it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def wait_until_ready(self, seconds: float = 60.0) -> None:
        """Wait until every process serves that says so, by its mark or its port. Raises SetupProblem."""
        until = time.monotonic() + seconds
        while waiting := [child.process.name for child in self._children if not self._serves(child)]:
            if time.monotonic() > until or self._stop.is_set():
                raise SetupProblem(f"Not ready: {', '.join(waiting)}; see {self._logs}.")
            time.sleep(0.05)

    def pids(self) -> dict[str, int]:
        """The process ids of what runs now, by name; Valkey's too."""
        children = [*self._children, *([self._valkey] if self._valkey else [])]
        return {one.process.name: one.running.pid for one in children if one.running and one.running.poll() is None}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run_in_thread(self) -> None:
        try:
            self.run()
        except BaseException as error:  # handed to whoever called start()
            self._problem = error
            log.exception("supervisor_failed")

    def _prepare(self) -> None:
        """Valkey and the tables, side by side."""
        for child in self._children:
            bootstrap.ready_file(self._settings, child.process.name).unlink(missing_ok=True)
        if self._settings.embedded_queue:
            bootstrap.end_orphaned_queue(self._settings)
            self._valkey = _Child(Process("valkey", tuple(bootstrap.valkey_command(self._settings))))
            self._start(self._valkey)
        tables = _Child(Process("prepare", (sys.executable, "-m", "workers", "prepare")))
        self._start(tables)
        bootstrap.wait_for_queue(self._settings.redis)
        assert tables.running is not None
        if tables.running.wait() != 0:
            raise SetupProblem(f"The database could not be prepared; see {self._logs / 'prepare.log'}.")

    def _start(self, child: _Child) -> None:
        path = self._log_of(child)
        child.shown = path.stat().st_size if path.exists() else 0
        with path.open("ab") as output:
            child.running = subprocess.Popen(
                leash.command(*child.process.command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment(child.process.name),
                start_new_session=True,
            )
        child.started_at = time.monotonic()

    def _environment(self, name: str) -> dict[str, str]:
        return {key: one for key, one in self._env.items() if name in WITH_SLACK or not key.startswith(SLACK_PREFIX)}

    def _look_after(self) -> None:
        for child in [*([self._valkey] if self._valkey else []), *self._children]:
            self._show(child)
            now = time.monotonic()
            if child.running is not None and child.running.poll() is not None:
                self._note_end(child, child.running, now)
            if child.running is None and now >= child.start_at:
                self._start(child)

    def _note_end(self, child: _Child, ended: subprocess.Popen[bytes], now: float) -> None:
        if now - child.started_at >= LASTS_SECONDS:
            child.pause = FIRST_PAUSE
        log.warning("process_ended", name=child.process.name, status=ended.returncode, pause=child.pause)
        _signal_group(ended, signal.SIGKILL)
        bootstrap.ready_file(self._settings, child.process.name).unlink(missing_ok=True)
        child.running = None
        child.start_at = now + child.pause
        child.pause = min(child.pause * 2, LONGEST_PAUSE)

    def _stop_all(self) -> None:
        for child in reversed(self._children):
            if child.running is not None:
                child.running.terminate()
        self._await_end(self._children, self._grace)
        if self._valkey is not None and self._valkey.running is not None:
            self._valkey.running.terminate()
            self._await_end([self._valkey], VALKEY_GRACE_SECONDS)

    def _await_end(self, children: Sequence[_Child], grace: float) -> None:
        until = time.monotonic() + grace
        for child in children:
            if child.running is None:
                continue
            try:
                child.running.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("process_killed", name=child.process.name, grace=grace)
            _signal_group(child.running, signal.SIGKILL)
            child.running.wait()
            self._show(child)
            bootstrap.ready_file(self._settings, child.process.name).unlink(missing_ok=True)

    def _serves(self, child: _Child) -> bool:
        settings = self._settings
        ports = {"gateway": (settings.gateway_host, settings.gateway_port), "serve": ("127.0.0.1", settings.serve_port)}
        name = child.process.name
        if name in ports:
            with socket.socket() as probe:
                probe.settimeout(0.5)
                return probe.connect_ex(ports[name]) == 0
        if name in {"bot", "notifier", "dispatcher"} or name.startswith("worker-"):
            return bootstrap.ready_file(settings, name).exists()
        return child.running is not None

    def _log_of(self, child: _Child) -> Path:
        return self._logs / f"{child.process.name}.log"

    def _show(self, child: _Child) -> None:
        """Copy what is new in a log to the console."""
        if not self._echo:
            return
        with self._log_of(child).open("rb") as file:
            file.seek(child.shown)
            news = file.read(1 << 16)
        complete = news[: news.rfind(b"\n") + 1]
        child.shown += len(complete)
        for line in complete.decode(errors="replace").splitlines():
            print(f"{child.process.name:<12} | {line}", flush=True)  # noqa: T201 -- the console is what echo is for

    def _rotate(self) -> None:
        """Keep one older part of a log that has grown large. Processes go on writing at the end of the file."""
        for child in [*self._children, *([self._valkey] if self._valkey else [])]:
            path = self._log_of(child)
            if path.stat().st_size > LARGEST_LOG:
                shutil.copyfile(path, path.with_suffix(".log.1"))
                os.truncate(path, 0)
                child.shown = 0


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal what is left of a process's group; the process leads it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
