"""What the doctor says of vendors, and the rotation of the vault's keys, as they are typed."""

import json
import shutil
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlmodel import select

from bot import doctor_vendors
from bot.doctor import Line
from bot.doctor_vendors import examine
from tests.bot.test_cli import finetune_bot
from tests.models_server import ModelsServer
from workers import credentials
from workers.db import Database
from workers.rights import Actor
from workers.settings import Settings
from workers.tables import Credential
from workers.vault import Vault

KEY = "Canary0123456789"


@pytest.fixture
def vendor() -> Iterator[ModelsServer]:
    with ModelsServer(KEY) as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, sqlite_template: Path) -> Path:
    """An installation's folder, with its database."""
    folder = tmp_path / "home"
    folder.mkdir()
    shutil.copyfile(sqlite_template, folder / "finetune-bot.db")
    return folder


def enter(home: Path, team: str = "T1", key: str = KEY, *, problem: str | None = None) -> None:
    db = Database(f"sqlite:///{home / 'finetune-bot.db'}")
    admin = Actor(team, "U1", "C1", is_admin=True)
    with db.write() as session:
        row = credentials.save(session, Vault(home), admin, "openai", {"api_key": key})
        if problem is not None:
            credentials.checked(session, row.id or 0, row.revision, problem=problem)
    db.dispose()


def sealed(home: Path) -> list[str]:
    db = Database(f"sqlite:///{home / 'finetune-bot.db'}")
    with db.read() as session:
        found = [row.sealed for row in session.exec(select(Credential))]
    db.dispose()
    return found


def doctor(*arguments: str, home: Path, **env: str) -> dict[str, dict[str, object]]:
    """Its lines by what they are about."""
    done = finetune_bot("doctor", "--json", *arguments, FINETUNE_BOT_HOME=str(home), **env)
    assert "Canary" not in done.stdout + done.stderr
    assert done.stderr == ""
    return {one["what"]: one for one in map(json.loads, done.stdout.splitlines())}


def test_without_credentials_it_says_how_to_add_them_and_makes_nothing(tmp_path: Path):
    home = tmp_path / "home"
    lines = doctor(home=home)
    assert "not set up (an admin adds them in Slack: /finetune keys)" in str(lines["OpenAI"]["found"])
    assert "Cognitive Services OpenAI Contributor" in str(lines["Azure OpenAI"]["found"])
    assert "Azure AI Developer" in str(lines["Azure Machine Learning"]["found"])
    assert not home.exists()


def test_it_counts_workspaces_by_state_and_asks_nobody(home: Path, vendor: ModelsServer):
    enter(home, "T1", problem="")
    enter(home, "T2", problem="It is refused.")
    enter(home, "T3")
    lines = doctor(home=home, FINETUNE_BOT_OPENAI_URL=vendor.url)
    assert lines["OpenAI"]["found"] == "3 workspaces with credentials: 1 being checked, 1 refused, 1 working"
    assert lines["OpenAI"]["ok"] is False
    assert lines["OpenAI"]["needed"] is False
    assert "what is stored can be opened" in str(lines["Vault"]["found"])
    assert vendor.asked == []


def test_asked_to_it_asks_each_vendor_for_each_workspace(home: Path, vendor: ModelsServer):
    enter(home, "T1")
    enter(home, "T2", "CanaryWrong")
    lines = doctor("--ask", home=home, FINETUNE_BOT_OPENAI_URL=vendor.url)
    assert lines["OpenAI of workspace T1"]["ok"] is True
    assert str(lines["OpenAI of workspace T1"]["found"]).startswith("answers: ")
    assert lines["OpenAI of workspace T2"]["ok"] is False
    assert len(vendor.asked) == 2


def test_a_vendor_that_hangs_does_not_hold_it_up(home: Path, vendor: ModelsServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor_vendors, "ASK_SECONDS", 0.5)
    monkeypatch.setattr(doctor_vendors, "ASK_ALL_SECONDS", 2.0)
    monkeypatch.setenv("FINETUNE_BOT_OPENAI_URL", vendor.url)
    for number in range(6):
        enter(home, f"T{number}")
    vendor.faults = ["hang"] * 6
    began = time.monotonic()
    lines = {one.what: one for one in examine(Settings(home=home), wanting_answers=True)}
    assert time.monotonic() - began < 8.0
    assert "no answer within 0.5 seconds" in lines["OpenAI of workspace T0"].found
    assert "took too long" in lines["OpenAI of workspace T5"].found


