"""From a trained model to one that answers, and to its end: what is asked of the vendor, and what is known here."""

import re

import pytest

from providers.base import HostingTier
from providers.errors import NotAllowed, RateLimited, Unavailable
from tests.workers.hosting.conftest import BY_THE_HOUR, TUNER
from workers import hosting
from workers.hosting import models
from workers.jobs import hosting as jobs
from workers.jobs import runner
from workers.run_status import RunStatus
from workers.runs import lifecycle
from workers.tables import HostedModel, LeaseStatus, Run, Task, TaskStatus

ONE_DATABASE = pytest.mark.parametrize("db", ["sqlite"], indirect=True)


def names(scene):
    with scene.db.read() as session:
        return hosting.chat_names(session, session.get_one(Run, scene.run_id))


def test_the_rows_are_there_before_the_vendor_is_asked(scene):
    scene.begin()
    assert [(one.purpose, one.model, one.status) for one in scene.rows()] == [
        ("tuned", "ft-model", LeaseStatus.ASKED), ("base", "gpt-4.1-nano-2025-04-14", LeaseStatus.ASKED)
    ]  # fmt: skip
    assert scene.cloud.asked == []
    scene.begin()
    assert len(scene.rows()) == 2


def test_names_are_short_unique_and_not_the_teams_words(scene):
    scene.begin()
    made = [one.name for one in scene.rows()]
    assert len(set(made)) == 2
    shape = rf"ftb-[0-9a-f]{{6}}-r{scene.run_id}-[tb]-[0-9a-f]{{8}}"
    assert all(re.fullmatch(shape, one) and len(one) <= 24 + len(str(scene.run_id)) for one in made)


def test_when_the_vendor_was_first_asked_is_known_and_that_it_never_was(scene):
    scene.begin()
    seen = []
    scene.cloud.step = lambda where: seen.append(scene.row().asked_at) if where == "before deploy" else None
    scene.work()
    row = scene.row()
    assert seen[0] is not None  # noted before it hears of it
    assert row.created_at <= row.asked_at <= row.ready_at
    with scene.db.write() as session:
        never = models.ask(session, session.get_one(Run, scene.run_id), "checked", "m")
        models.end(session, never)
    scene.work(soon=10**6)
    assert scene.rows(id=never.id)[0].asked_at is None


def test_what_a_vendor_does_in_steps_is_asked_for_step_by_step(scene):
    scene.cloud.further = 2
    scene.begin()
    scene.work(rounds=20)
    name = scene.row().name
    assert scene.row().status is LeaseStatus.READY
    assert [what for what, which in scene.cloud.effects if which == name] == ["made", "step", "step"]


def test_what_is_to_end_gets_no_further_step(scene):
    scene.cloud.further = 1
    scene.begin()
    task = scene.rows(Task, kind="host_model", subject_id=scene.row().id)[0]
    for _ in range(3):
        runner.carry(scene.context, task.id, task.attempt)
        task = scene.rows(Task, id=task.id)[0]
    name = scene.row().name
    assert scene.cloud.there[name]["state"] == "creating"
    with scene.db.write() as session:
        lifecycle.cancel(session, TUNER, scene.run_id)
    scene.cloud.trouble["undeploy"] = [Unavailable("down"), Unavailable("down")]  # so it is looked at first
    scene.tend()
    scene.work(soon=300, rounds=20)
    assert [what for what, which in scene.cloud.effects if which == name] == ["made", "step", "deleting"]
    assert scene.cloud.there == {}


def test_both_models_are_hosted_then_the_comparison_begins(scene):
    scene.begin()
    scene.work()
    run, row, base = scene.run, scene.row(), scene.row("base")
    assert (row.status, base.status) == (LeaseStatus.READY, LeaseStatus.READY)
    assert (row.tier, row.price_per_hour, row.capacity) == ("DeveloperTier", 0.0, 10)
    assert row.lives_until == pytest.approx(row.created_at + 24 * 3600)
    assert "Azure Retail Prices" in row.price_words
    assert (base.tier, base.price_per_hour) == ("GlobalStandard", 0.0)
    assert row.ends_at == pytest.approx(row.ready_at + 4 * 3600)
    assert run.status is RunStatus.EVALUATING
    assert run.model_name == row.target
    assert names(scene) == (base.target, row.target)
    assert len(scene.rows(Task, kind="evaluate")) == 1
    assert len(scene.cloud.named) == 2


