"""The local workspace for the bot's tests, and a clerk who plays the notifier by hand."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import uvicorn
from slack_sdk import WebClient

from bot import app as bot_app
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
def answering(sandbox: Sandbox, slack: SlackSettings) -> Callable[[Context], AbstractContextManager[None]]:
    """The bot of a context behind the workspace's request URL, for the length of a block."""

    @contextmanager
    def serve(context: Context) -> Iterator[None]:
        app = bot_app.build(context, slack)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            server = uvicorn.Server(uvicorn.Config(bot_app.http_app(app), log_config=None, access_log=False))
            thread = threading.Thread(target=server.run, args=([listener],))
            thread.start()
            sandbox.request_url = f"http://127.0.0.1:{listener.getsockname()[1]}{bot_app.PATH}"
            try:
                yield
            finally:
                server.should_exit = True
                thread.join()
                app.listener_runner.listener_executor.shutdown(wait=True)

    return serve


@pytest.fixture
def bot(answering: Callable[[Context], AbstractContextManager[None]], context: Context) -> Iterator[None]:
    """The bot of the test's own context. It hears what the workspace delivers by HTTP (`sandbox` with `delivery`)."""
    with answering(context):
        yield


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
