"""Credentials that are needed: what is hosted keeps them where they are, and runs that are not over are counted."""

import pytest
from sqlmodel import select

from tests.workers.test_credentials import ADMIN, AZURE, ENTRA, ML
from workers import credential_use, credentials
from workers.db import Database
from workers.errors import InvalidPlan, UserError
from workers.hosting import BILLED
from workers.run_status import RunStatus
from workers.tables import Credential, CredentialStatus, Dataset, HostedModel, LeaseStatus, Run
from workers.vault import Vault

DEPLOYS = {**AZURE, "subscription_id": ENTRA["tenant_id"], "resource_group": "rg", "account": "ours"}
OVER = [one for one in LeaseStatus if one not in BILLED]


@pytest.fixture
def vault(tmp_path) -> Vault:
    return Vault(tmp_path / "home")


def save(db: Database, vault: Vault, provider: str, **values: str) -> Credential:
    with db.write() as session:
        return credentials.save(session, vault, ADMIN, provider, values)


def forget(db: Database, provider: str) -> None:
    with db.write() as session:
        credentials.forget(session, ADMIN, provider)


def saved(db: Database) -> list[Credential]:
    with db.read() as session:
        return list(session.exec(select(Credential)))


def run(
    db: Database, provider: str, name: str = "recipes", team: str = "T1", status=RunStatus.READY, lease=None
) -> int:
    """A run, with a model that is hosted for it if `lease` is given."""
    with db.write() as session:
        dataset = Dataset(team_id=team, name="a", sha256=f"{name}{team}", storage_key="a", format="openai-chat",
                          method="sft", examples=9, trainable=True)  # fmt: skip
        session.add(dataset)
        session.flush()
        row = Run(team_id=team, name=name, request_key=f"{name}{team}", dataset_id=dataset.id or 0, provider=provider,
                  base_model="m", method="sft", status=status)  # fmt: skip
        session.add(row)
        session.flush()
        if lease is not None:
            session.add(HostedModel(team_id=team, run_id=row.id or 0, provider=provider, name=f"d-{name}-{team}",
                                    model="m", status=lease))  # fmt: skip
        return row.id or 0


@pytest.mark.parametrize("lease", BILLED)
def test_what_only_they_can_delete_keeps_them(db: Database, vault: Vault, lease: LeaseStatus):
    save(db, vault, "azure_openai", **DEPLOYS)
    number = run(db, "azure_openai", lease=lease)
    with pytest.raises(UserError, match=rf"still hosts models of recipes \(run {number}\)\. .*Click Delete now"):
        forget(db, "azure_openai")
    assert len(saved(db)) == 1


@pytest.mark.parametrize("lease", OVER)
def test_what_is_over_keeps_nothing(db: Database, vault: Vault, lease: LeaseStatus):
    save(db, vault, "azure_openai", **DEPLOYS)
    run(db, "azure_openai", lease=lease)
    save(db, vault, "azure_openai", **{**DEPLOYS, "account": "theirs"})
    forget(db, "azure_openai")
    assert saved(db) == []


def test_what_others_host_keeps_nothing(db: Database, vault: Vault):
    save(db, vault, "azure_openai", **DEPLOYS)
    run(db, "azure_openai", team="T2", lease=LeaseStatus.READY)
    run(db, "azure_ml", lease=LeaseStatus.READY)
    forget(db, "azure_openai")
    assert saved(db) == []


@pytest.mark.parametrize(
    ("provider", "before", "change"),
    [
        ("azure_openai", DEPLOYS, {"endpoint": "https://theirs.openai.azure.com"}),
        ("azure_openai", DEPLOYS, {"account": "theirs"}),
        ("azure_openai", DEPLOYS, {"subscription_id": "", "resource_group": "", "account": ""}),
        ("azure_ml", ML, {"workspace": "other"}),
        ("azure_ml", ML, {"subscription_id": ENTRA["client_id"], "resource_group": "other"}),
    ],
)
def test_they_reach_no_other_place_while_something_is_hosted(db: Database, vault: Vault, provider, before, change):
    old = save(db, vault, provider, **before)
    number = run(db, provider, lease=LeaseStatus.READY)
    with pytest.raises(InvalidPlan) as caught:
        save(db, vault, provider, **{**before, **change})
    assert set(caught.value.problems) == set(change)
    first = caught.value.problems[next(iter(change))]
    assert f"must stay “{before[next(iter(change))]}”" in first
    assert f"recipes (run {number})" in first
    (row,) = saved(db)
    assert (row.revision, row.shown) == (old.revision, old.shown)


def test_new_secrets_for_the_same_place_are_taken(db: Database, vault: Vault):
    save(db, vault, "azure_openai", **DEPLOYS)
    run(db, "azure_openai", lease=LeaseStatus.READY)
    same = {"endpoint": "https://OURS.openai.azure.com/", "account": "Ours"}
    save(db, vault, "azure_openai", **{**DEPLOYS, **same, "api_key": "CanaryNew"})
    (row,) = saved(db)
    assert vault.open(row.sealed)["api_key"] == "CanaryNew"
    assert row.status is CredentialStatus.CHECKING


def test_many_hosted_runs_are_named_shortly(db: Database, vault: Vault):
    save(db, vault, "azure_openai", **DEPLOYS)
    numbers = [run(db, "azure_openai", name=f"r{one}", lease=LeaseStatus.READY) for one in range(7)]
    with pytest.raises(UserError) as caught:
        forget(db, "azure_openai")
    assert f"r4 (run {numbers[4]}) and 2 more." in str(caught.value)
    assert "r5" not in str(caught.value)


def test_runs_that_are_not_over_are_counted_by_provider(db: Database):
    for number, status in enumerate(RunStatus):
        run(db, "openai", name=f"r{number}", status=status)
    run(db, "local", name="here", status=RunStatus.TRAINING)
    run(db, "azure_ml", name="theirs", team="T2", status=RunStatus.TRAINING)
    with db.read() as session:
        assert credential_use.runs(session, "T1") == {"openai": len(RunStatus) - 3, "local": 1}
        assert credential_use.runs(session, "T3") == {}
