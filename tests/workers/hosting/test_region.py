"""What was to stay in its region is hosted there; who wakes it is told; the card says whether somebody answers."""

import pytest
from sqlmodel import select

from bot import run_cards
from tests.workers.hosting.conftest import BY_THE_HOUR, GUEST, SOMEBODY, TUNER
from workers import hosting
from workers.errors import NotAllowed
from workers.hosting.possible import can_host
from workers.tables import Credential, LeaseStatus, Run

pytestmark = pytest.mark.parametrize("db", ["sqlite"], indirect=True)


def in_its_region(scene):
    """The plan has said so."""
    with scene.db.write() as session:
        run = session.get_one(Run, scene.run_id)
        run.plan = {**run.plan, "options": {"training_tier": "standard"}}


def regional(cloud):
    cloud.tiers_of = [*cloud.tiers_of, type(cloud.tiers_of[0])("Standard", "Standard", for_base_models=True)]


def test_both_models_are_hosted_in_the_region_and_the_tuned_one_is_deployed_again_there(scene):
    in_its_region(scene)
    regional(scene.cloud)
    row = scene.hosted()
    assert {one.tier for one in scene.rows()} == {"Standard"}
    assert (row.price_per_hour, row.lives_until) == (1.7, None)
    with scene.db.write() as session:
        hosting.end(session, TUNER, row.id)
    scene.work()
    with scene.db.write() as session:
        woken = hosting.wake(session, SOMEBODY, scene.endpoint.id)
    assert (woken.tier, woken.price_per_hour) == ("standard", 1.7)
    scene.work("host_model")
    assert scene.cloud.there[woken.name]["request"].tier == scene.row().tier == "Standard"


def test_without_a_region_it_is_the_cheapest(scene):
    regional(scene.cloud)
    assert scene.hosted().tier == "DeveloperTier"


def test_where_the_region_is_not_to_be_had_it_is_hosted_nowhere(scene):
    in_its_region(scene)
    scene.cloud.tiers_of = [*scene.cloud.tiers_of[:1], *BY_THE_HOUR]
    scene.begin()
    scene.work()
    assert {one.status for one in scene.rows()} <= {LeaseStatus.FAILED, LeaseStatus.ENDED}
    assert "in the resource's region, and it is to stay there" in scene.row().problem
    assert scene.cloud.named == []


def card(scene):
    with scene.db.read() as session:
        drawn = run_cards.shown(session, session.get_one(Run, scene.run_id))
    return str(drawn.blocks)


def revision(scene):
    return sum(one.revision for one in scene.said("run_card"))


def test_the_card_is_redrawn_when_its_model_falls_asleep_and_wakes_and_the_thread_is_told_who_woke_it(scene):
    row = scene.hosted()
    assert "Reply in this thread" in card(scene)
    before = revision(scene)
    with scene.db.write() as session:
        hosting.end(session, TUNER, row.id)
    assert revision(scene) > before
    assert "Reply in this thread" not in card(scene)
    assert "It is asleep: deploy it again" in card(scene)
    scene.work()
    with scene.db.write() as session, pytest.raises(NotAllowed):
        hosting.wake(session, GUEST, scene.endpoint.id)
    assert scene.said("hosting_waking") == []
    for _ in range(2):
        with scene.db.write() as session:
            woken = hosting.wake(session, SOMEBODY, scene.endpoint.id)
    (told,) = scene.said("hosting_waking")
    assert (told.subject_id, told.thread_slot, woken.creator_id) == (woken.id, f"run:{scene.run_id}:card", "U2")
    before = revision(scene)
    scene.work("host_model")
    assert revision(scene) > before
    assert "Reply in this thread" in card(scene)


@pytest.mark.parametrize(
    ("provider", "shown", "can"),
    [
        ("azure_openai", {"endpoint": "https://x"}, False),
        ("azure_openai", {"endpoint": "https://x", "account": "ours"}, True),
        ("azure_ml", {}, True),
        ("openai", {}, True),
    ],
)
def test_what_is_needed_to_deploy(context, db, provider, shown, can):
    with db.write() as session:
        for one in session.exec(select(Credential)):
            session.delete(one)
        session.add(Credential(team_id="T1", provider=provider, sealed="x", shown=shown))
        session.flush()
        assert can_host(session, "T1", provider) is can
        assert can_host(session, "T2", provider)  # nothing is known of them, and so nothing is said
