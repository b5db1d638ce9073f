"""The buttons of a run's card, clicked in a workspace: pause, resume, checkpoints, deletion; rights on every click."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlmodel import select

from bot.blocks import run_card
from bot.client import build
from bot.sandbox import Sandbox
from bot.sandbox.cast import TEAM_ID
from bot.sandbox.driver import Person
from bot.settings import SlackSettings
from tests.acceptance.player import said
from tests.workers.jobs.watched import add_run
from workers.context import Context
from workers.run_status import RunStatus
from workers.tables import Announcement, AuditEntry, Endpoint, EndpointStatus, Run, RunCheckpoint, Task

CHANNEL = "#finetuning"
Message = dict[str, Any]
pytestmark = [
    pytest.mark.parametrize("sandbox", [{"delivery": "http"}], indirect=True),
    pytest.mark.parametrize("db", ["sqlite"], indirect=True),
    pytest.mark.usefixtures("bot"),
]


@pytest.fixture
def show(person: Person, context: Context, slack: SlackSettings) -> Callable[..., tuple[int, Message]]:
    """A run with these values, and its card in Slack."""

    def draw(**values: Any) -> tuple[int, Message]:
        channel = person.channel_id(CHANNEL)
        with context.db.write() as session:
            run_id = add_run(session, team=TEAM_ID, **values)
            run = session.get_one(Run, run_id)
            run.channel_id, run.creator_id = channel, person.id
            card = run_card.draw(run)
        ts = build(slack).chat_postMessage(channel=channel, text=card.text, blocks=card.blocks)["ts"]
        return run_id, next(one for one in person.messages(CHANNEL) if one["ts"] == ts)

    return draw


@pytest.fixture
def look(context: Context) -> Callable[[int], Run]:
    def now(run_id: int) -> Run:
        with context.db.read() as session:
            return session.get_one(Run, run_id)

    return now


def private(somebody: Person) -> Message:
    return [one for one in somebody.messages(CHANNEL) if one.get("ephemeral")][-1]


def test_pause_and_resume_by_its_owner_and_nobody_else(show, look, person: Person, sandbox: Sandbox):
    run_id, card = show(due=5e9)
    other = Person(sandbox.url, "Rey")
    other.click(card, "run_pause")
    assert "Only the person who started this, or an admin" in said(private(other))
    assert not look(run_id).pause_requested
    person.click(card, "run_pause")
    assert (look(run_id).pause_requested, look(run_id).next_poll_at) == (True, 0.0)
    _, card = show(status=RunStatus.PAUSED, pause_requested=True)
    run_id = int(card["blocks"][-1]["elements"][0]["value"])
    person.click(card, "run_resume")
    assert not look(run_id).pause_requested


def test_checkpoints_are_shown_to_whoever_asks_and_can_be_talked_to(show, person: Person, context: Context):
    run_id, card = show(status=RunStatus.READY, due=None, tuned_model="ft:last", progress={"checkpoints": 1})
    with context.db.write() as session:
        session.add(RunCheckpoint(run_id=run_id, step=5, model="ft:at-5", loss=1.0))
    person.click(card, "run_checkpoints")
    shown = private(person)
    assert "step 5 · loss 1.000" in said(shown)
    person.click(shown, "checkpoint_chat", block_id=shown["blocks"][1]["block_id"])
    assert "reply in its thread" in said(private(person))
    with context.db.read() as session:
        (endpoint,) = session.exec(select(Endpoint)).all()
        kinds = [one.kind for one in session.exec(select(Announcement))]
    assert (endpoint.model, endpoint.creator_id, kinds) == ("ft:at-5", person.id, ["endpoint"])


def test_the_tuned_model_is_deleted_from_the_menu(show, look, person: Person, sandbox: Sandbox, context: Context):
    run_id, card = show(status=RunStatus.READY, due=None, tuned_model="ft:last")
    with context.db.write() as session:
        run = session.get_one(Run, run_id)
        session.add(Endpoint(team_id=TEAM_ID, channel_id=run.channel_id, name="r", run_id=run_id, provider="stub",
                             model="ft:last"))  # fmt: skip
    other = Person(sandbox.url, "Rey")
    other.click(card, "run_more", selected_option=f"delete_model:{run_id}")
    assert "Only the person who started this, or an admin" in said(private(other))
    person.click(card, "run_more", selected_option=f"delete_model:{run_id}")
    assert look(run_id).progress["deleting_model"]
    assert "is asked to delete the tuned model" in said(private(person))
    with context.db.read() as session:
        assert session.exec(select(Endpoint)).one().status is EndpointStatus.DELETED
        assert [one.verb for one in session.exec(select(AuditEntry))] == ["delete_model"]
        assert [one.kind for one in session.exec(select(Task))] == ["delete_model"]