def test_no_worker_waits_while_the_vendor_is_at_it(scene):
    scene.begin()
    scene.cloud.slow = 3
    task = scene.once("host_model")
    assert (task.status, task.crashes) == (TaskStatus.QUEUED, 0)
    assert task.due_at > task.created_at + 2
    assert scene.row("base").status is LeaseStatus.CREATING


@ONE_DATABASE
def test_without_a_test_no_base_model_is_hosted(scene):
    with scene.db.write() as session:
        run = session.get_one(Run, scene.run_id)
        run.plan = {**run.plan, "test_on": "nothing"}
        session.add(run)
    scene.begin()
    scene.work()
    assert [one.purpose for one in scene.rows()] == ["tuned"]
    assert scene.run.status is RunStatus.EVALUATING


def test_a_vendor_that_is_away_is_asked_again(scene):
    scene.begin()
    scene.cloud.trouble["deploy"] = [Unavailable("down"), RateLimited("slowly", retry_after=4), Unavailable("down")]
    scene.work()
    assert scene.run.status is RunStatus.EVALUATING
    assert len(scene.cloud.named) == 2


def test_what_does_not_come_in_time_is_given_up_and_ended(scene):
    scene.begin()
    scene.cloud.slow = 10_000
    scene.once("host_model")
    scene.pass_hours(1)
    scene.work(soon=300)
    assert (scene.row().status, scene.row("base").status) == (LeaseStatus.FAILED, LeaseStatus.ENDED)
    assert scene.cloud.there == {}
    assert scene.run.status is RunStatus.EVALUATING  # which says that nothing could be compared
    (problem,) = [one for one in scene.said("problem") if one.slot.startswith("hosted:")]
    assert "did not answer within 45 minutes" in problem.data["text"]


def test_a_tuned_model_that_the_vendor_refuses_takes_the_base_model_along(scene):
    scene.begin()
    scene.cloud.broken = {"ft-model"}
    scene.work(soon=300)
    assert (scene.row().status, scene.row("base").status) == (LeaseStatus.FAILED, LeaseStatus.ENDED)
    assert "InsufficientQuota" in scene.row().problem
    assert scene.cloud.there == {}
    assert "InsufficientQuota" in scene.said("problem")[0].data["text"]
    with pytest.raises(Exception, match="InsufficientQuota"):
        names(scene)


@ONE_DATABASE
def test_a_base_model_that_cannot_be_hosted_leaves_the_tuned_one(scene):
    scene.begin()
    scene.cloud.broken = {"gpt-4.1-nano-2025-04-14"}
    scene.work("host_model")
    by_purpose = {one.purpose: one.status for one in scene.rows()}
    assert sorted(by_purpose.values()) == [LeaseStatus.ENDING, LeaseStatus.READY]
    assert scene.run.status is RunStatus.EVALUATING


@ONE_DATABASE
def test_refused_rights_are_said_at_once(scene):
    scene.begin()
    scene.cloud.trouble["deploy"] = [NotAllowed("The role Cognitive Services Contributor is missing.")] * 2
    scene.work(soon=300)
    assert scene.row().status is LeaseStatus.FAILED
    assert "Contributor is missing" in scene.said("problem")[0].data["text"]


@ONE_DATABASE
def test_a_tier_by_the_hour_notes_its_price_and_has_no_end_of_its_own(scene):
    scene.cloud.tiers_of = BY_THE_HOUR
    scene.begin()
    scene.work()
    row = scene.row()
    assert (row.tier, row.price_per_hour, row.lives_until) == ("GlobalStandard", 1.7, None)