def test_a_key_that_is_gone_or_readable_by_others_is_named(home: Path):
    enter(home)
    path = home / "keys" / "vault.keys"
    path.chmod(0o644)
    assert "chmod 600" in str(doctor(home=home)["Vault"]["found"])
    path.chmod(0o600)
    path.write_text(Fernet.generate_key().decode())
    line = doctor(home=home)["Vault"]
    assert line["ok"] is False
    assert "OpenAI of T1" in str(line["found"])
    path.unlink()
    assert "There is no" in str(doctor(home=home)["Vault"]["found"])
    assert not path.exists()


def test_a_database_that_is_away_is_no_reason_to_break(tmp_path: Path):
    settings = Settings(home=tmp_path, database_url="postgresql://127.0.0.1:9/none")
    lines = {one.what: one for one in examine(settings, wanting_answers=True)}
    assert "cannot be read (OperationalError)" in lines["OpenAI"].found


def on(day: date, tmp_path: Path) -> list[Line]:
    return list(examine(Settings(home=tmp_path, today=day), wanting_answers=False))


@pytest.mark.parametrize(("day", "ok"), [(date(2026, 11, 25), True), (date(2027, 3, 1), False)])
def test_old_prices_are_told(tmp_path: Path, day: date, *, ok: bool):
    line = next(one for one in on(day, tmp_path) if one.what == "Price list")
    assert line.ok is ok
    assert "OpenAI of" in line.found
    assert ("over 120 days old" in line.found) is not ok


def test_what_ends_within_two_months_is_told(tmp_path: Path):
    told = [one.found for one in on(date(2026, 11, 25), tmp_path) if one.what == "Soon over at OpenAI"]
    assert any("until 6 January 2027" in one for one in told)
    assert [one for one in on(date(2026, 9, 1), tmp_path) if "6 January 2027" in one.found] == []
    after = {one.what: one.found for one in on(date(2027, 1, 7), tmp_path) if "6 January 2027" in one.found}
    assert after == {"Known of OpenAI": "OpenAI has taken no new fine-tuning jobs since 6 January 2027."}


def test_keys_are_rotated_as_often_as_one_likes(home: Path):
    enter(home)
    before = sealed(home)
    for number in range(3):
        done = finetune_bot("rotate-keys", FINETUNE_BOT_HOME=str(home))
        assert done.returncode == 0, done.stderr
        assert done.stdout == "Sealed with a new key: 1 set of vendor credentials.\n"
        assert len((home / "keys" / "vault.keys").read_text().split()) == 2, number
    assert sealed(home) != before
    assert Vault(home).open(sealed(home)[0]) == {"api_key": KEY}


def test_what_cannot_be_resealed_is_named(home: Path):
    enter(home)
    (home / "keys" / "vault.keys").write_text(Fernet.generate_key().decode())
    done = finetune_bot("rotate-keys", FINETUNE_BOT_HOME=str(home))
    assert done.returncode == 1
    assert "Not opened by any key: openai of workspace T1" in done.stdout


def test_given_keys_are_not_made_but_used(home: Path):
    enter(home)
    old = (home / "keys" / "vault.keys").read_text()
    new = Fernet.generate_key().decode()
    done = finetune_bot("rotate-keys", FINETUNE_BOT_HOME=str(home), FINETUNE_BOT_VAULT_KEYS=f"{new},{old}")
    assert done.returncode == 0, done.stderr
    assert "the first key of FINETUNE_BOT_VAULT_KEYS" in done.stdout
    assert new not in done.stdout
    assert Fernet(new).decrypt(sealed(home)[0])
    assert (home / "keys" / "vault.keys").read_text() == old


def test_without_an_installation_nothing_is_rotated(tmp_path: Path):
    done = finetune_bot("rotate-keys", FINETUNE_BOT_HOME=str(tmp_path / "none"))
    assert done.returncode == 1
    assert "There is no installation" in done.stderr
    assert not (tmp_path / "none").exists()
