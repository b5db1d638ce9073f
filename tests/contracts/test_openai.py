"""Our OpenAI provider against servers that nobody here wrote, and our stand-in against the official description."""

import json
import time
import urllib.error
import urllib.request

import httpx2
import pytest
from structlog.testing import capture_logs

from providers import openai as room
from providers._openai_api.connections import closed_with
from providers._openai_api.files import Files
from providers.base import ChatMessage, ChatRequest, Method, ProviderJobStatus, TrainingRequest
from providers.errors import InvalidRequest, NotFound, ProviderError, RateLimited, SubmitUnknown, Unavailable
from providers.openai import account
from providers.openai.adapter import OpenAITraining
from providers.openai.models import OpenAIModels
from providers.settings import ProviderSettings
from tests.contracts.openai_spec import problems

CREDENTIALS = {"api_key": "sk-test-0123456789"}
BASE, REASONING = "gpt-4o-mini-2024-07-18", "o4-mini-2025-04-16"
GRADER = {
    "type": "string_check",
    "name": "same",
    "input": "{{sample.output_text}}",
    "reference": "{{item.reference}}",
    "operation": "eq",
}
QUESTION = "What is the capital of France?"


class Ours:
    """Our provider, asking one server; `limits` are those of its files."""

    def __init__(self, url, folder, headers=None, **limits):
        self.folder = folder
        client = account.client(ProviderSettings(home=folder, openai_url=url), CREDENTIALS)
        client = client.with_options(default_headers=headers) if headers else client
        vendor = account.vendor(CREDENTIALS)
        self.training = closed_with(OpenAITraining(client, vendor, Files(client, vendor, **limits)), client)
        self.models = OpenAIModels(client, vendor)
        self.settings = ProviderSettings(home=folder, openai_url=url)

    def request(self, **changes):
        path = self.folder / "train.jsonl"
        lines = [
            {
                "messages": [
                    {"role": "user", "content": f"What is {n}?"},
                    {"role": "assistant", "content": f"It is {n}."},
                ]
            }
            for n in range(12)
        ]
        path.write_text("".join(json.dumps(one) + "\n" for one in lines))
        given = {
            "key": f"run-{time.time_ns()}",
            "base_model": BASE,
            "method": Method.SFT,
            "train_path": path,
            "validation_path": path,
            "suffix": "mine",
            "folder": self.folder,
            "hyperparameters": {"epochs": 2, "batch_size": "auto", "learning_rate_multiplier": 0.5},
        }
        return TrainingRequest(**{**given, **changes})

    def every_method(self):
        wandb = {"type": "wandb", "wandb": {"project": "p", "tags": ["a"]}}
        multi = {"type": "multi", "name": "m", "graders": GRADER, "calculate_output": "same"}
        python = {"type": "python", "name": "p", "source": "def grade(sample, item):\n    return 1.0\n"}
        rft = {"method": Method.RFT, "base_model": REASONING}
        knobs = {"reasoning_effort": "low", "compute_multiplier": 2, "eval_interval": 5, "eval_samples": "auto"}
        return [
            self.request(options={"integrations": [wandb], "metadata": {"team": "a"}}),
            self.request(suffix="", validation_path=None, hyperparameters={}),
            self.request(method=Method.DPO, hyperparameters={"epochs": "auto", "beta": 0.1}),
            self.request(**rft, hyperparameters=knobs, options={"grader": GRADER}),
            self.request(**rft, hyperparameters={}, options={"grader": multi}),
            self.request(**rft, hyperparameters={"epochs": 1}, options={"grader": python}),
        ]

    def said(self, model, text=QUESTION):
        return "".join(one.text for one in self.stream(model, text))

    def stream(self, model, text=QUESTION):
        chat = room.build_chat(self.settings, CREDENTIALS)
        return list(chat.stream(ChatRequest(model, [ChatMessage("user", text)])))


@pytest.fixture
def ours(tmp_path):
    return lambda url, headers=None, **limits: Ours(url, tmp_path, headers, **limits)


def journal(aimock):
    with urllib.request.urlopen(aimock.removesuffix("/v1") + "/__aimock/journal") as answer:
        return json.load(answer)


