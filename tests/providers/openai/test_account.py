"""What a whole account can do beside training: models, chat, and keeping its key to itself."""

import logging
import traceback
from datetime import date

import pytest
from structlog.testing import capture_logs

from providers.base import ChatProvider, ModelKeeper, TrainingProvider
from providers.errors import (
    InvalidRequest,
    NotAllowed,
    NotConfigured,
    NotFound,
    ProviderError,
    RateLimited,
    Unavailable,
)
from providers.openai import account
from providers.registry import build
from tests.providers.openai.conftest import BASE, CANARY

REASONING = "o4-mini-2025-04-16"
CHAT = "POST /chat/completions"


@pytest.fixture
def tuned(scene):
    job = scene.training().submit(scene.request())
    scene.server.advance(job.id, "succeeded")
    return scene.training().poll(job.id)


def test_the_registry_builds_all_sides(scene):
    providers = build(scene.settings)
    assert isinstance(providers.training("openai", scene.credentials), TrainingProvider)
    assert isinstance(providers.chat("openai", scene.credentials), ChatProvider)
    assert isinstance(providers.models("openai", scene.credentials), ModelKeeper)
    assert providers.training("openai", scene.credentials).capabilities() == providers.capabilities("openai")


def test_the_credentials_and_nothing_of_the_environment_reach_the_vendor(scene, monkeypatch):
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.setenv(name, "of-the-environment")
    scene.models().check()
    headers = scene.server.calls()[-1]["headers"]
    assert headers["authorization"] == f"Bearer {CANARY}"
    assert "of-the-environment" not in str(headers)
    scene.credentials |= {"organization": "org-1", "project": "proj_1"}
    scene.training().find("x")
    headers = scene.server.calls()[-1]["headers"]
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-1", "proj_1")


def test_without_a_key(scene):
    with pytest.raises(NotConfigured, match="/finetune keys"):
        account.client(scene.settings, {})


def test_the_models_of_an_account(scene, tuned):
    models = scene.models()
    assert models.check() == "OpenAI lets these credentials use 6 models, 2 of them fine-tuned."
    found = {one.name: one for one in models.offered()}
    assert found[BASE].shutdown == date(2027, 1, 14)
    assert found[REASONING].shutdown is None
    assert found[tuned.tuned_model].tuned
    assert not found[BASE].tuned
    checkpoints = models.checkpoints(tuned.id)
    assert [
        (one.step, one.loss, one.validation_loss, one.accuracy, one.validation_accuracy) for one in checkpoints
    ] == [
        (5, 0.5, 0.6, 0.875, 0.8),
        (10, 0.3, 0.4, 0.925, 0.8),
    ]
    assert scene.said(checkpoints[0].model) == "It is 3."
    with pytest.raises(NotFound):
        models.checkpoints("ftjob-none")
    with pytest.raises(NotFound):
        models.checkpoints("")


def test_a_model_is_deleted_once_and_for_all(scene, tuned):
    models = scene.models()
    models.delete_model(tuned.tuned_model)
    models.delete_model(tuned.tuned_model)
    assert tuned.tuned_model not in [one.name for one in models.offered()]
    with pytest.raises(NotFound):
        scene.said(tuned.tuned_model)
    with pytest.raises(InvalidRequest, match="not a tuned model"):
        models.delete_model(BASE)
    assert len(scene.server.calls("DELETE /models/{id}")) == 2


@pytest.mark.parametrize("answer", [{}, {"data": None}, {"data": [None, 7, {}, {"id": None}]}, {"data": {"id": "x"}}])
def test_a_list_of_models_that_is_none(scene, answer):
    scene.server.fault("GET /models", answer=answer)
    assert scene.models().offered() == []


def test_odd_days_are_no_days(scene):
    scene.server.fault(
        "GET /models", answer={"data": [{"id": "b", "shutdown_date": "soon"}, {"id": "a", "shutdown_date": 7}]}
    )
    assert [(one.name, one.shutdown) for one in scene.models().offered()] == [("a", None), ("b", None)]


def test_base_and_tuned_model_answer_differently(scene, tuned):
    assert scene.said() == "You said: What is 3?"
    assert scene.said(tuned.tuned_model) == "It is 3."
    last = list(scene.chat().stream(scene.question(max_tokens=2)))[-1]
    assert (last.finish_reason, last.prompt_tokens, last.completion_tokens) == ("length", 3, 2)
    assert BASE in scene.chat().models()


