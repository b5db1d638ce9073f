"""Keys to endpoints: the secret is shown once, and what is kept cannot open anything."""

import time

import pytest
from sqlmodel import select

from workers import keys
from workers.errors import NotAllowed, NotFound
from workers.rights import Actor
from workers.tables import ApiKey, AuditEntry, Endpoint, EndpointStatus, Member, Role

TUNER = Actor("T1", "U1", "C1")
COLLEAGUE = Actor("T1", "U2", "C1")
VIEWER = Actor("T1", "U3", "C1")
ADMIN = Actor("T1", "U4", "C1")


@pytest.fixture
def endpoint(db):
    with db.write() as session:
        row = Endpoint(
            team_id="T1", channel_id="C1", creator_id="U1", name="recipes-v1", provider="local", model="recipes-v1"
        )
        session.add(row)
        session.add(Member(team_id="T1", user_id="U3", role=Role.VIEWER))
        session.add(Member(team_id="T1", user_id="U4", role=Role.ADMIN))
        session.flush()
        return row


@pytest.fixture
def key(db, endpoint):
    with db.write() as session:
        return keys.create(session, TUNER, endpoint)


def verify(db, secret):
    with db.read() as session:
        return keys.verify(session, secret)


def revoke(db, actor, key_id):
    with db.write() as session:
        return keys.revoke(session, actor, key_id)


def audited(db):
    with db.read() as session:
        return session.exec(select(AuditEntry).order_by(AuditEntry.id)).all()


def test_a_new_key_opens_its_endpoint(db, endpoint, key):
    row, opened = verify(db, key.secret)
    assert (row.id, opened.id) == (key.id, endpoint.id)
    assert (row.team_id, row.channel_id, row.creator_id) == ("T1", "C1", "U1")
    assert key.secret.startswith("ftb-")
    assert len(key.secret) >= 36


def test_the_secret_is_not_kept_and_not_shown_by_accident(db, key):
    assert key.secret not in repr(key)
    with db.read() as session:
        kept = repr(session.exec(select(ApiKey)).one()) + repr(session.exec(select(AuditEntry)).one())
    assert key.secret[len(key.prefix) :] not in kept
    assert key.prefix in kept
    assert len(key.prefix) < 12


def test_no_two_keys_are_alike(db, endpoint, key):
    with db.write() as session:
        other = keys.create(session, COLLEAGUE, endpoint)
    assert other.secret != key.secret
    with db.read() as session:
        assert [one.id for one in keys.listed(session, endpoint)] == [other.id, key.id]
        assert [one.id for one in keys.listed(session, endpoint, creator_id="U1")] == [key.id]


@pytest.mark.parametrize("secret", ["", "ftb-", "ftb-" + "x" * 43, "\ud800", "x" * 100_000, "%", "' OR 1=1 --"])
def test_what_is_no_key_opens_nothing(db, key, secret):
    assert verify(db, secret) is None


def test_a_secret_opens_nothing_unless_it_is_exact(db, key):
    for wrong in (key.secret[:-1], key.secret + "x", key.secret.upper(), key.secret + "x" * 500, " " + key.secret):
        assert verify(db, wrong) is None


def test_a_revoked_key_opens_nothing_any_more(db, endpoint, key):
    revoke(db, TUNER, key.id)
    assert verify(db, key.secret) is None
    with db.read() as session:
        assert keys.listed(session, endpoint) == []


def test_revoking_twice_is_revoking_once(db, key):
    first = revoke(db, TUNER, key.id).revoked_at
    assert revoke(db, TUNER, key.id).revoked_at == first
    assert [(one.verb, one.object_kind, one.object_id, one.creator_id) for one in audited(db)] == [
        ("create_key", "api_key", key.id, "U1"),
        ("revoke_key", "api_key", key.id, "U1"),
    ]


def test_only_its_maker_or_an_admin_revokes_a_key(db, key):
    for actor in (COLLEAGUE, VIEWER):
        with pytest.raises(NotAllowed):
            revoke(db, actor, key.id)
    assert verify(db, key.secret)
    revoke(db, ADMIN, key.id)
    assert verify(db, key.secret) is None


@pytest.mark.parametrize("actor", [Actor("T2", "U1", "C1"), Actor("T1", "U1", "C2"), Actor("T1", "U2")])
def test_a_key_of_elsewhere_is_not_there(db, key, actor):
    with pytest.raises(NotFound):
        revoke(db, actor, key.id)
    with pytest.raises(NotFound):
        revoke(db, TUNER, key.id + 1)
    assert verify(db, key.secret)


@pytest.mark.parametrize("actor", [VIEWER, Actor("T2", "U1", "C1"), Actor("T1", "U9", "C1", is_guest=True)])
def test_who_may_not_gets_no_key(db, endpoint, actor):
    with db.write() as session, pytest.raises(NotAllowed):
        keys.create(session, actor, endpoint)
    assert audited(db) == []


def test_a_deleted_endpoint_opens_to_nobody(db, endpoint, key):
    with db.write() as session:
        endpoint.status = EndpointStatus.DELETED
        session.add(endpoint)
    assert verify(db, key.secret) is None
    with db.write() as session, pytest.raises(NotFound, match="does not answer"):
        keys.create(session, TUNER, endpoint)


def test_the_last_use_is_noted_once_a_minute(db, key):
    def note(before=None):
        with db.write() as session:
            row = session.get_one(ApiKey, key.id)
            row.last_used_at = before if before is not None else row.last_used_at
            session.add(row)
        with db.write() as session:
            keys.note_use(session, key.id)
        with db.read() as session:
            return session.get_one(ApiKey, key.id).last_used_at

    now = time.time()
    first = note()
    assert abs(first - now) < 5
    assert note() == first
    assert note(now - 30) == now - 30
    assert abs(note(now - 61) - now) < 5
