"""Who may do what: by role, by workspace, by channel, by ownership."""

import pytest

from workers.errors import NotAllowed
from workers.rights import Actor, Verb, allowed, require
from workers.tables import Member, Owned, Role

TUNER = Actor("T1", "U1", "C1")
THING = Owned(team_id="T1", channel_id="C1", creator_id="U1")


@pytest.fixture
def session(db):
    with db.write() as session:
        session.add(Member(team_id="T1", user_id="UADMIN", role=Role.ADMIN))
        session.add(Member(team_id="T1", user_id="UVIEWER", role=Role.VIEWER))
        session.flush()
        yield session


@pytest.mark.parametrize("verb", list(Verb))
def test_guests_and_outsiders_may_do_nothing(session, verb):
    assert not allowed(session, Actor("T1", "U2", "C1", is_guest=True), verb)
    assert not allowed(session, Actor("T1", "U2", "C1", is_external=True), verb)


@pytest.mark.parametrize("verb", list(Verb))
def test_nothing_of_another_workspace_or_channel(session, verb):
    assert not allowed(session, Actor("T2", "U1", "C1"), verb, THING)
    assert not allowed(session, Actor("T1", "UADMIN", "C2"), verb, THING)


def test_outside_any_channel_one_sees_ones_own(session):
    assert allowed(session, Actor("T1", "U1"), Verb.VIEW, THING)
    assert not allowed(session, Actor("T1", "U2"), Verb.VIEW, THING)


def test_a_member_is_a_tuner_and_no_admin(session):
    assert allowed(session, TUNER, Verb.START)
    assert not allowed(session, TUNER, Verb.ADMINISTER)


def test_a_viewer_looks_and_chats(session):
    viewer = Actor("T1", "UVIEWER", "C1")
    assert {verb for verb in Verb if allowed(session, viewer, verb, THING)} == {Verb.VIEW, Verb.CHAT}


def test_whom_the_settings_name_is_admin_without_a_row(session):
    named = Actor("T1", "U9", "C1", is_admin=True)
    assert all(allowed(session, named, verb, THING) for verb in Verb)
    assert not allowed(session, Actor("T1", "U9", "C2", is_admin=True), Verb.CONTROL, THING)
    assert not allowed(session, Actor("T1", "U9", "C1", is_admin=True, is_guest=True), Verb.VIEW)


def test_only_the_owner_or_an_admin_controls(session):
    assert allowed(session, TUNER, Verb.CONTROL, THING)
    assert allowed(session, Actor("T1", "UADMIN", "C1"), Verb.CONTROL, THING)
    with pytest.raises(NotAllowed, match="Only the person who started this"):
        require(session, Actor("T1", "U3", "C1"), Verb.CONTROL, THING)
