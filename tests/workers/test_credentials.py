"""A workspace's vendor credentials: who may, what is kept, what is shown, and where nothing secret may be."""

import json
import threading

import pytest
from sqlalchemy import inspect, text
from sqlmodel import select

from providers.errors import NotConfigured
from workers import credentials
from workers.credentials import Known
from workers.db import Database
from workers.errors import InvalidPlan, NotAllowed, NotFound, UserError
from workers.rights import Actor
from workers.tables import AuditEntry, Credential, CredentialStatus, Member, Role, Task
from workers.vault import Vault

ADMIN = Actor("T1", "U1", "C1", is_admin=True)
TUNER = Actor("T1", "U2", "C1")
KEY = "sk-proj-CanaryCanary"
ENTRA = {
    "tenant_id": "01234567-89ab-cdef-0123-456789abcdef",
    "client_id": "11234567-89ab-cdef-0123-456789abcdef",
    "client_secret": "Canary~secret",
}
AZURE = {"endpoint": "https://ours.openai.azure.com", "api_key": "CanaryAzure", **ENTRA}
ML = {**ENTRA, "subscription_id": ENTRA["tenant_id"], "resource_group": "rg", "workspace": "ws"}


@pytest.fixture
def vault(tmp_path) -> Vault:
    return Vault(tmp_path / "home")


def save(db: Database, vault: Vault, provider: str = "openai", actor: Actor = ADMIN, **values: str) -> Credential:
    with db.write() as session:
        return credentials.save(session, vault, actor, provider, values)


def opened(db: Database, vault: Vault, provider: str = "openai", team: str = "T1") -> dict[str, str]:
    with db.read() as session:
        return dict(credentials.of(session, vault, team, provider))


def note(db: Database, row: Credential, **how) -> Credential | None:
    with db.write() as session:
        return credentials.checked(session, row.id or 0, row.revision, **how)


def tasks_of(db: Database) -> list[str]:
    with db.read() as session:
        return [one.key for one in session.exec(select(Task).where(Task.kind == "check_credential"))]


def dump(db: Database) -> str:
    """Every row of every table, as text."""
    with db.read() as session:
        rows = [
            str(tuple(row))
            for table in inspect(db.engine).get_table_names()
            for row in session.execute(text(f'SELECT * FROM "{table}"'))
        ]
    return "\n".join(rows)


def test_what_is_saved_is_sealed_checked_and_usable(db: Database, vault: Vault):
    row = save(db, vault, api_key=f"  {KEY}\n", organization="org-1")
    assert row.status is CredentialStatus.CHECKING
    assert row.shown == {"organization": "org-1"}
    assert opened(db, vault) == {"api_key": KEY, "organization": "org-1"}
    assert tasks_of(db) == [f"check_credential:{row.id}:{row.revision}"]
    with db.read() as session:
        assert credentials.usable(session, "T1") == {"openai"}
        assert credentials.usable(session, "T2") == set()
        audit = session.exec(select(AuditEntry)).one()
    assert (audit.verb, audit.object_kind, audit.detail) == ("save_credentials", "credential", {"provider": "openai"})
    assert "Canary" not in dump(db)
    with pytest.raises(NotConfigured, match="finetune keys"):
        opened(db, vault, team="T2")


@pytest.mark.parametrize(
    "act",
    [
        lambda session, vault, actor: credentials.save(session, vault, actor, "openai", {"api_key": KEY}),
        lambda session, _vault, actor: credentials.forget(session, actor, "openai"),
        lambda session, _vault, actor: credentials.recheck(session, actor, "openai"),
        lambda session, vault, actor: credentials.known(session, vault, actor, "openai"),
        lambda session, _vault, actor: credentials.listed(session, actor),
    ],
)
def test_only_admins_may_and_others_read_who(db: Database, vault: Vault, act):
    save(db, vault, api_key=KEY)
    before = dump(db)
    with (
        pytest.raises(NotAllowed, match=r"Only an admin .*yours is U2\) in FINETUNE_BOT_ADMINS"),
        db.write() as session,
    ):
        act(session, vault, TUNER)
    with pytest.raises(NotAllowed, match="Guests"), db.write() as session:
        act(session, vault, Actor("T1", "U3", "C1", is_guest=True))
    assert dump(db) == before


