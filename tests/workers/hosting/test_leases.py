"""Time and people: warnings, an hour more for what is in use, keep, delete now, deploy again; who may; once."""

import threading

import pytest
from sqlmodel import select

from providers.base import HostingTier
from tests.workers.hosting.conftest import ADMIN, BY_THE_HOUR, GUEST, SOMEBODY, TUNER
from workers import chat, hosting
from workers.errors import NotAllowed, NotFound
from workers.hosting import models, people, serving
from workers.rights import Actor
from workers.run_status import RunStatus
from workers.tables import (
    Announcement,
    AuditEntry,
    ChatTurn,
    Endpoint,
    EndpointStatus,
    HostedModel,
    LeaseStatus,
    Member,
    Role,
    Run,
    Task,
    TaskStatus,
)

ONE_DATABASE = pytest.mark.parametrize("db", ["sqlite"], indirect=True)
HOUR = 3600.0


def left(scene):
    """Hours until the lease's end."""
    with scene.db.read() as session:
        return (scene.row().ends_at - models.now(session)) / HOUR


def use(scene, hours_ago=0.0):
    with scene.db.write() as session:
        row = session.get_one(HostedModel, scene.row().id)
        row.used_at = models.now(session) - hours_ago * HOUR
        session.add(row)


def act(scene, do, actor, *what):
    with scene.db.write() as session:
        return do(session, actor, *what)


def test_it_is_warned_of_once_before_the_end(scene):
    scene.hosted()
    scene.tend()
    assert scene.said("hosting_warning") == []
    scene.pass_hours(3.6)
    for _ in range(3):
        scene.tend()
    (warning,) = scene.said("hosting_warning")
    assert (warning.subject_id, warning.revision, warning.thread_slot) == (
        scene.row().id, 1, f"run:{scene.run_id}:card"
    )  # fmt: skip
    assert scene.row().status is LeaseStatus.READY


def test_unused_it_is_deleted_at_the_end_and_the_thread_is_told(scene):
    scene.hosted()
    scene.pass_hours(4.1)
    scene.tend()
    assert scene.asleep()
    (told,) = scene.said("hosting_asleep")
    assert "not used" in told.data["why"]
    scene.tend()
    assert len(scene.said("hosting_asleep")) == 1
    assert len(scene.rows(Task, kind="unhost_model", subject_id=scene.row().id)) == 1
    scene.work("unhost_model", soon=300)
    assert scene.cloud.there == {}
    assert scene.row().status is LeaseStatus.ENDED
    assert scene.row().ended_at


def test_what_is_in_use_gets_an_hour_more_for_a_day_at_most(scene):
    scene.cloud.tiers_of = BY_THE_HOUR
    scene.hosted()
    scene.pass_hours(4.01)
    hours = 0
    while not scene.asleep():
        use(scene, 0.4)
        scene.tend()
        hours += 1
        assert hours <= 25
        scene.pass_hours(1.01)
    assert scene.row().extended == 24
    assert "24 times" in scene.said("hosting_asleep")[0].data["why"]
    assert len(scene.said("hosting_warning")) <= 1


@ONE_DATABASE
def test_used_an_hour_ago_is_not_in_use(scene):
    scene.hosted()
    scene.pass_hours(4.01)
    use(scene, 0.6)
    scene.tend()
    assert scene.asleep()


@ONE_DATABASE
def test_the_vendors_own_end_caps_everything(scene):
    scene.cloud.tiers_of = [HostingTier("GlobalStandard", "GS", lives_hours=5.0, for_base_models=True)]
    scene.hosted()
    act(scene, hosting.keep, TUNER, scene.row().id)
    assert left(scene) == pytest.approx(5, abs=0.1)
    scene.pass_hours(5.01)
    use(scene)
    scene.tend()
    assert scene.asleep()
    assert "lets a deployment of this kind live no longer" in scene.said("hosting_asleep")[0].data["why"]


@ONE_DATABASE
def test_kept_it_ends_when_the_vendor_ends_it(scene):
    row = scene.hosted()
    assert not people.is_at_vendors_end(row)
    scene.pass_hours(3.7)
    scene.tend()
    kept = act(scene, hosting.keep, TUNER, row.id)
    assert kept.ends_at == kept.lives_until == pytest.approx(kept.created_at + 24 * HOUR)
    assert people.is_at_vendors_end(kept)
    assert act(scene, hosting.keep, TUNER, row.id).ends_at == kept.ends_at
    assert [one.verb for one in scene.rows(AuditEntry)] == ["keep_hosted"]


