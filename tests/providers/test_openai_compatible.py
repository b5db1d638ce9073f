import json
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from providers._openai_compatible import OpenAICompatibleChat
from providers.base import ChatChunk, ChatMessage, ChatRequest
from providers.errors import InvalidRequest, NotAllowed, NotFound, ProviderError, RateLimited, Unavailable

QUESTION = ChatRequest("m", [ChatMessage("system", "s"), ChatMessage("user", "q")], max_tokens=7)
HEAD = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def delta(text=None, reason=None):
    choice = {"index": 0, "delta": {"content": text} if text is not None else {}, "finish_reason": reason}
    return {**HEAD, "choices": [choice]}


USAGE = {**HEAD, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}


class Server(ThreadingHTTPServer):
    """Answers every question with `status` or with `events`; keeps what it was asked."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.headers, self.events, self.done = 200, {}, [], True
        self.asked, self.hung_up, self.endless = [], threading.Event(), False
        self.raw, self.listed = "", None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.reply({"object": "list", "data": [{"id": "m", "object": "model", "created": 0, "owned_by": "x"}]})

    def do_POST(self):
        server = self.server
        server.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        if server.status != 200:
            self.reply({"error": {"message": "because", "type": "t", "param": None, "code": "c"}}, server.status)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        try:
            for event in server.events:
                self.say(json.dumps(event))
            if server.raw:
                self.say(server.raw)
            while server.endless:
                self.say(json.dumps(delta("more ")))
            if server.done:
                self.say("[DONE]")
        except OSError:
            server.hung_up.set()

    def say(self, words):
        self.wfile.write(f"data: {words}\n\n".encode())
        self.wfile.flush()

    def reply(self, data, status=200):
        body = json.dumps(data).encode() if self.server.listed is None else self.server.listed
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.endless = False
        running.shutdown()
        thread.join()


@pytest.fixture
def chat(server):
    with closing(OpenAICompatibleChat(server.url)) as client:
        yield client


def test_an_answer_comes_in_pieces_with_its_counts(server, chat):
    server.events = [delta(""), delta("Hel"), delta("lo"), delta(reason="length"), USAGE]
    assert list(chat.stream(QUESTION)) == [
        ChatChunk("Hel"),
        ChatChunk("lo"),
        ChatChunk("", "length", prompt_tokens=3, completion_tokens=2),
    ]
    asked = server.asked[0]
    assert asked["messages"] == [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]
    assert (asked["model"], asked["max_tokens"], asked["temperature"]) == ("m", 7, 0.0)
    assert asked["stream_options"] == {"include_usage": True}
    assert chat.models() == ["m"]


def test_closing_the_iterator_hangs_up(server, chat):
    server.endless = True
    answer = chat.stream(QUESTION)
    assert next(answer).text == "more "
    answer.close()
    assert server.hung_up.wait(10)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (401, NotAllowed),
        (403, NotAllowed),
        (404, NotFound),
        (422, InvalidRequest),
        (429, RateLimited),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
def test_a_status_becomes_an_error_of_ours_and_is_asked_once(server, chat, status, kind):
    server.status, server.headers = status, {"retry-after": "7"}
    with pytest.raises(ProviderError) as caught:
        list(chat.stream(QUESTION))
    assert type(caught.value) is kind
    assert len(server.asked) == 1
    assert caught.value.retry_after == (7 if status in {429, 500, 503} else None)


def test_an_answer_without_an_end_is_not_taken_for_one(server, chat):
    server.events, server.done = [delta("Hel")], False
    with pytest.raises(Unavailable, match="broke off"):
        list(chat.stream(QUESTION))


def test_an_error_in_the_middle_of_an_answer(server, chat):
    server.events = [delta("Hel"), {"error": {"message": "out of memory", "type": "server_error"}}]
    with pytest.raises(Unavailable):
        list(chat.stream(QUESTION))


@pytest.mark.parametrize(
    "odd",
    [
        {**HEAD, "choices": None},
        {**HEAD, "choices": [{"index": 0, "delta": None, "finish_reason": None}]},
        {**HEAD, "choices": [{"index": 0, "delta": {"content": 7}}]},
        {**HEAD, "choices": [], "prompt_filter_results": []},
        {},
    ],
)
def test_events_that_say_nothing_are_passed_over(server, chat, odd):
    server.events = [odd, delta("Hello"), odd, delta(reason="stop")]
    assert "".join(one.text for one in chat.stream(QUESTION)) == "Hello"


def test_an_event_that_is_no_json(server, chat):
    server.events = [delta("Hel")]
    server.raw = "{broken"
    with pytest.raises(Unavailable, match="broke off"):
        list(chat.stream(QUESTION))


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'"x"'])
def test_a_list_of_models_that_cannot_be_read(server, chat, body):
    server.listed = body
    with pytest.raises(Unavailable, match="cannot be read"):
        chat.models()


def test_nobody_there(server):
    url = server.url
    server.server_close()
    with closing(OpenAICompatibleChat(url)) as chat:
        with pytest.raises(Unavailable, match="cannot be reached"):
            list(chat.stream(QUESTION))
        with pytest.raises(Unavailable):
            chat.models()


def test_a_role_that_is_none(chat):
    with pytest.raises(InvalidRequest, match="tool"):
        list(chat.stream(ChatRequest("m", [ChatMessage("tool", "x")])))