@ONE_DATABASE
def test_a_tier_that_the_price_list_does_not_have_costs_nobody_knows_what(scene):
    scene.cloud.tiers_of = [HostingTier("Tomorrow", "Tomorrow", for_base_models=True)]
    scene.begin()
    scene.work()
    row = scene.row()
    assert (row.tier, row.price_per_hour, row.price_words) == ("Tomorrow", None, "")


@ONE_DATABASE
def test_only_what_takes_a_base_model_hosts_one(scene):
    scene.cloud.tiers_of = [HostingTier("DeveloperTier", "Developer", lives_hours=24.0)]
    scene.begin()
    scene.work(soon=300)
    row = scene.row()
    assert (row.tier, row.status) == ("DeveloperTier", LeaseStatus.READY)
    assert "no way to host the base model" in scene.row("base").problem


@ONE_DATABASE
def test_a_deployment_that_vanishes_while_it_is_made_is_asked_for_again(scene):
    scene.begin()
    scene.cloud.slow = 2
    scene.once("host_model")
    scene.cloud.there.clear()
    scene.work()
    assert scene.run.status is RunStatus.EVALUATING
    assert len(set(scene.cloud.named)) == 2


def test_after_the_evaluation_only_the_tuned_model_stays(scene):
    row = scene.hosted()
    assert (row.status, row.endpoint_id) == (LeaseStatus.READY, scene.endpoint.id)
    assert scene.row("base").status is LeaseStatus.ENDED
    assert list(scene.cloud.there) == [row.name]
    assert scene.endpoint.model == f"our-secret-recipes-{scene.run_id}"  # what programs name, whatever it is hosted as
    with scene.db.read() as session:
        assert hosting.name_now(session, scene.endpoint) == row.target


@ONE_DATABASE
def test_the_lease_begins_when_the_evaluation_is_over(scene):
    scene.begin()
    scene.work("host_model")
    scene.pass_hours(3)
    with scene.db.write() as session:
        run = session.get_one(Run, scene.run_id)
        from workers.runs import conclusion

        conclusion.evaluation_of(session, run)
        conclusion.ready(session, run, "", 100)
        assert scene.context.settings.hosting_hours == 4
    with scene.db.read() as session:
        assert scene.row().ends_at == pytest.approx(models.now(session) + 4 * 3600, abs=30)


@pytest.mark.parametrize("begun", [0, 1, 2])
def test_cancelled_while_it_is_deployed(scene, begun):
    scene.begin()
    scene.cloud.slow = 5
    for _ in range(begun):
        scene.once("host_model")
    with scene.db.write() as session:
        lifecycle.cancel(session, TUNER, scene.run_id)
    scene.tend()
    assert scene.run.status is RunStatus.CANCELLED
    scene.work(soon=300)
    assert scene.cloud.there == {}
    assert {one.status for one in scene.rows()} == {LeaseStatus.ENDED}
    assert scene.rows(Task, kind="evaluate") == []


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.CANCELLED])
def test_however_a_run_ends_badly_nothing_stays_hosted(scene, status):
    scene.begin()
    scene.work("host_model")
    with scene.db.write() as session:
        run = session.get_one(Run, scene.run_id)
        run.status = status
        session.add(run)
    scene.tend()
    scene.work("unhost_model", soon=300)
    assert scene.cloud.there == {}
    assert {one.status for one in scene.rows()} == {LeaseStatus.ENDED}