def test_what_the_vendor_would_end_is_hosted_by_the_hour_by_one_click(scene):
    row = scene.hosted()
    with scene.db.read() as session:
        offer = hosting.longer_tier(session, row)
        assert (offer.tier, offer.hosting_per_hour) == ("globalStandard", 1.7)
    made = act(scene, hosting.host_longer, TUNER, row.id)
    assert (made.tier, made.price_per_hour, made.endpoint_id) == ("globalStandard", 1.7, scene.endpoint.id)
    with pytest.raises(NotFound, match="over already"):
        act(scene, hosting.host_longer, TUNER, row.id)
    assert scene.asleep()
    scene.work(soon=300)
    longer = scene.row()
    assert (longer.id, longer.tier, longer.lives_until) == (made.id, "GlobalStandard", None)
    assert list(scene.cloud.there) == [longer.name]
    assert not scene.asleep()
    act(scene, hosting.keep, TUNER, longer.id)
    assert left(scene) == pytest.approx(24, abs=0.01)
    with pytest.raises(NotFound, match="no other way"):
        act(scene, hosting.host_longer, TUNER, longer.id)
    act(scene, hosting.end, TUNER, longer.id)
    act(scene, hosting.wake, TUNER, scene.endpoint.id)  # for the price that the button has
    assert (scene.row().tier, scene.row().price_per_hour) == ("GlobalStandard", 1.7)


@ONE_DATABASE
def test_a_longer_hosting_that_fails_leaves_the_first_way_open(scene):
    row = scene.hosted()
    scene.cloud.broken = {"ft-model"}
    act(scene, hosting.host_longer, TUNER, row.id)
    scene.work(soon=300)
    assert scene.asleep()
    assert "InsufficientQuota" in scene.said("problem")[0].data["text"]
    scene.cloud.broken = set()
    act(scene, hosting.wake, TUNER, scene.endpoint.id)
    scene.work(soon=300)
    assert scene.row().tier == "DeveloperTier"
    assert not scene.asleep()


@ONE_DATABASE
def test_where_the_vendor_ends_nothing_nothing_longer_is_offered(scene):
    scene.cloud.tiers_of = BY_THE_HOUR
    scene.hosted()
    with scene.db.read() as session:
        assert hosting.longer_tier(session, scene.row()) is None


@ONE_DATABASE
def test_a_model_that_is_being_compared_is_not_taken_away(scene):
    scene.begin()
    scene.work("host_model")
    assert scene.run.status is RunStatus.EVALUATING
    scene.pass_hours(4.01)
    scene.tend()
    assert {one.status for one in scene.rows()} == {LeaseStatus.READY}
    assert scene.said("hosting_warning") == []
    for _ in range(30):
        scene.pass_hours(1.01)
        scene.tend()
    assert {one.status for one in scene.rows()} == {LeaseStatus.ENDING}  # a day, and no more


def test_kept_for_a_day_from_now_once(scene):
    scene.cloud.tiers_of = BY_THE_HOUR
    scene.hosted()
    scene.pass_hours(3.7)
    scene.tend()
    for _ in range(3):
        act(scene, hosting.keep, TUNER, scene.row().id)
    assert left(scene) == pytest.approx(24, abs=0.01)
    assert [one.verb for one in scene.rows(AuditEntry)].count("keep_hosted") == 1
    scene.tend()
    assert len(scene.said("hosting_warning")) == 1  # the first one now says that it stays
    assert scene.row().warned_at is None
    scene.pass_hours(23.7)
    scene.tend()
    assert len(scene.said("hosting_warning")) == 2  # a new message, as the end is another one


def test_deleted_now_by_a_click(scene):
    row = scene.hosted()
    for _ in range(2):
        act(scene, hosting.end, TUNER, row.id)
    assert scene.asleep()
    assert len(scene.rows(Task, kind="unhost_model", subject_id=row.id)) == 1
    with pytest.raises(NotFound, match="over already"):
        act(scene, hosting.keep, TUNER, row.id)
    scene.work("unhost_model", soon=300)
    assert scene.cloud.there == {}


def test_deployed_again_by_one_click_or_several(scene):
    row = scene.hosted()
    act(scene, hosting.end, TUNER, row.id)
    made = {act(scene, hosting.wake, SOMEBODY, scene.endpoint.id).id for _ in range(3)}
    assert len(made) == 1
    woken = scene.row()
    assert (woken.id, woken.creator_id, woken.endpoint_id) == (made.pop(), "U2", scene.endpoint.id)
    assert woken.name != row.name
    assert scene.asleep()
    scene.work(soon=300)
    assert not scene.asleep()
    assert list(scene.cloud.there) == [woken.name]
    assert scene.endpoint.model == f"our-secret-recipes-{scene.run_id}"
    with scene.db.read() as session:
        assert hosting.name_now(session, scene.endpoint) == woken.name
    assert any("awake again" in str(one.data.get("text")) for one in scene.said("note"))
    assert act(scene, hosting.wake, TUNER, scene.endpoint.id).id == woken.id
    for actor in (SOMEBODY, TUNER, ADMIN):  # who woke it, who started its run, and an admin may keep it
        act(scene, hosting.keep, actor, woken.id)


