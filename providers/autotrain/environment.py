"""AutoTrain's own virtual environment: its libraries are older than ours. Built once, when it is first needed.

It is built beside its place and moved there when it is complete, so a half-built one is never used: an interrupted
building starts over, while what was downloaded stays in the installer's cache. One process builds, others wait.
"""

import fcntl
import hashlib
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from providers.autotrain import program
from providers.autotrain.settings import find_links, installing_environment
from providers.errors import NotConfigured, Unavailable

log = structlog.get_logger()

DATA = Path(__file__).parent
SIZE = 2_200_000_000
"""What an environment takes on a machine without a GPU."""
WORDS = "installing AutoTrain (2.2 GB, once)"
NEWEST_PYTHON = (3, 13)
"""The last Python that all of AutoTrain's libraries have been built for."""
_ROOM = 1.5
"""Times the size that must be free: the installer unpacks before it puts things into place."""
_UNREACHED = re.compile(
    r"error sending request|failed to fetch|dns error|failed to lookup|tcp connect|connection (refused|reset|closed)"
    r"|client error \(connect\)|network is unreachable|timed out|temporary failure|operation timeout",
    re.IGNORECASE,
)
_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_TOLD = re.compile(r"^ ?(Resolved|Prepared|Installed|Downloading|Building) (.+?)(?: in .*| \(.*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Recipe:
    """What goes into an environment, and the program by which one knows that it is complete."""

    requirements: Path = DATA / "requirements.txt"
    constraints: Path = DATA / "constraints.txt"
    overrides: Path = DATA / "overrides.txt"
    program: str = "autotrain"
    size: int = SIZE
    more: tuple[str, ...] = field(default=())
    """Further words for the installer."""

    @property
    def name(self) -> str:
        """A name that changes with everything that goes in."""
        digest = hashlib.sha256()
        for path in (self.requirements, self.constraints, self.overrides):
            digest.update(path.read_bytes())
        digest.update(_python().encode())
        return f"{self.program}-{digest.hexdigest()[:12]}"


@dataclass(frozen=True)
class Environment:
    """The place of an environment. `ready_made` is one that somebody else has built, and is only used."""

    folder: Path
    recipe: Recipe = field(default_factory=Recipe)
    ready_made: Path | None = None

    @property
    def path(self) -> Path:
        """Where it is, once it is complete."""
        return self.ready_made or self.folder / self.recipe.name

    def is_there(self) -> bool:
        """Whether it can be used at once."""
        return (self.path / "bin" / self.recipe.program).is_file()

    def ensure(self, stage: Callable[[str], None], stopping: threading.Event) -> Path:
        """Its folder, built now if need be; `stage` hears how that is going.

        Raises NotConfigured, Unavailable, program.Ended.
        """
        if self.is_there():
            return self.path
        if self.ready_made is not None:
            raise NotConfigured(
                f"There is no AutoTrain in {self.ready_made}, which this installation is told to use. Build it there, "
                "or remove FINETUNE_BOT_AUTOTRAIN_ENVIRONMENT, and it is built here."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        with _alone(self.folder / f".{self.recipe.program}.lock", stage, stopping):
            if not self.is_there():
                self._build(stage, stopping)
        return self.path

    def _build(self, stage: Callable[[str], None], stopping: threading.Event) -> None:
        installer = _installer()
        _check_room(self.folder, self.recipe.size)
        for old in self.folder.glob(f"{self.recipe.program}-*"):
            shutil.rmtree(old, ignore_errors=True)  # of an earlier version
        partial = self.folder / f".{self.recipe.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        log_file = self.folder / f"{self.recipe.program}-install.log"
        log_file.unlink(missing_ok=True)
        began = time.monotonic()

        def look() -> None:
            stage(f"{WORDS}: {_last_told(log_file)}")

        def act(*words: str) -> bool:
            code = program.run(
                [installer, *words],
                environment=installing_environment(),
                folder=self.folder,
                output=log_file,
                stopping=stopping,
                look=look,
            )
            return code == 0

        stage(f"{WORDS}: making an environment")
        python = str(partial / "bin" / "python")
        done = act("venv", "--relocatable", "--no-project", "--python", _python(), str(partial))
        if done:
            install = ["pip", "install", "--python", python, "--requirement", str(self.recipe.requirements)]
            install += ["--override", str(self.recipe.overrides), *self.recipe.more]
            exact = ["--constraint", str(self.recipe.constraints)]
            links = [word for place in find_links() for word in ("--find-links", place)]
            done = act(*install, *exact, *(links or ["--torch-backend=auto"]))
            if not done and not links:
                done = act(*install, *exact)  # torch's own build for this machine could not be reached
        if not done or not (partial / "bin" / self.recipe.program).is_file():
            raise _problem(log_file)
        partial.replace(self.path)
        log.info("environment_built", name=self.recipe.name, seconds=round(time.monotonic() - began, 1))


def _python() -> str:
    """The Python to build with: this one, unless it is newer than AutoTrain's libraries."""
    if sys.version_info[:2] <= NEWEST_PYTHON:
        return sys.executable
    return ".".join(map(str, NEWEST_PYTHON))


def _installer() -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if found is None:
        raise NotConfigured("AutoTrain's environment is built by uv, which is not here. Install it: pip install uv")
    return found


def _check_room(folder: Path, size: int) -> None:
    free, wanted = shutil.disk_usage(folder).free, size * _ROOM
    if free < wanted:
        raise NotConfigured(
            f"AutoTrain's environment needs {wanted / 1e9:.1f} GB on the disk of {folder}, where {free / 1e9:.1f} GB "
            "are free. Make room there, then start again."
        )


def _problem(log_file: Path) -> NotConfigured | Unavailable:
    """Why it was not built, from what the installer has said."""
    said = log_file.read_text(errors="replace") if log_file.is_file() else ""
    log.warning("environment_not_built", log=str(log_file))
    if _FULL.search(said):
        return NotConfigured(
            f"The disk became full while AutoTrain was installed. It needs {SIZE * _ROOM / 1e9:.1f} GB in the folder "
            f"{log_file.parent}. Make room there, then start again."
        )
    if _UNREACHED.search(said):
        return Unavailable(
            "AutoTrain could not be installed: the package registry cannot be reached from this machine. Look at its "
            "network, then start again; what was downloaded is kept."
        )
    return NotConfigured(
        f"AutoTrain could not be installed on this machine. The installer's own words are in {log_file}. This "
        "machine's own trainer learns the same: choose “This machine” instead."
    )


def _last_told(log_file: Path) -> str:
    """The installer's last step, in its own words."""
    try:
        with log_file.open("rb") as file:
            file.seek(max(0, log_file.stat().st_size - 4096))
            told = _TOLD.findall(file.read().decode(errors="replace"))
    except FileNotFoundError:
        told = []
    return f"{told[-1][0].lower()} {told[-1][1][:60]}" if told else "asking the package registry"


@contextmanager
def _alone(path: Path, stage: Callable[[str], None], stopping: threading.Event) -> Iterator[None]:
    """Hold a lock that other processes respect, and that ends with this process at the latest."""
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                stage(f"{WORDS}: another run is at it")
                if stopping.wait(program.LOOK_SECONDS):
                    raise program.Ended from None
        yield