@pytest.mark.parametrize("behind", ["aimock", "prism_aimock"])
def test_the_whole_lifecycle_at_aimock_alone_and_behind_the_official_description(request, ours, aimock, behind):
    us = ours(request.getfixturevalue(behind))
    asked = us.request()
    assert us.training.find(asked.key) is None
    job = us.training.submit(asked)
    assert us.training.submit(asked).id == us.training.find(asked.key).id == job.id
    creates = [one for one in journal(aimock) if one["method"] == "POST" and one["path"].endswith("/fine_tuning/jobs")]
    ours_there = [one for one in creates if (one["body"].get("metadata") or {}).get("finetune_bot_key") == asked.key]
    assert [one["response"]["status"] for one in ours_there] == [200]
    states, lines, cursor = [], [], ""
    while not states or states[-1] not in {"succeeded", "failed", "unknown"}:
        job = us.training.poll(job.id, cursor)
        cursor = job.cursor
        states.append(job.status.value)
        lines += [one.message for one in job.events]
    assert states == ["pending", "running", "succeeded"]
    assert lines == [
        "Job created, validating training file",
        "Training file validated, job queued",
        "Training started",
        f"Training complete, model {job.tuned_model}",
    ]
    assert job.tuned_model.startswith(f"ft:{BASE}:aimock:mine:")
    assert (job.total_epochs, job.trained_tokens) == (2.0, 42)
    assert us.training.poll(job.id, cursor).events == ()
    us.training.cancel(job.id)  # over already
    assert ours(aimock).said(job.tuned_model) == "Paris, of course."  # Prism cannot pass a stream on
    second = us.training.submit(us.request())
    us.training.cancel(second.id)
    us.training.cancel(second.id)
    assert us.training.poll(second.id).status is ProviderJobStatus.CANCELLED
    with pytest.raises(NotFound):
        us.training.poll("ftjob-none")


def test_aimock_takes_the_body_of_every_method(ours, aimock):
    us = ours(aimock)
    for asked in us.every_method():
        assert us.training.submit(asked).id.startswith("ftjob-")
    knobs = {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}}
    asked = us.request(method=Method.RFT, hyperparameters={}, options={"grader": GRADER, **knobs})
    with pytest.raises(InvalidRequest, match="response_format"):  # the guide has it, the description has not
        us.training.submit(asked)


@pytest.mark.parametrize(
    ("chaos", "kind", "creating"),
    [
        ("ratelimit", RateLimited, RateLimited),
        ("disconnect", Unavailable, SubmitUnknown),
        ("malformed", Unavailable, SubmitUnknown),
        ("drop", Unavailable, SubmitUnknown),
    ],
)
def test_what_aimock_breaks_is_told_apart(ours, aimock, chaos, kind, creating):
    us = ours(aimock, headers={f"x-aimock-chaos-{chaos}": "1"})
    for act in (lambda: us.training.poll("ftjob-1"), lambda: us.training.find("run-1")):
        with pytest.raises(ProviderError) as caught:
            act()
        assert type(caught.value) is kind
    with pytest.raises(ProviderError) as caught:
        us.training._jobs.create({"model": BASE, "training_file": "file-1"})
    assert type(caught.value) is creating


def test_the_official_description_takes_every_call(ours, prism_mock):
    us = ours(prism_mock)
    with capture_logs() as logs:
        for asked in us.every_method():
            assert us.training._jobs.create({**_body(us, asked), "training_file": "file-1"}).id == "string"
        assert us.training.find("run-1") is None  # the examples are nobody's
        job = us.training.poll("ftjob-1")
        assert (job.id, job.status) == ("string", ProviderJobStatus.PENDING)
        us.training.cancel("ftjob-1")
        us.training.pause("ftjob-1")
        us.training.resume("ftjob-1")
        assert us.training._files.upload(us.request().train_path, "run-1") == "string"
        assert us.models.check().startswith("OpenAI lets these credentials use 1 models")
        us.models.checkpoints("ftjob-1")
        us.models.delete_model("ft:x")
    assert [one["event"] for one in logs] == []


def _body(us, asked):
    from providers._openai_api import method

    return method.body(asked, us.training.capabilities(), "OpenAI")


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1},
        {"suffix": "x" * 65},
        {"training_file": None},
        {"method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 99}}}},
        {"method": {"type": "reinforcement", "reinforcement": {}}},
    ],
)
def test_the_official_description_refuses_what_is_wrong(ours, prism_mock, wrong):
    us = ours(prism_mock)
    body = {"model": BASE, "training_file": "file-1", **wrong}
    with pytest.raises(InvalidRequest, match="rejects"):
        us.training._jobs.create(body)


