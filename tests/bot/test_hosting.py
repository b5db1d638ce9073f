"""Hosted models in the channel: what their messages say, what the buttons do, who may press them, and once."""

import json
import time
from collections.abc import Iterator

import pytest
from sqlmodel import select

from bot.deliver import deliver
from bot.sandbox.cast import TEAM_ID
from bot.sandbox.driver import Person
from tests.acceptance.player import has, said
from workers import announcements, hosting
from workers.hosting import models
from workers.run_status import RunStatus
from workers.runs import lifecycle
from workers.tables import (
    ChatTurn,
    Dataset,
    Endpoint,
    EndpointStatus,
    Evaluation,
    HostedModel,
    LeaseStatus,
    Run,
    Task,
)

CHANNEL = "#finetuning"
pytestmark = [
    pytest.mark.parametrize("sandbox", [{"delivery": "http", "retry_seconds": (0.1, 0.3, 0.5)}], indirect=True),
    pytest.mark.parametrize("db", ["sqlite"], indirect=True),
]


@pytest.fixture
def card(context, person, show):
    """The ts of the card of a run whose tuned model is hosted for its endpoint."""
    where = {"team_id": TEAM_ID, "channel_id": person.channel_id(CHANNEL), "creator_id": person.id}
    with context.db.write() as session:
        dataset = Dataset(**where, name="a", sha256="a", storage_key="a", format="openai-chat", method="sft",
                          examples=9, trainable=True)  # fmt: skip
        session.add(dataset)
        session.flush()
        run = Run(
            **where, name="recipes", request_key="k", dataset_id=dataset.id, provider="azure_openai", method="sft",
            base_model="gpt-4.1-nano-2025-04-14", status=RunStatus.READY, tuned_model="ft-1", plan={"dataset_id": 1},
        )  # fmt: skip
        session.add(run)
        session.flush()
        endpoint = Endpoint(**where, name="recipes", run_id=run.id, provider="azure_openai", model="recipes-1")
        session.add(endpoint)
        session.flush()
        at = models.now(session)
        row = HostedModel(
            **where, run_id=run.id, endpoint_id=endpoint.id, provider="azure_openai", name="ftb-r1-t-0", model="ft-1",
            target="ftb-r1-t-0", status=LeaseStatus.READY, ready_at=at - 3600, ends_at=at + 3 * 3600,
            price_per_hour=1.7, created_at=at - 3700, used_at=at - 300,
        )  # fmt: skip
        session.add(row)
        session.flush()
        lifecycle.redraw(session, run, urgent=True)
        models.redraw(session, row)
    show()
    return next(one["ts"] for one in person.messages(CHANNEL) if "Ready" in said(one))


@pytest.fixture
def show(context, client):
    """Let the notifier do its work."""

    def send():
        for _ in range(5):
            with context.db.write() as session:
                due = announcements.take_due(session, 60.0)
            for claimed in due:
                deliver(context, client, claimed)

    return send


@pytest.fixture(autouse=True)
def _acceptable(person: Person) -> Iterator[None]:
    """Whatever a test makes the bot send, Slack would take it."""
    yield
    assert [call for call in person.journal(kind="call") if call.get("problems")] == []


def find(person, card, action_id):
    return [one for one in person.thread(CHANNEL, card) if has(one, action_id)]


def private(person):
    return [said(one) for one in person.messages(CHANNEL) if one.get("ephemeral")]


def row(context, table=HostedModel):
    with context.db.read() as session:
        return session.exec(select(table).order_by(table.id.desc())).first()


def test_the_endpoints_message_says_what_it_costs_and_until_when(bot, card, person):
    (message,) = find(person, card, "hosted_keep")
    assert "costs $1.70/h" in said(message)
    shown = json.dumps(message["blocks"])
    assert "{ago}" in shown
    assert "Delete now" in shown


def test_keep_it_for_a_day(bot, card, person, context, show, eventually):
    (message,) = find(person, card, "hosted_keep")
    for _ in range(2):  # a double click
        person.click(message, "hosted_keep")
    eventually(lambda: any("stays deployed until" in one for one in private(person)))
    left = row(context).ends_at - time.time()
    assert left == pytest.approx(24 * 3600, abs=120)
    show()
    assert f"<!date^{int(row(context).ends_at)}^" in json.dumps(find(person, card, "hosted_keep")[0]["blocks"])


def free(context):
    """The model is hosted where an hour costs nothing, and where the vendor ends it after a day."""
    with context.db.write() as session:
        one = session.exec(select(HostedModel)).one()
        one.tier, one.price_per_hour, one.lives_until = "DeveloperTier", 0.0, one.created_at + 24 * 3600
        session.add(one)
        models.redraw(session, one)


