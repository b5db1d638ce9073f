"""The Procfile is the one list of processes."""

import sys

import pytest

from workers import procfile
from workers.errors import SetupProblem


def test_the_project_s_own_names_every_process_once():
    processes = procfile.read()
    names = [one.name for one in processes]
    assert len(names) == len(set(names))
    assert {"bot", "notifier", "dispatcher", "gateway", "serve", "worker-cpu", "worker-gpu"} <= set(names)
    assert all(one.command[:2] == (sys.executable, "-m") for one in processes)


def test_comments_and_quotes(tmp_path):
    path = tmp_path / "Procfile"
    path.write_text("# a comment\n\nweb: python -c 'print(1)'\n  other:sleep 5  \n")
    assert [(one.name, one.command) for one in procfile.read(path)] == [
        ("web", (sys.executable, "-c", "print(1)")),
        ("other", ("sleep", "5")),
    ]


@pytest.mark.parametrize("line", ["no colon", "two words: x", "empty:", ": x"])
def test_a_bad_line_is_named(tmp_path, line):
    path = tmp_path / "Procfile"
    path.write_text(f"a: x\n{line}\n")
    with pytest.raises(SetupProblem, match="line 2"):
        procfile.read(path)


def test_a_missing_procfile_says_what_to_do(tmp_path):
    with pytest.raises(SetupProblem, match="start from the project's folder"):
        procfile.read(tmp_path / "Procfile")