def test_a_member_row_makes_an_admin_too(db: Database, vault: Vault):
    with db.write() as session:
        session.add(Member(team_id="T1", creator_id="U1", user_id="U2", role=Role.ADMIN))
    assert save(db, vault, actor=TUNER, api_key=KEY).creator_id == "U2"


def test_what_is_wrong_is_told_by_field_and_nothing_is_saved(db: Database, vault: Vault):
    with pytest.raises(InvalidPlan) as caught:
        save(db, vault, "azure_ml", tenant_id="nonsense", client_secret="has spaces")
    assert set(caught.value.problems) == {
        "tenant_id", "client_id", "client_secret", "subscription_id", "resource_group", "workspace",
    }  # fmt: skip
    with db.read() as session:
        assert session.exec(select(Credential)).all() == []
    with pytest.raises(NotFound):
        save(db, vault, "local", api_key=KEY)


def test_a_secret_that_is_left_empty_stays_and_other_fields_do_not(db: Database, vault: Vault):
    first = save(db, vault, api_key=KEY, organization="org-1", webhook_secret="whsec_Canary")
    second = save(db, vault, actor=Actor("T1", "U9", "C2", is_admin=True), project="proj_1")
    assert second.id == first.id
    assert second.revision == first.revision + 1
    assert (second.creator_id, second.channel_id) == ("U9", "C2")
    assert opened(db, vault) == {"api_key": KEY, "webhook_secret": "whsec_Canary", "project": "proj_1"}
    assert len(tasks_of(db)) == 2


@pytest.mark.parametrize(
    ("provider", "before", "change", "field"),
    [
        ("azure_openai", {"endpoint": AZURE["endpoint"], "api_key": "CanaryAzure"},
         {"endpoint": "https://theirs.openai.azure.com"}, "api_key"),
        ("azure_ml", ML, {"tenant_id": ENTRA["client_id"]}, "client_secret"),
        ("azure_ml", ML, {"client_id": ENTRA["tenant_id"]}, "client_secret"),
    ],
)  # fmt: skip
def test_a_secret_never_follows_to_another_address_or_identity(
    db: Database, vault: Vault, provider: str, before: dict, change: dict, field: str
):
    save(db, vault, provider, **before)
    with pytest.raises(InvalidPlan) as caught:
        save(db, vault, provider, **{**before, **change, field: ""})
    assert field in caught.value.problems
    assert opened(db, vault, provider) == before


def test_a_form_starts_with_what_is_no_secret(db: Database, vault: Vault):
    with db.read() as session:
        assert credentials.known(session, vault, ADMIN, "openai") == Known({}, frozenset())
    save(db, vault, "azure_openai", **AZURE)
    with db.read() as session:
        known = credentials.known(session, vault, ADMIN, "azure_openai")
    assert known.kept == {"api_key", "client_secret"}
    assert known.shown == {name: AZURE[name] for name in ("endpoint", "tenant_id", "client_id")}


def test_the_outcome_counts_for_the_values_that_were_tried(db: Database, vault: Vault):
    old = save(db, vault, api_key=KEY)
    new = save(db, vault, api_key=f"{KEY}2")
    assert note(db, old, words="late") is None
    assert note(db, new, problem="It is refused.") is not None
    assert note(db, new, words="too late: another call was first") is None
    with db.read() as session:
        row = session.exec(select(Credential)).one()
        assert credentials.usable(session, "T1") == set()
    assert (row.status, row.problem) == (CredentialStatus.REFUSED, "It is refused.")