def test_kept_to_the_vendors_end_then_hosted_longer(bot, card, person, context, show, eventually):
    free(context)
    show()
    (message,) = find(person, card, "hosted_keep")
    assert "no cost by the hour, each answer is billed by its tokens" in said(message)
    assert has(message, "hosted_longer")
    person.click(message, "hosted_keep")
    eventually(lambda: any("Azure OpenAI itself ends it then" in one for one in private(person)))
    before = row(context)
    assert before.ends_at == before.lives_until
    show()
    message = find(person, card, "hosted_longer")[0]
    assert "when Azure OpenAI itself ends it" in said(message)
    assert not has(message, "hosted_keep")
    assert "Host it longer · $1.70/h" in json.dumps(message["blocks"], ensure_ascii=False)
    for _ in range(2):
        person.click(message, "hosted_longer")
    eventually(lambda: row(context).status is LeaseStatus.ASKED)
    made = row(context)
    assert (made.id, made.tier, made.price_per_hour) == (before.id + 1, "globalStandard", 1.7)
    eventually(lambda: any("deployed anew" in one for one in private(person)))
    show()
    assert any("then costs $1.70/h" in said(one) for one in find(person, card, "hosted_end"))


def test_somebody_else_may_look_but_not_touch(bot, card, sandbox, person, context, eventually):
    other = Person(sandbox.url, "Rey")  # a member of the channel, and no admin
    message = find(person, card, "hosted_end")[0]
    for action in ("hosted_keep", "hosted_end"):
        other.click(message, action)
    eventually(lambda: len([one for one in private(other) if "That did not work" in one]) == 2)
    assert row(context).status is LeaseStatus.READY
    assert row(context).ends_at < time.time() + 4 * 3600


def test_deleted_now_then_asked_then_deployed_again(bot, card, person, context, show, eventually):
    (message,) = find(person, card, "hosted_end")
    person.click(message, "hosted_end")
    eventually(lambda: row(context).status is LeaseStatus.ENDING)
    show()
    (message,) = find(person, card, "endpoint_wake")
    assert "asleep" in said(message)
    assert "Deploy again · $1.70/h" in json.dumps(message["blocks"], ensure_ascii=False)

    person.say(CHANNEL, "What is in a pancake?", thread_ts=card)
    eventually(lambda: show() or len(find(person, card, "endpoint_wake")) == 2)
    answer = find(person, card, "endpoint_wake")[-1]
    assert "nobody answers here" in said(answer)
    assert row(context, ChatTurn) is None

    for _ in range(2):
        person.click(answer, "endpoint_wake")
    eventually(lambda: row(context).status is LeaseStatus.ASKED)
    with context.db.read() as session:
        assert len(session.exec(select(HostedModel)).all()) == 2
        assert len(session.exec(select(Task).where(Task.kind == "host_model")).all()) == 1
    show()
    assert any("being deployed" in said(one) for one in find(person, card, "hosted_end"))


def test_any_member_may_wake_it_and_the_thread_is_told_who_did(bot, card, sandbox, person, context, show, eventually):
    person.click(find(person, card, "hosted_end")[0], "hosted_end")
    eventually(lambda: row(context).status is LeaseStatus.ENDING)
    show()
    (message,) = find(person, card, "endpoint_wake")
    question = next(
        one["confirm"]["text"]["text"]
        for block in message["blocks"]
        for one in block.get("elements", ())
        if one.get("action_id") == "endpoint_wake"
    )
    assert "for 4 hours at $1.70/h, about $6.80 in all" in question
    assert any("It is asleep: deploy it again" in said(one) for one in person.messages(CHANNEL) if one["ts"] == card)
    guest, other = Person(sandbox.url, "Gil"), Person(sandbox.url, "Rey")
    guest.click(message, "endpoint_wake")
    eventually(lambda: any("Guests and people from other organisations" in one for one in private(guest)))
    assert row(context).status is LeaseStatus.ENDING
    other.click(message, "endpoint_wake")
    eventually(lambda: row(context).status is LeaseStatus.ASKED)
    show()
    told = [said(one) for one in person.thread(CHANNEL, card) if "deployed again, which takes" in said(one)]
    assert len(told) == 1
    assert f"<@{other.id}>" in told[0]


