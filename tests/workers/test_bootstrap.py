"""Preparing a machine: private folders, one key, newest tables, one installation at a time."""

import os
import signal
import stat
import subprocess
import sys

import pytest
from redis import Redis
from sqlalchemy import text

from workers import bootstrap
from workers.db import Database
from workers.errors import SetupProblem
from workers.settings import Settings
from workers.supervisor import exported


def test_two_preparations_at_once_end_well(settings, db):
    with db.engine.begin() as connection:  # a database that has no tables yet
        names = connection.execute(
            text("SELECT name FROM sqlite_master WHERE type = 'table'")
            if db.is_sqlite
            else text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ).scalars().all()  # fmt: skip
        if db.is_sqlite:
            connection.execute(text("PRAGMA defer_foreign_keys = ON"))
        for name in names:
            connection.execute(text(f'DROP TABLE "{name}"' + ("" if db.is_sqlite else " CASCADE")))
        if not db.is_sqlite:
            types = connection.execute(text("SELECT typname FROM pg_type WHERE typtype = 'e'")).scalars().all()
            for name in types:
                connection.execute(text(f"DROP TYPE {name}"))
    url = db.url.render_as_string(hide_password=False)
    env = os.environ | exported(settings.model_copy(update={"database_url": url}))
    command = [sys.executable, "-m", "workers", "prepare"]
    both = [subprocess.Popen(command, env=env, stderr=subprocess.PIPE) for _ in range(2)]
    told = [one.communicate()[1].decode() for one in both]
    assert [one.returncode for one in both] == [0, 0], told
    with db.read() as session:
        assert session.scalar(text("SELECT count(*) FROM task")) == 0


def test_the_home_is_for_this_user_only(settings):
    bootstrap.prepare(settings)
    bootstrap.prepare(settings)
    for folder in (settings.folder, settings.folder / "keys", settings.folder / "run"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    key = settings.folder / "keys" / "queue.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    db = Database(settings.database)
    with db.read() as session:
        assert session.scalar(text("SELECT count(*) FROM task")) == 0
    db.dispose()


def test_a_second_installation_in_the_same_home_is_told_who_is_there(settings):
    bootstrap.make_folders(settings)
    with bootstrap.locked(settings):
        with pytest.raises(SetupProblem, match=f"already running .*process {os.getpid()}"), bootstrap.locked(settings):
            pass
    with bootstrap.locked(settings):
        pass  # free again


def test_a_killed_holder_frees_the_lock(settings):
    bootstrap.make_folders(settings)
    program = (
        "import time; from workers import bootstrap; from workers.settings import Settings\n"
        "with bootstrap.locked(Settings()):\n    print('locked', flush=True); time.sleep(60)"
    )
    env = os.environ | exported(settings)
    with subprocess.Popen([sys.executable, "-c", program], env=env, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(SetupProblem, match=str(holder.pid)), bootstrap.locked(settings):
            pass
        holder.kill()
    with bootstrap.locked(settings):
        pass


@pytest.fixture
def start_queue(settings):
    started = []

    def start():
        process = subprocess.Popen(bootstrap.valkey_command(settings), stdout=subprocess.DEVNULL)
        started.append(process)
        bootstrap.wait_for_queue(settings.redis, 20)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_the_embedded_queue_has_no_port_and_a_private_socket(settings, start_queue):
    bootstrap.make_folders(settings)
    start_queue()
    assert stat.S_IMODE(settings.valkey_socket.stat().st_mode) == 0o700
    with Redis.from_url(settings.redis) as redis:
        assert redis.config_get("port")["port"] == "0"
        assert redis.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"


def test_the_queue_survives_a_kill(settings, start_queue):
    bootstrap.make_folders(settings)
    queue = start_queue()
    with Redis.from_url(settings.redis) as redis:
        redis.set("a", "kept")
        redis.execute_command("WAITAOF", 1, 0, 5000)
    queue.send_signal(signal.SIGKILL)
    queue.wait()
    start_queue()
    with Redis.from_url(settings.redis) as redis:
        assert redis.get("a") == b"kept"


def test_an_orphaned_queue_is_stopped(settings, start_queue):
    bootstrap.make_folders(settings)
    orphan = start_queue()
    bootstrap.end_orphaned_queue(settings)
    assert orphan.wait(10) == 0
    bootstrap.end_orphaned_queue(settings)  # nobody there: nothing to do


def test_a_queue_that_does_not_answer_says_where_to_look(settings):
    bootstrap.make_folders(settings)
    with pytest.raises(SetupProblem, match="check REDIS_URL"):
        bootstrap.wait_for_queue(settings.redis, 0.1)


def test_a_long_home_still_has_a_socket(tmp_path):
    settings = Settings(home=tmp_path / ("x" * 90))
    assert len(str(settings.valkey_socket)) < 100
    assert settings.valkey_socket != Settings(home=tmp_path / ("y" * 90)).valkey_socket


def test_settings_survive_the_way_to_a_child(settings, monkeypatch):
    settings = settings.model_copy(
        update={"redis_url": "redis://127.0.0.1:1/0", "database_url": "sqlite:///x.db", "lease_seconds": 2.5}
    )
    for name, value in exported(settings).items():
        monkeypatch.setenv(name, value)
    told = Settings()
    assert told.folder == settings.folder
    assert told.model_dump(exclude={"home"}) == settings.model_dump(exclude={"home"})