def test_waking_that_fails_leaves_it_asleep_and_says_why(scene):
    row = scene.hosted()
    act(scene, hosting.end, TUNER, row.id)
    scene.cloud.broken = {"ft-model"}
    act(scene, hosting.wake, TUNER, scene.endpoint.id)
    scene.work(soon=300)
    assert scene.asleep()
    assert scene.cloud.there == {}
    assert "InsufficientQuota" in scene.said("problem")[0].data["text"]
    scene.cloud.broken = set()
    act(scene, hosting.wake, TUNER, scene.endpoint.id)
    scene.work(soon=300)
    assert not scene.asleep()


@ONE_DATABASE
def test_a_model_that_was_deleted_cannot_be_woken(scene):
    row = scene.hosted()
    act(scene, hosting.end, TUNER, row.id)
    with scene.db.write() as session:
        run = session.get_one(Run, scene.run_id)
        run.tuned_model = ""
        session.add(run)
    with pytest.raises(NotFound, match="was deleted at the vendor"):
        act(scene, hosting.wake, TUNER, scene.endpoint.id)


def test_clicks_of_many_at_once_are_one_effect(scene):
    row = scene.hosted()
    act(scene, hosting.end, TUNER, row.id)
    at_once = threading.Barrier(6)
    made, problems = [], []

    def click(do, subject):
        at_once.wait()
        try:
            with scene.db.write() as session:
                made.append(do(session, TUNER, subject).id)
        except Exception as error:  # noqa: BLE001 -- shown below
            problems.append(error)

    threads = [threading.Thread(target=click, args=(hosting.wake, scene.endpoint.id)) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert problems == []
    assert len(set(made)) == 1
    assert len(scene.rows(purpose="tuned")) == 2
    assert len(scene.rows(Task, kind="host_model", subject_id=made[0])) == 1


@ONE_DATABASE
@pytest.mark.parametrize("actor", [SOMEBODY, GUEST, Actor("T2", "U1", "C1"), Actor("T1", "U1", "C2")])
def test_others_change_nothing(scene, actor):
    row = scene.hosted()
    for do in (hosting.keep, hosting.end, hosting.host_longer):
        with pytest.raises((NotAllowed, NotFound)):
            act(scene, do, actor, row.id)
    assert left(scene) == pytest.approx(4, abs=0.01)
    act(scene, hosting.end, TUNER, row.id)
    if actor is not SOMEBODY:
        with pytest.raises((NotAllowed, NotFound)):
            act(scene, hosting.wake, actor, scene.endpoint.id)
    with scene.db.write() as session:
        session.add(Member(team_id="T1", user_id="U7", role=Role.VIEWER))
    with pytest.raises(NotAllowed):
        act(scene, hosting.wake, Actor("T1", "U7", "C1"), scene.endpoint.id)
    assert len(scene.rows(purpose="tuned")) == 1


def test_use_is_noted_at_most_once_a_minute(scene):
    scene.hosted()
    hosting.used(scene.db, scene.endpoint)
    first = scene.row().used_at
    assert first is not None
    hosting.used(scene.db, scene.endpoint)
    assert scene.row().used_at == first
    use(scene, 0.5)
    hosting.used(scene.db, scene.endpoint)
    assert scene.row().used_at >= first


@ONE_DATABASE
def test_what_needs_no_hosting_is_left_alone(scene):
    local = Endpoint(team_id="T1", name="x", provider="local", model="m", run_id=scene.run_id)
    with scene.db.write() as session:
        session.add(local)
        session.flush()
        assert hosting.name_now(session, local) == "m"
        assert hosting.hosted_for(session, local) is None
    hosting.used(scene.db, local)
    hosting.doubt(scene.db, local)
    assert scene.rows() == []


def ask(scene, text, ts):
    with scene.db.write() as session:
        return chat.receive(session, TUNER, thread_ts="1.1", message_ts=ts, text=text)


def test_in_the_thread_of_one_that_sleeps_the_answer_is_how_to_wake_it(scene):
    row = scene.hosted()
    assert ask(scene, "What is in a pancake?", "2.1") is not None
    act(scene, hosting.end, TUNER, row.id)
    for _ in range(2):  # delivered twice
        assert ask(scene, "And now?", "2.2") is None
    (told,) = scene.said("hosting_asleep")
    assert (told.thread_ts, told.subject_id, told.slot) == ("1.1", scene.endpoint.id, "endpoint:1:asleep:2.2")
    assert len(scene.rows(ChatTurn)) == 1
    with scene.db.read() as session:
        assert chat.is_answered(session, "T1", "C1", "1.1")
    turn = scene.rows(ChatTurn)[0]
    with pytest.raises(Exception, match="is asleep"):  # asked before, answered after
        list(chat.answer(scene.context, turn.id))


def test_a_question_reaches_the_deployment_of_today(scene):
    row = scene.hosted()
    turn = ask(scene, "What is in a pancake?", "2.1")
    assert "".join(one.text for one in chat.answer(scene.context, turn.id)) == "Flour"
    assert scene.row().used_at is not None
    act(scene, hosting.end, TUNER, row.id)
    act(scene, hosting.wake, TUNER, scene.endpoint.id)
    scene.work(soon=300)
    turn = ask(scene, "And today?", "2.2")
    assert "".join(one.text for one in chat.answer(scene.context, turn.id)) == "Flour"


def test_one_that_vanished_at_the_vendor_goes_to_sleep_and_says_so(scene):
    row = scene.hosted()
    scene.cloud.there.clear()
    turn = ask(scene, "What is in a pancake?", "2.1")
    for _ in range(3):
        with pytest.raises(Exception, match="no such deployment"):
            list(chat.answer(scene.context, turn.id))
    assert len(scene.rows(Task, kind="check_hosted_model")) == 1
    scene.work(soon=300)
    assert scene.asleep()
    assert "not there any more" in scene.said("hosting_asleep")[0].data["why"]
    assert scene.row().id == row.id
    assert scene.row().status is LeaseStatus.ENDED


@ONE_DATABASE
def test_a_passing_doubt_changes_nothing(scene):
    scene.hosted()
    hosting.doubt(scene.db, scene.endpoint)
    scene.work(soon=300)
    assert not scene.asleep()
    assert scene.row().status is LeaseStatus.READY


@ONE_DATABASE
def test_what_is_believed_to_be_hosted_is_looked_at_every_hour(scene):
    scene.hosted()
    scene.tend()
    assert scene.rows(Task, kind="check_hosted_model") == []
    scene.pass_hours(1.1)
    for _ in range(3):
        scene.tend()
    assert len(scene.rows(Task, kind="check_hosted_model")) <= 2  # the hour may turn in between
    scene.cloud.there.clear()
    scene.work(soon=300)
    assert scene.asleep()


def test_a_deleted_endpoint_is_hosted_for_nobody(scene):
    scene.hosted()
    with scene.db.write() as session:
        endpoint = session.exec(select(Endpoint)).one()
        endpoint.status = EndpointStatus.DELETED
        session.add(endpoint)
    scene.tend()
    scene.work("unhost_model", soon=300)
    assert scene.cloud.there == {}
    assert scene.endpoint.status is EndpointStatus.DELETED


def test_a_task_that_was_lost_is_found(scene):
    row = scene.hosted()
    with scene.db.write() as session:
        models.end(session, session.get_one(HostedModel, row.id))
        for task in session.exec(select(Task).where(Task.kind == "unhost_model", Task.subject_id == row.id)):
            task.status = TaskStatus.DEAD
            session.add(task)
    scene.tend()
    scene.tend()
    scene.work("unhost_model", soon=300)
    assert scene.cloud.there == {}


def test_several_dispatchers_tend_at_once(scene):
    scene.hosted()
    scene.pass_hours(4.1)
    threads = [threading.Thread(target=scene.tend) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert scene.asleep()
    assert len(scene.rows(Task, kind="unhost_model", subject_id=scene.row().id)) == 1
    assert len(scene.rows(Announcement, kind="hosting_asleep")) == 1


@ONE_DATABASE
def test_what_one_may_see(scene):
    scene.hosted()
    with scene.db.read() as session:
        ((endpoint, row),) = hosting.shown(session, Actor("T1", "U1"))
        assert (endpoint.id, row.id) == (scene.endpoint.id, scene.row().id)
        assert hosting.shown(session, Actor("T1", "U2")) == []
        assert len(hosting.shown(session, SOMEBODY)) == 1
        with pytest.raises(NotAllowed):
            hosting.shown(session, GUEST)


@ONE_DATABASE
def test_a_database_that_does_not_answer_is_no_reason_not_to_chat(scene, monkeypatch):
    scene.hosted()

    def broken(*_arguments):
        from sqlalchemy.exc import OperationalError

        raise OperationalError("locked", None, Exception())

    monkeypatch.setattr(serving, "_note", broken)
    hosting.used(scene.db, scene.endpoint)
