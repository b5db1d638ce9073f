"""A local workspace, and a bot connected to it over Socket Mode."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from bot.sandbox import Sandbox
from bot.sandbox.driver import Person


def client_of(sandbox: Sandbox) -> WebClient:
    env = sandbox.env()
    return WebClient(token=env["SLACK_BOT_TOKEN"], base_url=env["SLACK_API_URL"], timeout=10)


@contextmanager
def connect(sandbox: Sandbox, app: App) -> Iterator[SocketModeHandler]:
    handler = SocketModeHandler(app, sandbox.env()["SLACK_APP_TOKEN"], web_client=client_of(sandbox))
    handler.connect()
    try:
        yield handler
    finally:
        handler.close()
        app.listener_runner.listener_executor.shutdown()


@pytest.fixture(scope="module")
def connected() -> Callable[[Sandbox, App], AbstractContextManager[Any]]:
    return connect


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> WebClient:
    return client_of(sandbox)


@pytest.fixture(scope="module")
def new_client() -> Callable[[Sandbox], WebClient]:
    return client_of


@pytest.fixture
def tuner(sandbox: Sandbox) -> Person:
    return Person(sandbox.url, "Tuner")
