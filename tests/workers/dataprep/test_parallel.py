import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from workers.dataprep.parallel import ProcessEnded, each


def square(number: int) -> int:
    time.sleep(0.01 * (number % 3))
    return number * number


def fail_at_five(number: int) -> int:
    if number == 5:
        raise ValueError("five")
    return number


def die_at_five(number: int) -> int:
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_results_come_in_the_jobs_order():
    assert list(each(square, list(range(40)), 3)) == [number * number for number in range(40)]


def test_an_error_is_raised_here():
    with pytest.raises(ValueError, match="five"):
        list(each(fail_at_five, list(range(20)), 2))


def test_a_killed_process_is_said_and_not_waited_for():
    with pytest.raises(ProcessEnded, match="memory"):
        list(each(die_at_five, list(range(20)), 2))


def test_leaving_early_leaves_no_process():
    results = each(square, list(range(200)), 2)
    assert next(results) == 0
    results.close()
    assert not [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


def test_no_process_outlives_a_killed_parent(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            """
            import time
            from workers.dataprep.parallel import each
            def work(number):
                time.sleep(0.2)
                return number
            if __name__ == "__main__":
                for number in each(work, list(range(1000)), 2):
                    print(number, flush=True)
            """
        )
    )
    env = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, env=env) as parent:
        assert parent.stdout.readline()
        children = psutil.Process(parent.pid).children(recursive=True)
        assert children
        parent.kill()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive


class Unreadable:
    """Can be sent, but not received."""

    def __reduce__(self):
        return (int, ("no number",))


def send_what_cannot_be_read(number: int) -> Unreadable:
    return Unreadable()


def test_an_answer_that_cannot_be_read_is_an_error_not_a_wait():
    with pytest.raises(ValueError, match="no number"):
        list(each(send_what_cannot_be_read, list(range(4)), 2))
