"""Starting a whole installation on this machine: the Procfile's processes and, without Slack, the local workspace."""

import os
import socket
import statistics
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlmodel import Session, col, select

from bot import tokens
from bot.manifest import SHORTCUTS
from bot.sandbox import Sandbox
from bot.settings import SlackSettings
from workers.__main__ import stop_on_signals
from workers.db import Database
from workers.errors import SetupProblem
from workers.run_status import RunStatus
from workers.runs import lifecycle
from workers.settings import Settings
from workers.supervisor import Supervisor, exported
from workers.tables import Evaluation, Run, RunMetric

READY_SECONDS = 90.0


class Installation:
    """All processes of an installation, with a local workspace, for the length of a block.

    `home` is its folder, `database_url` its database (empty: in the folder); `free_ports` takes any free ports
    instead of the configured ones; `env` adds to the processes' environment.
    """

    def __init__(
        self,
        home: Path,
        *,
        sandbox_port: int = 0,
        free_ports: bool = False,
        env: Mapping[str, str] | None = None,
        database_url: str = "",
        sandbox: Sandbox | None = None,
    ) -> None:
        ports = dict(zip(("gateway_port", "serve_port"), _free_ports(2), strict=True)) if free_ports else {}
        self.settings = Settings().model_copy(update={"home": home, "database_url": database_url, **ports})
        self._given = sandbox
        self._sandbox_port = sandbox_port
        self._env = dict(env or {})
        self._stack = ExitStack()
        self.sandbox: Sandbox
        self.supervisor: Supervisor

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.sandbox = self._given or stack.enter_context(Sandbox(port=self._sandbox_port, shortcuts=SHORTCUTS))
            env = {**os.environ, **exported(self.settings), **self.sandbox.env(), **self._env}
            self.supervisor = stack.enter_context(Supervisor(self.settings, env=env))
            self.supervisor.wait_until_ready(READY_SECONDS)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def sandbox_url(self) -> str:
        """The address of the local workspace's page."""
        return self.sandbox.url

    @property
    def gateway_url(self) -> str:
        """The address of the gateway, without a slash at the end."""
        return self.settings.public_gateway

    @property
    def logs(self) -> Path:
        """The folder of every process's log."""
        return self.settings.folder / "logs"

    def names(self) -> list[str]:
        """The processes that run."""
        return sorted(self.supervisor.pids())

    def database(self) -> Database:
        """The installation's database; the caller disposes of it."""
        return Database(self.settings.database)

    def figures(self) -> dict[str, Any]:
        """The figures of the newest finished run."""
        db = self.database()
        try:
            with db.read() as session:
                return _figures(session)
        finally:
            db.dispose()


def _figures(session: Session) -> dict[str, Any]:
    finished = select(Run).where(Run.status == RunStatus.READY, ~col(Run.request_key).contains(lifecycle.PART))
    run = session.exec(finished.order_by(col(Run.id).desc()).limit(1)).one_or_none()
    if run is None:
        raise SetupProblem("No run has come to its end.")
    summary = session.exec(select(Evaluation).where(Evaluation.run_id == run.id)).one().summary
    if "problem" in summary:
        raise SetupProblem(str(summary["problem"]))
    return {
        "examples": {"train": run.cost["examples"], "test": summary["examples"]},
        "seconds": {
            "trainer": round((run.trained_at or 0.0) - (run.started_at or 0.0), 1),
            "evaluator": round((run.ended_at or 0.0) - (run.trained_at or 0.0), 1),
        },
        "tokens_per_second": _typical_speed(session, run),
        "base": summary["base"],
        "tuned": summary["tuned"],
        "answers": summary["answers"],
    }


def _typical_speed(session: Session, run: Run) -> float | None:
    """The median over the run's steps, in tokens a second."""
    speeds = select(RunMetric.tokens_per_second).where(
        RunMetric.run_id == run.id, col(RunMetric.tokens_per_second).is_not(None)
    )
    found = [one for one in session.exec(speeds) if one is not None]
    return round(statistics.median(found), 1) if found else None


def run_until_stopped(port: int) -> None:
    """`finetune-bot up`: keep everything running until Ctrl-C or SIGTERM. Raises SetupProblem."""
    settings, slack = Settings(), SlackSettings()
    stop = stop_on_signals()
    tokens.check(slack)
    with ExitStack() as stack:
        env = {**os.environ, **exported(settings)}
        greeting = f"Finetune Bot serves your Slack workspace ({slack.mode}). Ctrl-C stops it."
        if slack.mode == "sandbox":
            sandbox = stack.enter_context(Sandbox(port=port, shortcuts=SHORTCUTS))
            env |= sandbox.env()
            greeting = _greeting(sandbox.url, settings)
        supervisor = Supervisor(settings, env=env, echo=slack.mode != "sandbox" and sys.stdout.isatty())
        try:
            supervisor.start()
            supervisor.wait_until_ready(READY_SECONDS)
            print(greeting, flush=True)  # noqa: T201
            stop.wait()
            print("Stopping ...", flush=True)  # noqa: T201
        finally:
            supervisor.stop()


def _greeting(url: str, settings: Settings) -> str:
    lines = (
        "",
        f"  Your local workspace:  {url}",
        "",
        "  Open it in a browser, attach examples/cookbook_recipe_training.jsonl and",
        "  examples/cookbook_recipe_validation.jsonl to a message in #finetuning, then type /finetune start.",
        f"  What you do is kept in {settings.folder}. Logs: {settings.folder / 'logs'}. Ctrl-C stops it.",
        "",
    )
    return "\n".join(lines)


def run_sandbox(port: int) -> None:
    """`finetune-bot sandbox`: only the local workspace, with what a bot beside it must be told."""
    stop = stop_on_signals()
    with Sandbox(port=port, shortcuts=SHORTCUTS) as sandbox:
        print(f"The local workspace: {sandbox.url}\nFor a bot beside it:", flush=True)  # noqa: T201
        for name, value in sandbox.env().items():
            print(f"export {name}={value}", flush=True)  # noqa: T201
        stop.wait()


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
