"""The local workspace for the bot's tests, and a clerk who plays the notifier by hand."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from slack_sdk import WebClient

from bot import client as slack_client
from bot.sandbox import Sandbox
from bot.sandbox.cast import TEAM_ID
from bot.sandbox.driver import Person
from bot.settings import SlackSettings
from workers import announcements
from workers.context import Context
from workers.tables import Announcement, Owned


@pytest.fixture
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Without limits of rate; `@pytest.mark.parametrize("sandbox", [{...}], indirect=True)` says more."""
    with Sandbox(rate_limits=False, **getattr(request, "param", {})) as running:
        yield running


@pytest.fixture
def slack(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackSettings]:
    """The settings of a bot of this workspace, for handlers that read them from the environment too."""
    for name, value in sandbox.env().items():
        monkeypatch.setenv(name, value)
    slack_client.of_this_process.cache_clear()
    yield SlackSettings()
    slack_client.of_this_process.cache_clear()


@pytest.fixture
def client(slack: SlackSettings) -> WebClient:
    return slack_client.build(slack, wait_when_limited=False)


@pytest.fixture
def person(sandbox: Sandbox) -> Iterator[Person]:
    tuner = Person(sandbox.url, "Tuner")
    yield tuner
    tuner.clear_faults()


@pytest.fixture
def owner(person: Person) -> Owned:
    return Owned(team_id=TEAM_ID, channel_id=person.channel_id("#finetuning"), creator_id=person.id)


@pytest.fixture
def want(context: Context, owner: Owned) -> Callable[..., Announcement]:
    """Want a message in Slack: `want("slot", "note", data={...})`."""

    def ask(slot: str, kind: str, **more: Any) -> Announcement:
        with context.db.write() as session:
            return announcements.post(session, owner=owner, slot=slot, kind=kind, **more)

    return ask
