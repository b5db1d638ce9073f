"""What a vendor has of ours and nobody wants is found once a day and ended; what is another's is left alone."""

import hashlib

import pytest

from providers.base import DeploymentRequest
from providers.errors import NotConfigured, Unavailable
from tests.workers.hosting.conftest import TUNER
from workers import hosting, radar
from workers.hosting import names
from workers.jobs import runner
from workers.settings import Settings
from workers.tables import Announcement, Credential, HostedModel, LeaseStatus, Run, Task, TaskStatus

ANOTHERS = ("ftb-0a1b2c-r1-t-01234567", "ftb-r1-t-0123456789", "production", "ftb-")


def put(scene, name):
    scene.cloud.deploy(DeploymentRequest(name, "m", "GlobalStandard"))
    scene.cloud.there[name] |= {"state": "ready"}


def look(scene, day="2026-11-25"):
    """The day's look, carried out as a worker does."""
    with scene.db.write() as session:
        radar.tend(session, Settings(today=day))
    task = scene.rows(Task, kind="radar")[-1]
    runner.carry(scene.context, task.id, task.attempt)
    assert scene.rows(Task, id=task.id)[0].status is TaskStatus.DONE


def ended_long_ago(scene):
    """The tuned model was hosted, and its end is long over."""
    row = scene.hosted()
    with scene.db.write() as session:
        hosting.end(session, TUNER, row.id)
    scene.work(soon=10**6)
    with scene.db.write() as session:
        held = session.get_one(HostedModel, row.id)
        assert held.status is LeaseStatus.ENDED
        held.ended_at -= 7200
        session.add(held)
    assert scene.cloud.there == {}
    return row


def swept(scene):
    return [one.data["text"] for one in scene.said("note") if "🧹" in one.data["text"]]


def test_what_an_old_request_brought_back_is_ended_and_told(scene):
    row = ended_long_ago(scene)
    put(scene, row.name)
    look(scene)
    (told,) = swept(scene)
    assert told == (
        f"🧹 Azure OpenAI had the deployment {row.name} of Our <secret> recipes although it had been deleted: it is "
        "being deleted again. What it cost meanwhile is not counted in the run's cost."
    )
    scene.work("unhost_model", soon=300)
    assert scene.cloud.there == {}
    look(scene, "2026-11-26")
    assert len(swept(scene)) == 1


def test_what_lives_or_has_just_ended_or_is_anothers_is_left_alone(scene):
    row = scene.hosted()
    for name in ANOTHERS:
        put(scene, name)
    look(scene)
    with scene.db.write() as session:
        hosting.end(session, TUNER, row.id)
    look(scene, "2026-11-26")  # its own task sees to it
    scene.work("unhost_model", soon=300)
    put(scene, row.name)
    look(scene, "2026-11-27")
    assert set(scene.cloud.there) == {*ANOTHERS, row.name}
    assert swept(scene) == []
    scene.work("unhost_model", soon=10**6)
    assert set(scene.cloud.there) == set(ANOTHERS)


def test_another_workspaces_deployments_at_the_same_account_are_known(scene):
    row = scene.hosted()
    with scene.db.write() as session:
        credential = session.get_one(Credential, 1)
        session.add(Credential(team_id="T2", creator_id="U8", provider="azure_openai", sealed=credential.sealed))
    look(scene)
    assert [one.team_id for one in scene.rows(Task, kind="radar")] == ["T1", "T2"]
    assert list(scene.cloud.there) == [row.name]
    assert swept(scene) == []


def test_what_nothing_is_known_of_is_deleted_and_the_admin_is_told(scene):
    row = ended_long_ago(scene)
    lost = [f"{row.name[:11]}r99-t-{number:08x}" for number in range(12)]
    for name in (*lost, *ANOTHERS):
        put(scene, name)
    scene.cloud.trouble["undeploy"] = [Unavailable("down")]
    look(scene)
    (told,) = (one for one in scene.rows(Announcement, kind="note") if one.slot.startswith("strays:"))
    assert told.creator_id == told.channel_id == "U9"
    assert "had deployments that Finetune Bot made and that nothing is known of here any more" in told.data["text"]
    assert told.data["text"].endswith(f"{lost[10]} and 1 more.")
    assert lost[0] not in told.data["text"]  # it could not be asked for
    look(scene, "2026-11-26")
    assert set(scene.cloud.there) - set(ANOTHERS) <= set(lost)
    assert all(scene.cloud.there[name]["state"] == "deleting" for name in set(scene.cloud.there) - set(ANOTHERS))
    assert all(scene.cloud.there[name]["state"] == "ready" for name in ANOTHERS)


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize("problem", [Unavailable("down"), NotConfigured("no subscription")])
def test_a_vendor_that_cannot_be_asked_is_no_trouble(scene, problem):
    scene.hosted()
    scene.cloud.trouble["ours"] = [problem]
    look(scene)
    assert swept(scene) == []


def test_the_mark_is_this_installations_own_and_lasts(scene):
    with scene.db.write() as session:
        first = names.beginning(session)
        run = session.get_one(Run, scene.run_id)
        own = hashlib.sha256(f"T1:k:{run.created_at!r}".encode()).hexdigest()
        session.add(Run(**run.model_dump(exclude={"id", "request_key"}), request_key="another"))
        session.flush()
        assert names.beginning(session) == first == f"ftb-{own[:6]}-"
    with scene.db.write() as session:
        run = session.get_one(Run, scene.run_id)
        run.request_key = "of another installation"
        session.add(run)
        session.flush()
        assert names.beginning(session) != first