def test_what_was_not_reached_may_still_be_used(db: Database, vault: Vault):
    row = save(db, vault, api_key=KEY)
    note(db, row, problem="away", status=CredentialStatus.UNREACHED)
    with db.write() as session:
        assert credentials.usable(session, "T1") == {"openai"}
        again = credentials.recheck(session, Actor("T1", "U9", "C2", is_admin=True), "openai")
        assert (again.status, again.problem, again.creator_id) == (CredentialStatus.CHECKING, "", "U9")
    assert len(tasks_of(db)) == 2
    with db.write() as session:
        credentials.recheck(session, ADMIN, "openai")  # it is being checked already
    assert len(tasks_of(db)) == 2


def test_what_was_forgotten_is_gone_and_its_check_says_nothing_of_what_comes_after(db: Database, vault: Vault):
    old = save(db, vault, api_key=KEY)
    with db.write() as session:
        credentials.forget(session, ADMIN, "openai")
    with pytest.raises(NotConfigured):
        opened(db, vault)
    with pytest.raises(NotFound), db.write() as session:
        credentials.forget(session, ADMIN, "openai")
    new = save(db, vault, api_key=f"{KEY}2")
    assert len(tasks_of(db)) == 2
    assert note(db, old, words="works") is None
    assert note(db, new, words="works") is not None
    with db.read() as session:
        assert [one.verb for one in session.exec(select(AuditEntry).order_by(AuditEntry.id))] == [  # type: ignore[arg-type]
            "save_credentials", "forget_credentials", "save_credentials",
        ]  # fmt: skip


def test_what_no_key_opens_can_be_entered_again(db: Database, vault: Vault, tmp_path):
    save(db, Vault(tmp_path / "elsewhere"), api_key=KEY)
    with pytest.raises(NotConfigured, match="enter the credentials again"):
        opened(db, vault)
    with db.read() as session:
        assert credentials.known(session, vault, ADMIN, "openai").kept == frozenset()
    with pytest.raises(InvalidPlan) as caught:
        save(db, vault)
    assert set(caught.value.problems) == {"api_key"}
    save(db, vault, api_key=KEY)
    assert opened(db, vault) == {"api_key": KEY}


def test_two_admins_at_once_leave_one_set(db: Database, vault: Vault):
    vault.seal({})  # the first key is made
    barrier = threading.Barrier(2)
    errors: list[Exception] = []

    def enter(key: str) -> None:
        barrier.wait()
        try:
            save(db, vault, api_key=key)
        except UserError as error:
            errors.append(error)

    threads = [threading.Thread(target=enter, args=(f"{KEY}{number}",)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened(db, vault)["api_key"] in {f"{KEY}0", f"{KEY}1"}
    assert all("Somebody else" in str(error) for error in errors)


def test_a_rotation_reseals_everything_and_says_what_it_cannot_open(db: Database, vault: Vault, tmp_path):
    save(db, vault, api_key=KEY)
    save(db, vault, "azure_openai", **AZURE)
    save(db, Vault(tmp_path / "elsewhere"), "openai", Actor("T2", "U1", "C1", is_admin=True), api_key=KEY)
    with db.read() as session:
        before = {row.id: row.sealed for row in session.exec(select(Credential))}
    running = Vault(tmp_path / "home")
    done = credentials.rotate(db, vault)
    assert (done.resealed, done.closed) == (2, (("T2", "openai"),))
    with db.read() as session:
        rows = session.exec(select(Credential)).all()
    assert {row.team_id for row in rows if row.sealed == before[row.id]} == {"T2"}
    for _ in range(3):
        credentials.rotate(db, vault)
    assert opened(db, running, "azure_openai") == AZURE
    assert json.dumps(done.closed)
    assert "Canary" not in dump(db)


def test_a_rotation_that_breaks_in_the_middle_is_made_up_for(db: Database, vault: Vault, monkeypatch):
    save(db, vault, api_key=KEY)

    def breaks(_self, _sealed):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(Vault, "reseal", breaks)
        for _ in range(3):
            with pytest.raises(MemoryError):
                credentials.rotate(db, vault)
    assert opened(db, vault) == {"api_key": KEY}
    assert credentials.rotate(db, vault).resealed == 1
    assert opened(db, vault) == {"api_key": KEY}
