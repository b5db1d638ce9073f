"""The gateway under uvicorn on a port of its own, a provider that says what a test wants, and the openai client."""

import dataclasses
import socket
import threading
import time
from collections.abc import Iterator

import openai
import pytest
import uvicorn

from providers.base import ChatChunk, ChatProvider, ChatRequest
from workers import keys
from workers.context import Context
from workers.gateway.app import build
from workers.rights import Actor
from workers.tables import Endpoint

TUNER = Actor("T1", "U1", "C1")


class ScriptedChat:
    """Says `pieces`; waits before each for `going` if that is cleared; raises `error` after the first."""

    def __init__(self):
        self.pieces = ["Flour", ", ", "eggs"]
        self.error = None
        self.error_at = 0
        self.reason = "stop"
        self.going = threading.Event()
        self.going.set()
        self.begun = threading.Semaphore(0)
        self.closed = threading.Event()
        self.requests: list[ChatRequest] = []

    def stream(self, request):
        self.requests.append(request)
        try:
            for number, piece in enumerate(self.pieces):
                if self.error is not None and number == self.error_at:
                    raise self.error
                yield ChatChunk(text=piece)
                self.begun.release()
                assert self.going.wait(20)
            yield ChatChunk(finish_reason=self.reason, prompt_tokens=7, completion_tokens=3)
        finally:
            self.closed.set()

    def models(self):
        return ["recipes-v1"]


@dataclasses.dataclass
class OneProvider:
    """Stands where the registry stands."""

    provider: ChatProvider

    def chat(self, _name, _credentials):
        return self.provider


@pytest.fixture
def chat():
    return ScriptedChat()


@pytest.fixture
def endpoint(db):
    with db.write() as session:
        row = Endpoint(
            team_id="T1", channel_id="C1", creator_id="U1", name="Recipes", provider="local", model="recipes-v1",
            system_prompt="Answer with a list.", max_tokens=99,
        )  # fmt: skip
        session.add(row)
        session.flush()
        return row


@pytest.fixture
def key(db, endpoint):
    with db.write() as session:
        return keys.create(session, TUNER, endpoint)


@pytest.fixture
def gateway(context: Context, chat) -> Iterator[str]:
    """Its address."""
    app = build(dataclasses.replace(context, providers=OneProvider(chat)))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        chat.going.set()
        server.should_exit = True
        thread.join()


@pytest.fixture
def client(gateway, key):
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key=key.secret, max_retries=0, timeout=20) as made:
        yield made
