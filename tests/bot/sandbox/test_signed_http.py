"""The same bot, reached by signed HTTP."""

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from slack_bolt import App
from slack_bolt.adapter.starlette.handler import to_bolt_request, to_starlette_response
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox import Sandbox
from bot.sandbox.driver import Person

FORM = {
    "type": "modal",
    "callback_id": "form",
    "title": {"type": "plain_text", "text": "Form"},
    "submit": {"type": "plain_text", "text": "Go"},
    "blocks": [{"type": "divider"}],
}


class Listening:
    """A Bolt app behind an address."""

    def __init__(self, app: App) -> None:
        self.headers: list[Any] = []
        self.failures = 0

        async def events(request: Request) -> Response:
            self.headers.append(request.headers)
            if self.failures and b"event_callback" in await request.body():
                self.failures -= 1
                return Response(status_code=500)
            asked = to_bolt_request(request, await request.body())
            return to_starlette_response(await run_in_threadpool(app.dispatch, asked))

        routes = [Route("/slack/events", events, methods=["POST"])]
        config = uvicorn.Config(Starlette(routes=routes), port=0, log_config=None, lifespan="off")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        self.url = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}/slack/events"

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join()


@pytest.fixture
def heard() -> "queue.Queue[dict[str, Any]]":
    return queue.Queue()


@pytest.fixture
def http_sandbox() -> Iterator[Sandbox]:
    with Sandbox(delivery="http", retry_seconds=(0.0, 0.1)) as running:
        yield running


@pytest.fixture
def listening(http_sandbox: Sandbox, new_client, heard, eventually) -> Iterator[Listening]:
    app = App(client=new_client(http_sandbox), signing_secret=http_sandbox.env()["SLACK_SIGNING_SECRET"])

    @app.event("message")
    def message(event):
        heard.put(event)

    @app.command("/finetune")
    def command(ack, body, client):
        ack("heard you")
        client.views_open(trigger_id=body["trigger_id"], view=FORM)

    @app.view("form")
    def submitted(ack, body):
        ack()
        heard.put(body)

    server = Listening(app)
    http_sandbox.request_url = server.url
    tuner = Person(http_sandbox.url, "Tuner")
    eventually(lambda: tuner.state()["connected"])
    yield server
    server.close()
    app.listener_runner.listener_executor.shutdown()


def test_commands_forms_and_events_over_http(http_sandbox, listening, heard, eventually) -> None:
    assert "SLACK_APP_TOKEN" not in http_sandbox.env()
    tuner = Person(http_sandbox.url, "Tuner")
    tuner.say("#finetuning", "hello")
    assert heard.get(timeout=5)["text"] == "hello"
    assert tuner.command("#finetuning", "/finetune", "x")["ok"]
    eventually(lambda: tuner.state()["views"])
    assert tuner.messages("#finetuning")[-1]["text"] == "heard you"
    assert tuner.submit(tuner.state()["views"][-1], {})["closed"]
    assert heard.get(timeout=5)["type"] == "view_submission"


def test_an_event_that_was_refused_comes_again(http_sandbox, listening, heard) -> None:
    listening.failures = 1
    Person(http_sandbox.url, "Tuner").say("#finetuning", "hello?")
    assert heard.get(timeout=5)["text"] == "hello?"
    assert listening.headers[-1]["X-Slack-Retry-Num"] == "1"
    assert listening.headers[-1]["X-Slack-Retry-Reason"] == "http_error"


def test_without_a_bot_a_command_fails_and_says_so(http_sandbox) -> None:
    tuner = Person(http_sandbox.url, "Tuner")
    assert tuner.command("#finetuning", "/finetune", "x")["error"].endswith('"dispatch_failed"')
    assert not tuner.state()["connected"]


def test_a_wrong_signature_is_no_handshake(new_client, eventually) -> None:
    with Sandbox(delivery="http", signing_secret="right") as sandbox:
        server = Listening(App(client=new_client(sandbox), signing_secret="wrong"))
        sandbox.request_url = server.url
        eventually(lambda: server.headers)
        assert not Person(sandbox.url, "Tuner").state()["connected"]
        server.close()
