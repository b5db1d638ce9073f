"""Programs talk to an endpoint with the openai client, as they would to OpenAI."""

import http.client
import json
from urllib.parse import urlsplit

import openai
import pytest

from providers.base import ChatMessage
from providers.errors import InvalidRequest, NotConfigured, RateLimited, Unavailable
from workers.gateway.generation import MOST_A_KEY
from workers.tables import ApiKey, EndpointStatus

QUESTION = [{"role": "user", "content": "What is in a pancake?"}]
ONE_DATABASE = pytest.mark.parametrize("db", ["sqlite"], indirect=True)


def ask(client, **fields):
    return client.chat.completions.create(**{"model": "recipes-v1", "messages": QUESTION} | fields)


def test_a_whole_answer(client, chat, db, key, eventually):
    answer = ask(client)
    assert answer.choices[0].message.content == "Flour, eggs"
    assert (answer.choices[0].finish_reason, answer.model, answer.object) == ("stop", "recipes-v1", "chat.completion")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (7, 3, 10)
    (asked,) = chat.requests
    assert asked.messages == [ChatMessage("system", "Answer with a list."), ChatMessage("user", QUESTION[0]["content"])]
    assert (asked.model, asked.max_tokens, asked.temperature) == ("recipes-v1", 99, 0.0)

    def used():
        with db.read() as session:
            return session.get_one(ApiKey, key.id).last_used_at

    eventually(used)


def test_a_stream_comes_piece_by_piece(client, chat):
    chat.going.clear()
    with ask(client, stream=True) as events:
        read = iter(events)
        assert next(read).choices[0].delta.role == "assistant"
        assert next(read).choices[0].delta.content == "Flour"  # while the provider still waits
        chat.going.set()
        rest = list(read)
    assert "".join(one.choices[0].delta.content or "" for one in rest) == ", eggs"
    assert rest[-1].choices[0].finish_reason == "stop"
    assert all(one.usage is None for one in rest)


def test_a_stream_ends_with_the_usage_if_asked(client):
    with ask(client, stream=True, stream_options={"include_usage": True}) as events:
        *_, last = events
    assert last.choices == []
    assert last.usage.total_tokens == 10


@ONE_DATABASE
def test_what_a_request_may_say(client, chat):
    chat.reason = "length"
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    ]
    fields = {"max_completion_tokens": 10**6, "temperature": 0.5, "user": "u", "n": 1, "top_p": 0.9, "seed": 4}
    fields |= {"stop": "\n\n"}
    answer = ask(client, model="Recipes", messages=messages, **fields)
    assert (answer.choices[0].finish_reason, answer.model) == ("length", "Recipes")
    (asked,) = chat.requests
    assert asked.messages == [ChatMessage("system", "Be brief."), ChatMessage("user", "ab")]
    assert (asked.max_tokens, asked.temperature) == (4096, 0.5)
    assert (asked.top_p, asked.seed, list(asked.stop)) == (0.9, 4, ["\n\n"])
    assert asked.user.startswith("key:")


@ONE_DATABASE
@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"n": 2}, "n", "not supported"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools", "not supported"),
        ({"response_format": {"type": "json_object"}}, "response_format", "not supported"),
        ({"stop": ["\n"] * 5}, "stop", "at most 4"),
        ({"top_p": 0}, "top_p", "greater than 0"),
        ({"extra_body": {"colour": "blue"}}, "colour", "no field"),
        ({"messages": []}, "messages", "at least 1"),
        ({"messages": QUESTION * 201}, "messages", "at most 200"),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}, "messages.0.role", "assistant"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
         "messages.0.content.0.type", "only parts of type 'text'"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content", "string"),
        ({"temperature": 3}, "temperature", "less than or equal to 2"),
        ({"max_tokens": 0}, "max_tokens", "greater than or equal to 1"),
        ({"max_tokens": "12"}, "max_tokens", "integer"),
    ],
)  # fmt: skip
def test_what_cannot_be_obeyed_is_refused_by_name(client, chat, fields, param, words):
    with pytest.raises(openai.BadRequestError) as refused:
        ask(client, **fields)
    assert refused.value.param == param
    assert words in refused.value.message
    assert chat.requests == []


@ONE_DATABASE
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[" * 200_000, 400),
        (b'{"model": "recipes-v1", "messages": [{"role": "user", "content": "\\ud800"}]}', 400),
        (b'{"model": "recipes-v1", "messages": [{"role": "user", "content": "x"}], "temperature": NaN}', 400),
        (b"\xff\xfe", 400),
        (b" " * 1_000_001, 413),
    ],
)
def test_bodies_that_are_no_requests(gateway, key, body, status):
    reply, said = raw(gateway, "POST", "/v1/chat/completions", key.secret, body)
    assert reply == status
    assert set(said["error"]) == {"message", "type", "param", "code"}


@ONE_DATABASE
def test_a_body_without_a_length_is_limited_too(gateway, key):
    def parts():
        for _ in range(11):
            yield b" " * 100_000

    assert raw(gateway, "POST", "/v1/chat/completions", key.secret, parts())[0] == 413


