"""Secrets at rest: what seals, what opens, and what a rotation leaves."""

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from workers.errors import SetupProblem
from workers.vault import KEPT, Vault, VaultSettings

VALUES = {"api_key": "sk-proj-Canary", "organization": "org-1"}
ROOT = Path(__file__).resolve().parents[2]


def keys_of(folder: Path) -> list[str]:
    return (folder / "keys" / "vault.keys").read_text().split()


def given(*keys: str) -> VaultSettings:
    return VaultSettings(vault_keys=SecretStr(",".join(keys)))


def test_what_is_sealed_can_be_opened_and_not_read(tmp_path: Path):
    sealed = Vault(tmp_path).seal(VALUES)
    assert "Canary" not in sealed
    assert Vault(tmp_path).open(sealed) == VALUES


def test_only_its_user_can_read_the_key(tmp_path: Path):
    vault = Vault(tmp_path)
    vault.seal(VALUES)
    path = tmp_path / "keys" / "vault.keys"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    with vault.rotation():
        pass
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(one.name for one in path.parent.iterdir()) == ["vault.keys", "vault.lock"]


def test_a_rotation_keeps_what_is_sealed_open_in_processes_that_run(tmp_path: Path):
    running, other = Vault(tmp_path), Vault(tmp_path)
    old = running.seal(VALUES)
    first = keys_of(tmp_path)
    with other.rotation():
        assert running.open(old) == VALUES
        new = other.reseal(old)
        assert running.open(new) == VALUES
    assert keys_of(tmp_path)[1:] == first
    assert Fernet(keys_of(tmp_path)[0]).decrypt(new)
    assert running.open(old) == VALUES
    sealed_now = running.seal(VALUES)
    assert Fernet(keys_of(tmp_path)[0]).decrypt(sealed_now)


def test_the_key_before_the_last_goes_at_the_next_rotation(tmp_path: Path):
    vault = Vault(tmp_path)
    sealed = vault.seal(VALUES)
    for _ in range(3):
        with vault.rotation():
            sealed = vault.reseal(sealed)
    assert len(keys_of(tmp_path)) == KEPT
    assert vault.open(sealed) == VALUES


def test_a_rotation_that_breaks_loses_no_key_and_the_next_makes_up_for_it(tmp_path: Path):
    vault = Vault(tmp_path)
    sealed = vault.seal(VALUES)
    for _ in range(3):
        with pytest.raises(RuntimeError), vault.rotation():
            raise RuntimeError("killed before anything was sealed")
    assert len(keys_of(tmp_path)) == 4
    assert vault.open(sealed) == VALUES
    with vault.rotation():
        sealed = vault.reseal(sealed)
    assert len(keys_of(tmp_path)) == KEPT
    assert vault.open(sealed) == VALUES


def test_keys_may_be_given_and_the_first_of_them_seals(tmp_path: Path):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    sealed = Vault(tmp_path, given(old)).seal(VALUES)
    both = Vault(tmp_path, given(new, old))
    assert both.open(sealed) == VALUES
    with both.rotation():
        assert Vault(tmp_path, given(new)).open(both.reseal(sealed)) == VALUES
    assert not (tmp_path / "keys").exists()
    with pytest.raises(SetupProblem, match="sealed with a key that is not here"):
        Vault(tmp_path, given(new)).open(sealed)


def test_given_keys_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    key = Fernet.generate_key().decode()
    monkeypatch.setenv("FINETUNE_BOT_VAULT_KEYS", f" {key} ,")
    assert Fernet(key).decrypt(Vault(tmp_path).seal(VALUES))


def test_a_wrong_key_is_a_problem_of_the_setup(tmp_path: Path):
    sealed = Vault(tmp_path / "one").seal(VALUES)
    for act in (Vault(tmp_path / "two").open, Vault(tmp_path / "two").reseal):
        with pytest.raises(SetupProblem, match=r"Bring back keys/vault\.keys"):
            act(sealed)


@pytest.mark.parametrize("content", ["no key at all", "", "\n"])
def test_a_broken_key_file_is_a_problem_of_the_setup(tmp_path: Path, content: str):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "vault.keys").write_text(content)
    with pytest.raises(SetupProblem, match="no Fernet key"):
        Vault(tmp_path).seal(VALUES)


def test_the_vault_says_what_it_has_and_nothing_of_it(tmp_path: Path):
    vault = Vault(tmp_path)
    with pytest.raises(SetupProblem, match="There is no"):
        vault.found()
    vault.seal(VALUES)
    assert vault.found() == f"1 key in {tmp_path / 'keys' / 'vault.keys'}"
    (tmp_path / "keys" / "vault.keys").chmod(0o644)
    with pytest.raises(SetupProblem, match="chmod 600"):
        vault.found()


RACE = """
import sys
from pathlib import Path
from workers.vault import Vault
print("ready", flush=True)
sys.stdin.readline()
print(Vault(Path(sys.argv[1])).seal({"api_key": "Canary"}), flush=True)
"""


def test_processes_that_race_for_the_first_key_agree_on_one(tmp_path: Path):
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(tmp_path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )
        for _ in range(4)
    ]  # fmt: skip
    assert [racer.stdout.readline() for racer in racers] == ["ready\n"] * 4  # type: ignore[union-attr]
    for racer in racers:
        racer.stdin.write("go\n")  # type: ignore[union-attr]
        racer.stdin.flush()  # type: ignore[union-attr]
    sealed = [racer.communicate(timeout=60)[0].strip() for racer in racers]
    assert len(keys_of(tmp_path)) == 1
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["vault.keys"]
    assert all(Vault(tmp_path).open(one) == {"api_key": "Canary"} for one in sealed)