def test_a_reasoning_model_is_asked_its_way_at_once(scene):
    assert scene.said(REASONING) == "You said: What is 3?"
    body = scene.server.calls(CHAT)[0]["body"]
    assert body["max_completion_tokens"] == 512
    assert "temperature" not in body
    assert "max_tokens" not in body
    assert len(scene.server.calls(CHAT)) == 1


def test_a_parameter_that_a_model_does_not_take_is_learnt_once_for_each_model(scene, monkeypatch):
    monkeypatch.setattr("providers._openai_compatible._REASONING", ("none-of-these",))
    chat = scene.chat()
    for _ in range(3):
        assert "".join(one.text for one in chat.stream(scene.question(REASONING))) == "You said: What is 3?"
    asked = [
        sorted(one["body"].keys() & {"max_tokens", "max_completion_tokens", "temperature"})
        for one in scene.server.calls(CHAT)
    ]
    assert asked == [
        ["max_tokens", "temperature"],
        ["max_completion_tokens", "temperature"],
        ["max_completion_tokens"],
        ["max_completion_tokens"],
        ["max_completion_tokens"],
    ]
    assert "".join(one.text for one in chat.stream(scene.question())) == "You said: What is 3?"
    assert scene.server.calls(CHAT)[-1]["body"]["max_tokens"] == 512


def test_a_model_that_takes_neither_limit_is_not_asked_for_ever(scene):
    scene.server.fault(CHAT, status=400, code="unsupported_parameter", times=None)
    with pytest.raises(InvalidRequest):
        scene.said()
    assert len(scene.server.calls(CHAT)) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 429, "headers": {"retry-after": "400"}}, RateLimited),
        ({"status": 429, "code": "insufficient_quota"}, NotAllowed),
        ({"status": 503}, Unavailable),
        ({"cut": "before"}, Unavailable),
        ({"cut": "middle"}, Unavailable),
    ],
)
def test_an_answer_that_does_not_come(scene, fault, kind):
    scene.server.fault(CHAT, **fault)
    with pytest.raises(ProviderError) as caught:
        scene.said()
    assert type(caught.value) is kind
    assert caught.value.retry_after == (400 if kind is RateLimited else None)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500])
def test_the_key_is_nowhere_to_be_read(scene, status, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    echo = f"Incorrect API key provided: {CANARY}. Bearer {CANARY} {CANARY[:10]}****"
    training = scene.training()
    job = training.submit(scene.request())
    scene.server.advance(job.id, "failed")
    scene.server.change(job.id, error={"message": echo, "code": CANARY}, status="failed")
    scene.server.account.jobs[job.id].say(echo)
    texts = [repr(training.poll(job.id)), repr(scene.vendor), repr(training)]
    for route in scene.server.account.ROUTES:
        scene.server.fault(route, status=status, message=echo, code=CANARY, times=None)
    acts = [
        lambda: training.submit(scene.request(key="run-2")),
        lambda: training._jobs.create({"model": BASE, "training_file": "file-1"}),
        lambda: training._files.upload(scene.write(), "x"),
        lambda: training._files.wait(["file-1"]),
        lambda: training.poll(job.id),
        lambda: training.cancel(job.id),
        scene.models().check,
        lambda: scene.models().checkpoints(job.id),
        lambda: scene.models().delete_model("ft:x"),
        scene.said,
    ]
    failed = 0
    with capture_logs() as logs:
        for act in acts:
            try:
                act()
            except ProviderError as error:
                failed += 1
                texts += [repr(error), str(error), error.detail, error.user_message, *traceback.format_exception(error)]
    assert failed >= len(acts) - 2
    printed = capfd.readouterr()
    assert CANARY not in "\n".join([*texts, str(logs), caplog.text, printed.out, printed.err])


def test_a_wrong_key_says_what_to_do(scene):
    scene.credentials = {"api_key": "sk-wrong-0123456789"}
    with pytest.raises(NotAllowed) as caught:
        scene.models().check()
    assert "/finetune keys" in caught.value.user_message
    assert "sk-wrong" not in str(caught.value)
