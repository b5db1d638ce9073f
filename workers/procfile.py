"""The Procfile: the one list of this product's processes."""

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from workers.errors import SetupProblem

PROCFILE = Path(__file__).resolve().parent.parent / "Procfile"

_LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(\S.*)")


@dataclass(frozen=True)
class Process:
    """A process to keep running: its name and its command line."""

    name: str
    command: tuple[str, ...]


def read(path: Path = PROCFILE) -> list[Process]:
    """The processes, in the file's order; `python` is the interpreter that reads it. Raises SetupProblem."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise SetupProblem(f"{path} is missing: start from the project's folder as it was cloned.") from None
    processes = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise SetupProblem(f"{path}, line {number}: not `name: command`.")
        words = shlex.split(match[2])
        if words[0] == "python":
            words[0] = sys.executable
        processes.append(Process(match[1], tuple(words)))
    return processes