def test_who_has_no_key_gets_nothing(client, db, endpoint, key, chat):
    for wrong in ("ftb-wrong", key.secret[:-1], key.secret + "x", "x" * 10_000):
        with pytest.raises(openai.AuthenticationError) as refused:
            ask(client.with_options(api_key=wrong))
        assert refused.value.code == "invalid_api_key"
    with db.write() as session:
        row = session.get_one(ApiKey, key.id)
        row.revoked_at = 1.0
        session.add(row)
    with pytest.raises(openai.AuthenticationError, match="revoked"):
        ask(client)
    assert chat.requests == []


@ONE_DATABASE
def test_without_any_key(gateway):
    assert raw(gateway, "POST", "/v1/chat/completions", None, b"{}")[0] == 401
    assert raw(gateway, "GET", "/v1/models", None)[0] == 401


def test_a_deleted_endpoint_answers_nobody(client, db, endpoint):
    with db.write() as session:
        endpoint.status = EndpointStatus.DELETED
        session.add(endpoint)
    with pytest.raises(openai.AuthenticationError):
        ask(client)


def test_a_key_opens_one_model(client):
    assert [one.id for one in client.models.list()] == ["recipes-v1"]
    with pytest.raises(openai.NotFoundError, match="recipes-v1") as refused:
        ask(client, model="gpt-5")
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


@ONE_DATABASE
@pytest.mark.parametrize(
    ("error", "status", "wait"),
    [
        (RateLimited("busy", retry_after=17.2), 429, "17"),
        (Unavailable("down: a secret"), 503, "5"),
        (NotConfigured("no key: a secret"), 502, None),
        (InvalidRequest("too long: a secret"), 400, None),
        (ValueError("a secret"), 500, None),
    ],
)
def test_a_providers_trouble_is_told_without_its_words(client, chat, caplog, capfd, error, status, wait):
    chat.error = error
    for stream in (False, True):
        with pytest.raises(openai.APIStatusError) as failed:
            ask(client, stream=stream)
        assert failed.value.status_code == status
        assert failed.value.response.headers.get("retry-after") == wait
        assert "secret" not in failed.value.response.text
        if status != 429:
            assert failed.value.response.headers["x-request-id"] in failed.value.message
    logged = caplog.text + "".join(capfd.readouterr())
    assert failed.value.response.headers["x-request-id"] in logged
    assert "secret" not in logged


@ONE_DATABASE
def test_trouble_in_the_middle_of_a_stream_is_told_in_the_stream(client, chat):
    chat.error, chat.error_at = Unavailable("down: a secret"), 1
    with ask(client, stream=True) as events:
        said = [next(events).choices[0].delta.content for _ in range(2)]
        with pytest.raises(openai.APIError, match="cannot be reached") as failed:
            next(events)
    assert said == ["", "Flour"]
    assert "secret" not in str(failed.value.body)


@ONE_DATABASE
def test_an_answer_that_breaks_off_is_not_passed_off_as_whole(client, chat):
    chat.reason = None
    with pytest.raises(openai.APIStatusError) as failed:
        ask(client)
    assert failed.value.status_code == 503


@ONE_DATABASE
@pytest.mark.parametrize("stream", [True, False])
def test_hanging_up_closes_the_providers_iterator(gateway, key, chat, eventually, stream):
    chat.going.clear()
    chat.pieces = ["word "] * 1000
    body = json.dumps({"model": "recipes-v1", "messages": QUESTION, "stream": stream})
    connection = connect(gateway)
    connection.request("POST", "/v1/chat/completions", body, {"Authorization": f"Bearer {key.secret}"})
    chat.begun.acquire()
    if stream:
        assert b"assistant" in connection.getresponse().readline()
    assert not chat.closed.is_set()
    connection.close()
    eventually(lambda: metric(gateway, 'finetune_bot_requests_total{route="/v1/chat/completions"') == 1)
    chat.going.set()
    assert chat.closed.wait(10)
    assert chat.begun._value < 900  # it was not drawn to its end


@ONE_DATABASE
def test_a_key_has_only_so_many_requests_at_once(gateway, client, chat, eventually):
    chat.going.clear()
    streams = [ask(client, stream=True) for _ in range(MOST_A_KEY)]
    with pytest.raises(openai.RateLimitError, match="under way") as refused:
        ask(client)
    assert refused.value.response.headers["retry-after"] == "2"
    chat.going.set()
    for stream in streams:
        assert "".join(one.choices[0].delta.content or "" for one in stream) == "Flour, eggs"
        stream.close()
    eventually(lambda: metric(gateway, "finetune_bot_generations") == 0)
    assert ask(client).choices[0].message.content == "Flour, eggs"


def connect(gateway):
    return http.client.HTTPConnection(urlsplit(gateway).netloc, timeout=20)


def raw(gateway, method, path, secret, body=None):
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    connection = connect(gateway)
    try:
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read())
    finally:
        connection.close()


def metric(gateway, name):
    connection = connect(gateway)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))