@pytest.mark.parametrize(
    ("tiers", "said"),
    [(None, "could not be deleted yet. The vendor is away."), ("hourly", "so it may still cost $1.70/h. The vendor")],
)
def test_ending_goes_on_through_outages_and_is_told(scene, tiers, said):
    scene.cloud.tiers_of = BY_THE_HOUR if tiers else scene.cloud.tiers_of
    row = scene.hosted()
    scene.cloud.trouble["undeploy"] = [Unavailable("The vendor is away.")] * 3
    with scene.db.write() as session:
        hosting.end(session, TUNER, row.id)
    assert scene.once("unhost_model").status is TaskStatus.QUEUED
    assert not [one for one in scene.said("problem") if "still hosted" in one.data["title"]]
    with scene.db.write() as session:
        task = session.get_one(Task, scene.rows(Task, kind="unhost_model")[-1].id)
        task.created_at -= jobs.LOUD_SECONDS + 60
        session.add(task)
    scene.once("unhost_model")
    scene.once("unhost_model")
    (told,) = [one for one in scene.said("problem") if "still hosted" in one.data["title"]]
    assert row.name in told.data["text"]
    assert said in told.data["text"]
    assert "Azure OpenAI" in told.data["text"]
    assert told.revision == 1
    scene.work("unhost_model", soon=10**6)
    assert scene.row().status is LeaseStatus.ENDED
    assert any("deleted at last" in str(one.data.get("text")) for one in scene.said("note"))


@ONE_DATABASE
def test_ending_is_never_given_up(scene, monkeypatch):
    row = scene.hosted()
    with scene.db.write() as session:
        hosting.end(session, TUNER, row.id)
    scene.cloud.trouble["undeploy"] = [ValueError("a fault of ours")] * 3
    for _ in range(scene.context.settings.timing.max_crashes):
        task = scene.once("unhost_model")
    assert scene.rows(Task, kind="unhost_model", status=TaskStatus.DEAD)
    assert task.status is TaskStatus.QUEUED
    assert task.due_at > task.created_at + 300
    assert any("still hosted" in one.data["title"] for one in scene.said("problem"))
    scene.work("unhost_model", soon=10**6)
    assert scene.row().status is LeaseStatus.ENDED


@ONE_DATABASE
def test_asking_that_breaks_for_good_ends_what_may_be_there(scene):
    scene.begin()
    scene.cloud.trouble["deployment"] = [ValueError("a fault of ours")] * 30
    for kind in ["host_model"] * 9:
        scene.work(kind, soon=1000, rounds=20)
    assert {one.problem for one in scene.rows()} >= {"It broke several times in a row because of a fault on our side."}
    scene.cloud.trouble.clear()
    scene.work("unhost_model", soon=300)
    assert scene.cloud.there == {}


@ONE_DATABASE
def test_a_deletion_waits_for_a_request_that_is_under_way(scene):
    """Else a deployment could be made just after the vendor was asked to delete it."""
    scene.begin()
    row = scene.row()
    with scene.db.write() as session:
        models.end(session, session.get_one(HostedModel, row.id))
        task = session.get_one(Task, next(one.id for one in scene.rows(Task, kind="host_model", subject_id=row.id)))
        task.status = TaskStatus.RUNNING
        session.add(task)
    assert scene.once("unhost_model").status is TaskStatus.QUEUED
    assert scene.cloud.asked == []


def test_a_late_request_of_a_copy_that_was_taken_over_is_found(scene):
    """A worker that slept through the loss of its lease sends its request when the deployment is long deleted."""
    row = scene.hosted()
    request = scene.cloud.there[row.name]["request"]
    with scene.db.write() as session:
        hosting.end(session, TUNER, row.id)
    scene.work("unhost_model", soon=300)
    assert scene.cloud.there == {}
    scene.cloud.deploy(request)
    scene.work("unhost_model", soon=10**6)
    assert scene.cloud.there == {}


def test_whatever_a_vendor_says_is_kept_shortly(scene):
    scene.cloud.noise = "\x00\n<!channel>\u202e" * 2000
    row = scene.hosted()
    assert len(row.vendor_status) <= 200
    assert row.vendor_status.isprintable()
    with scene.db.write() as session:
        hosting.end(session, TUNER, row.id)
    scene.cloud.broken = {"ft-model"}
    with scene.db.write() as session:
        hosting.wake(session, TUNER, scene.endpoint.id)
    scene.cloud.trouble["deployment"] = [Unavailable("down" + scene.cloud.noise)]
    scene.work(soon=300)
    assert scene.row().status is LeaseStatus.FAILED
    assert len(scene.row().problem) <= models.MOST_PROBLEM
    assert all(one.crashes == 0 for one in scene.rows(Task))