def test_our_stand_in_is_true_to_the_official_description(ours, stand_in, prism_for):
    url = prism_for(stand_in.url)
    in_one, us = ours(url), ours(url, part_size=512, chunk_above=100)
    with capture_logs() as logs:
        assert in_one.training.submit(in_one.request()).id
        for asked in us.every_method():
            us.training.submit(asked)
        asked = us.request()
        job = us.training.submit(asked)
        assert us.training.find(asked.key).id == job.id
        stand_in.advance(job.id, "running")
        stand_in.advance(job.id)
        assert us.training.poll(job.id).step == 5
        us.training.cancel(job.id)
        assert us.training.poll(job.id).status is ProviderJobStatus.CANCELLED
        failed = us.training.submit(us.request())
        stand_in.advance(failed.id, "failed")
        assert us.training.poll(failed.id).status is ProviderJobStatus.FAILED
        assert len(us.models.offered()) == 4
    assert {one["event"] for one in logs} == set()
    done = us.training.submit(us.request())
    stand_in.advance(done.id, "succeeded")
    with capture_logs() as logs:
        job = us.training.poll(done.id)
        assert [one.step for one in us.models.checkpoints(done.id)] == [5, 10]
        us.models.delete_model(job.tuned_model)
    assert [one["event"] for one in logs] == ["results_not_read"]  # Prism passes no file on
    assert all(one["status"] == 200 for one in stand_in.calls())
    asked_for = {one["route"] for one in stand_in.calls()}
    left_out = {"POST /uploads/{id}/cancel", "GET /models/{id}", "POST /chat/completions"}
    states = {"POST /fine_tuning/jobs/{id}/pause", "POST /fine_tuning/jobs/{id}/resume"}  # it has no word for paused
    described = {one for one in stand_in.account.ROUTES if "deployments" not in one}
    assert described - asked_for == left_out | states


def test_the_stand_ins_deviations_would_be_seen(ours, stand_in, prism_for):
    us = ours(prism_for(stand_in.url))
    job = us.training.submit(us.request())
    stand_in.change(job.id, status="paused")  # a state that the description does not know
    with pytest.raises(Unavailable, match="status 500"):
        us.training.poll(job.id)


def test_chat_bodies_and_the_stand_ins_answers_fit_the_official_description(ours, stand_in):
    us = ours(stand_in.url)
    job = us.training.submit(us.request())
    stand_in.advance(job.id, "succeeded")
    tuned = us.training.poll(job.id).tuned_model
    answers = {model: us.said(model, "What is 3?") for model in (BASE, tuned, REASONING)}
    assert answers == {BASE: "You said: What is 3?", tuned: "It is 3.", REASONING: "You said: What is 3?"}
    bodies = [one["body"] for one in stand_in.calls("POST /chat/completions")]
    assert len(bodies) == 3
    for body in bodies:
        assert problems("CreateChatCompletionRequest", body) == []
    assert problems("CreateChatCompletionRequest", {**bodies[0], "temperature": 3}) != []
    with httpx2.Client() as client:
        plain = client.post(f"{stand_in.url}/chat/completions", json={**bodies[0], "stream": False}).json()
        assert problems("CreateChatCompletionResponse", plain) == []
        lines = client.post(f"{stand_in.url}/chat/completions", json=bodies[0]).text.split("\n\n")
    events = [json.loads(one.removeprefix("data: ")) for one in lines if one and one != "data: [DONE]"]
    assert len(events) == 8
    for event in events:
        assert problems("CreateChatCompletionStreamResponse", event) == []


def test_the_stand_in_can_be_told_over_http(ours, stand_in):
    def told(name, **said):
        asked = urllib.request.Request(f"{stand_in.root}/__control/{name}", json.dumps(said).encode())
        with urllib.request.urlopen(asked) as answer:
            return json.load(answer)["result"]

    us = ours(stand_in.url)
    told("fault", route="GET /models", status=503)
    with pytest.raises(Unavailable):
        us.models.check()
    assert us.models.check()
    job = us.training.submit(us.request())
    assert told("advance", arguments=[job.id]) == "queued"
    told("change", arguments=[job.id], trained_tokens=7)
    assert us.training.poll(job.id).trained_tokens == 7
    assert [one["status"] for one in told("calls", route="GET /models")] == [503, 200]
    with pytest.raises(urllib.error.HTTPError):
        told("fault", route="GET /nowhere")
    with pytest.raises(urllib.error.HTTPError):
        told("shutdown")
