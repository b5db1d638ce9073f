"""The supervisor: keeps processes running, stops all of them, and leaves none behind."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from workers import supervisor as supervisor_module
from workers.errors import SetupProblem
from workers.procfile import Process
from workers.supervisor import Supervisor, exported

SLEEP = ("sleep", "300")


@pytest.fixture
def supervise(settings):
    """Build a supervisor of these processes; stopped at the end."""
    made = []

    def build(*processes, **options):
        env = os.environ | exported(settings)
        options.setdefault("grace", 5.0)
        made.append(Supervisor(settings, [Process(name, command) for name, command in processes], env, **options))
        return made[-1]

    yield build
    for one in made:
        one.stop()


def alive(pid):
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_everything_starts_and_everything_ends(supervise, settings, eventually):
    stubborn = ("sh", "-c", "echo hello from a; sleep 300")
    with supervise(("a", stubborn), ("b", SLEEP)) as running:
        pids = running.pids()
        assert set(pids) == {"a", "b", "valkey"}
        assert all(alive(pid) for pid in pids.values())
        eventually(lambda: (settings.folder / "logs" / "a.log").read_text() == "hello from a\n")
    assert not any(alive(pid) for pid in pids.values())
    assert running.pids() == {}


def test_only_what_speaks_to_slack_is_given_its_tokens(supervise, settings, eventually, monkeypatch):
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-canary")
    monkeypatch.setenv("SLACK_APP_TOKEN", "xapp-canary")
    names = ["bot", "notifier", "dispatcher", "gateway", "serve", "worker-cpu", "worker-cloud", "worker-gpu"]
    tell = ("sh", "-c", "env; echo that is all; sleep 300")
    with supervise(*((name, tell) for name in names)):
        logs = {name: settings.folder / "logs" / f"{name}.log" for name in names}
        eventually(lambda: all(path.exists() and "that is all" in path.read_text() for path in logs.values()))
    told = {name for name, path in logs.items() if "canary" in path.read_text()}
    assert told == {"bot", "notifier"}
    assert all("FINETUNE_BOT_HOME=" in path.read_text() for path in logs.values())


def test_a_killed_process_is_started_again(supervise, eventually, monkeypatch):
    monkeypatch.setattr(supervisor_module, "FIRST_PAUSE", 0.1)
    with supervise(("a", SLEEP), ("b", SLEEP)) as running:
        before = running.pids()
        os.kill(before["a"], signal.SIGKILL)
        os.kill(before["valkey"], signal.SIGKILL)
        eventually(lambda: {"a", "valkey"} <= set(running.pids()) and before["a"] != running.pids()["a"])
        after = running.pids()
    assert after["b"] == before["b"]
    assert after["valkey"] != before["valkey"]


def test_one_that_ends_at_once_is_started_ever_more_rarely(supervise, settings, eventually):
    with supervise(("a", ("sh", "-c", "echo again"))):
        log = settings.folder / "logs" / "a.log"
        eventually(lambda: log.read_text().count("again") >= 2)
        time.sleep(1.0)
        assert log.read_text().count("again") <= 3


def test_what_a_process_started_goes_with_it(supervise, settings, eventually):
    command = ("sh", "-c", f"sleep 300 & echo $! > {settings.folder}/grandchild; wait")
    with supervise(("a", command)):
        eventually(lambda: (settings.folder / "grandchild").exists())
        eventually((settings.folder / "grandchild").read_text)
        pid = int((settings.folder / "grandchild").read_text())
        assert alive(pid)
    eventually(lambda: not alive(pid), seconds=3)


def test_one_that_does_not_stop_is_killed_after_the_grace(supervise, eventually, settings):
    deaf = (
        "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(300)"
    )
    with supervise(("a", (sys.executable, "-c", deaf)), grace=0.5) as running:
        eventually(lambda: "deaf" in (settings.folder / "logs" / "a.log").read_text())
        pid = running.pids()["a"]
        started = time.monotonic()
    assert time.monotonic() - started < 5
    assert not alive(pid)


def test_a_second_one_is_told_that_the_first_is_running(supervise):
    with supervise(("a", SLEEP)) as first:
        with pytest.raises(SetupProblem, match=f"already running .*process {os.getpid()}"):
            supervise(("a", SLEEP)).start()
        assert alive(first.pids()["a"])


def test_a_database_that_cannot_be_prepared_is_told_and_nothing_runs(settings, supervise):
    settings.folder.mkdir(parents=True)
    (settings.folder / "finetune-bot.db").write_text("this is no database, whatever its name says" * 100)
    running = supervise(("a", SLEEP))
    with pytest.raises(SetupProblem, match=r"prepare\.log"):
        running.start()
    assert running.pids() == {}


def test_waiting_until_ready_names_what_is_not(supervise):
    with supervise(("dispatcher", SLEEP), ("a", SLEEP)) as running:
        with pytest.raises(SetupProblem, match="Not ready: dispatcher;"):
            running.wait_until_ready(0.3)


def test_the_real_dispatcher_gets_ready_and_stops_cleanly(supervise, settings):
    with supervise(("dispatcher", (sys.executable, "-m", "workers", "dispatcher"))) as running:
        running.wait_until_ready(30)
        dispatcher = running._children[0].running
    assert dispatcher.returncode == 0
    assert "Traceback" not in (settings.folder / "logs" / "dispatcher.log").read_text()


def test_the_console_sees_every_process(supervise, capsys, eventually):
    seen = []

    def look():
        seen.append(capsys.readouterr().out)
        return "a            | hello\n" in "".join(seen)

    with supervise(("a", ("sh", "-c", "echo hello; sleep 300")), echo=True):
        eventually(look)


def test_a_large_log_is_cut_and_one_older_part_kept(supervise, settings, eventually, monkeypatch):
    monkeypatch.setattr(supervisor_module, "LARGEST_LOG", 100)
    monkeypatch.setattr(supervisor_module, "ROTATE_SECONDS", 0.1)
    chatter = ("sh", "-c", "for n in $(seq 60); do echo a line of the log; done; sleep 1; echo after; sleep 300")
    with supervise(("a", chatter)):
        log = settings.folder / "logs" / "a.log"
        eventually(lambda: log.with_suffix(".log.1").exists() and log.read_text() == "after\n")


PROGRAM = """
import sys
from workers.procfile import Process
from workers.settings import Settings
from workers.supervisor import Supervisor
nest = Process("nest", ("sh", "-c", "sleep 300 & wait"))
running = Supervisor(Settings(), [Process("a", ("sleep", "300")), nest])
running.start()
print(*running.pids().values(), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def process(settings):
    env = os.environ | exported(settings)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], env=env, **pipes) as process:
        yield process
        process.kill()


def test_nothing_survives_a_killed_supervisor_and_the_next_one_starts(process, supervise, eventually):
    pids = [int(word) for word in process.stdout.readline().split()]
    assert len(pids) == 3
    assert all(alive(pid) for pid in pids)
    process.kill()
    process.wait()
    eventually(lambda: not any(alive(pid) for pid in pids), seconds=3)
    with supervise(("a", SLEEP)) as running:
        assert set(running.pids()) == {"a", "valkey"}


def test_a_stop_from_elsewhere_is_heard(supervise):
    running, stop = supervise(("a", SLEEP)), threading.Event()
    thread = threading.Thread(target=running.run, args=(stop,))
    thread.start()
    assert running._up.wait(30)
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    assert running.pids() == {}
