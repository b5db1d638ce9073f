"""Environments built by the real installer, of a package that is made here; and what can go wrong with that."""

import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from providers.autotrain import environment, program
from providers.autotrain.environment import WORDS, Environment, Recipe
from providers.errors import NotConfigured, Unavailable

NEVER = threading.Event()


def wheel(folder: Path, version: str = "1.0") -> Path:
    """A package with one program, `tiny-hello`."""
    folder.mkdir(exist_ok=True)
    info = f"tiny_hello-{version}.dist-info"
    with zipfile.ZipFile(folder / f"tiny_hello-{version}-py3-none-any.whl", "w") as file:
        file.writestr("tiny_hello.py", f"def main():\n    print('hello {version}')\n")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny-hello\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/entry_points.txt", "[console_scripts]\ntiny-hello = tiny_hello:main\n")
        file.writestr(f"{info}/RECORD", "")
    return folder


@pytest.fixture
def recipe(tmp_path):
    def made(requirement="tiny-hello==1.0", overrides="", more=("--no-index",)):
        for name, text in (("requirements", requirement), ("constraints", ""), ("overrides", overrides)):
            (tmp_path / f"{name}.txt").write_text(text + "\n")
        files = [tmp_path / f"{name}.txt" for name in ("requirements", "constraints", "overrides")]
        links = ("--find-links", str(wheel(tmp_path / "wheels")))
        return Recipe(*files, program="tiny-hello", size=1000, more=(*more, *links))

    return made


def says(place):
    return subprocess.run([str(place / "bin" / "tiny-hello")], capture_output=True, text=True, check=True).stdout


def test_it_is_built_once_says_how_it_is_going_and_works_where_it_was_moved(recipe, tmp_path, monkeypatch):
    here, stages = Environment(tmp_path / "made", recipe()), []
    assert not here.is_there()
    place = here.ensure(stages.append, NEVER)
    assert says(place) == "hello 1.0\n"
    assert place == here.path
    assert stages[0] == f"{WORDS}: making an environment"
    assert stages[-1] == f"{WORDS}: installed 1 package"
    assert not list((tmp_path / "made").glob("*.partial"))
    monkeypatch.setattr(program, "run", lambda *_, **__: pytest.fail("built again"))
    stages.clear()
    assert here.ensure(stages.append, NEVER) == place
    assert stages == []


def test_other_contents_are_another_environment_and_the_old_one_goes(recipe, tmp_path):
    old = Environment(tmp_path / "made", recipe()).ensure(lambda _: None, NEVER)
    wheel(tmp_path / "wheels", "2.0")
    new = Environment(tmp_path / "made", recipe("tiny-hello==2.0")).ensure(lambda _: None, NEVER)
    assert says(new) == "hello 2.0\n"
    assert not old.exists()


def test_a_building_that_was_killed_starts_over(recipe, tmp_path):
    made = recipe()
    script = (
        "import os, signal, threading; from pathlib import Path\n"
        "from providers.autotrain.environment import Environment, Recipe\n"
        "def stage(words):\n"
        "    'asking' in words and os.kill(os.getpid(), signal.SIGKILL)\n"
        f"files = [Path(p) for p in {[str(made.requirements), str(made.constraints), str(made.overrides)]!r}]\n"
        f"recipe = Recipe(*files, program='tiny-hello', size=1000, more={made.more!r})\n"
        f"Environment(Path({str(tmp_path / 'made')!r}), recipe).ensure(stage, threading.Event())\n"
    )
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -9
    left = list((tmp_path / "made").glob(".*.partial"))
    here = Environment(tmp_path / "made", made)
    assert not here.is_there()
    for one in left:
        (one / "half").write_text("of a killed building")
    place = here.ensure(lambda _: None, NEVER)
    assert says(place) == "hello 1.0\n"
    assert not (place / "half").exists()


def test_of_two_builders_one_waits(recipe, tmp_path):
    heard, places = [], []

    def build():
        places.append(Environment(tmp_path / "made", recipe()).ensure(heard.append, NEVER))

    both = [threading.Thread(target=build) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    assert len(places) == 2
    assert len(set(places)) == 1
    assert heard.count(f"{WORDS}: installed 1 package") >= 1
    assert f"{WORDS}: another run is at it" in heard


def test_whoever_waits_or_builds_can_be_ended(recipe, tmp_path):
    here, stopping = Environment(tmp_path / "made", recipe()), threading.Event()
    stopping.set()
    with pytest.raises(program.Ended):
        here.ensure(lambda _: None, stopping)
    assert not here.is_there()


def test_a_registry_that_is_away_a_package_that_is_not_there_and_a_full_disk(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    away = recipe("some-package-of-elsewhere==1", more=("--index-url", "http://127.0.0.1:9/simple"))
    with pytest.raises(Unavailable, match="registry cannot be reached"):
        Environment(tmp_path / "made", away).ensure(lambda _: None, NEVER)
    with pytest.raises(NotConfigured, match=r"installer's own words are in .*tiny-hello-install\.log"):
        Environment(tmp_path / "made", recipe("tiny-hello==7")).ensure(lambda _: None, NEVER)
    assert "tiny-hello==7" in (tmp_path / "made" / "tiny-hello-install.log").read_text()
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    large = Recipe(**{**vars(recipe()), "size": free})
    with pytest.raises(NotConfigured, match="Make room there"):
        Environment(tmp_path / "made", large).ensure(lambda _: None, NEVER)
    (tmp_path / "full.log").write_text("error: failed to write: No space left on device (os error 28)\n")
    assert "disk became full" in environment._problem(tmp_path / "full.log").user_message


def test_an_environment_of_ones_own_is_used_or_missed(recipe, tmp_path):
    place = Environment(tmp_path / "made", recipe()).ensure(lambda _: None, NEVER)
    own = Environment(tmp_path / "other", recipe(), ready_made=place)
    assert own.ensure(lambda _: None, NEVER) == place
    with pytest.raises(NotConfigured, match="FINETUNE_BOT_AUTOTRAIN_ENVIRONMENT"):
        Environment(tmp_path / "other", recipe(), ready_made=tmp_path).ensure(lambda _: None, NEVER)


def test_what_goes_in_is_exact_and_names_no_place():
    made = Recipe()
    lines = [line for line in made.constraints.read_text().splitlines() if not line.startswith("#")]
    assert all("==" in line and "+" not in line and "/" not in line for line in lines)
    assert "autotrain-advanced==0.8.36" in made.requirements.read_text().splitlines()
    assert "autotrain-advanced==0.8.36" in lines
    for path in (made.requirements, made.constraints, made.overrides):
        assert "://" not in path.read_text()