def test_deployed_again_with_another_capacity_and_compared_as_the_question_says(
    bot, card, person, context, show, eventually
):
    with context.db.write() as session:
        run = session.exec(select(Run)).one()
        run.cost = {"answers": 20, "answers_dollars": 0.04}
        where = {"team_id": TEAM_ID, "channel_id": run.channel_id, "creator_id": person.id}
        session.add(Evaluation(**where, run_id=run.id, done=True, summary={"problem": "No quota.", "owed": True}))
        session.add(run)
    person.click(find(person, card, "hosted_end")[0], "hosted_end")
    eventually(lambda: row(context).status is LeaseStatus.ENDING)
    show()
    (message,) = find(person, card, "endpoint_wake_with")
    menu = next(
        one
        for block in message["blocks"]
        for one in block.get("elements", ())
        if one.get("action_id") == "endpoint_wake_with"
    )
    question = menu["confirm"]["text"]["text"]
    assert question.endswith("Both models are then compared, as was planned: 20 answers, about $0.04.")
    endpoint = row(context, Endpoint)
    person.click(message, "endpoint_wake_with", selected_option=f"{endpoint.id}:2")
    eventually(lambda: row(context).status is LeaseStatus.ASKED)
    with context.db.read() as session:
        asked = session.exec(select(HostedModel).where(HostedModel.status == LeaseStatus.ASKED)).all()
    assert {(one.purpose, one.capacity) for one in asked} == {("tuned", 2), ("base", 2)}
    show()
    assert any("Both models are then compared" in said(one) for one in person.thread(CHANNEL, card))


def test_in_the_thread_of_a_deleted_model_a_reply_is_answered_with_one_sentence(
    bot, card, person, context, show, eventually
):
    person.click({**next(one for one in person.messages(CHANNEL) if one["ts"] == card)}, "run_more",
                 selected_option=f"delete_model:{row(context, Run).id}")  # fmt: skip
    eventually(lambda: any("is asked to delete the tuned model of recipes" in one for one in private(person)))
    show()
    shown = [said(one) for one in person.thread(CHANNEL, card)]
    assert any("recipes is deleted: nobody answers here." in one.replace("*", "") for one in shown)
    assert not [one for one in shown if "Reply in this thread" in one]
    assert find(person, card, "endpoint_key") == []
    for _ in range(2):
        person.say(CHANNEL, "What is in a pancake?", thread_ts=card)
    eventually(
        lambda: show() or any("Nobody answers here any more" in said(one) for one in person.thread(CHANNEL, card))
    )
    assert len([one for one in person.thread(CHANNEL, card) if "Nobody answers here any more" in said(one)]) == 1
    assert row(context, ChatTurn) is None


def test_the_warning_is_a_message_with_buttons(bot, card, person, context, show, eventually):
    with context.db.write() as session:
        one = session.exec(select(HostedModel)).one()
        one.ends_at = models.now(session) + 1200
        session.add(one)
        session.flush()
        hosting.tend(session, context.settings)
        hosting.tend(session, context.settings)
    show()
    warning = next(one for one in find(person, card, "hosted_keep") if "then it is deleted" in said(one))
    person.click(warning, "hosted_keep")
    eventually(lambda: row(context).ends_at > time.time() + 20 * 3600)
    show()
    after = next(one for one in person.thread(CHANNEL, card) if one["ts"] == warning["ts"])
    assert "stays deployed until" in said(after)
    assert not has(after, "hosted_keep")


def test_the_warning_offers_what_the_vendor_does_not_end(bot, card, person, context, show):
    free(context)
    with context.db.write() as session:
        one = session.exec(select(HostedModel)).one()
        one.ends_at = one.lives_until = models.now(session) + 1200
        session.add(one)
        session.flush()
        hosting.tend(session, context.settings)
    show()
    warning = next(one for one in find(person, card, "hosted_longer") if "⏰" in said(one))
    assert "when Azure OpenAI itself ends it" in said(warning)
    assert "It costs" not in said(warning)


def test_unused_at_the_end_the_thread_is_told(bot, card, person, context, show):
    with context.db.write() as session:
        one = session.exec(select(HostedModel)).one()
        one.ends_at, one.used_at = models.now(session) - 1, None
        session.add(one)
        session.flush()
        hosting.tend(session, context.settings)
    show()
    told = [said(one) for one in find(person, card, "endpoint_wake")]
    assert any("not used in the last half an hour" in one for one in told)


def test_the_home_tab_shows_the_cost_and_can_delete(bot, card, person, context, eventually):
    person.home()

    def home():
        return person.state().get("home") or {}

    eventually(lambda: "costs $1.70/h" in json.dumps(home()))
    person.click({"type": "home"}, "hosted_end")
    eventually(lambda: row(context).status is LeaseStatus.ENDING)
    eventually(lambda: "asleep" in json.dumps(home()))
    with context.db.read() as session:
        assert session.exec(select(Endpoint)).one().status is EndpointStatus.ASLEEP
