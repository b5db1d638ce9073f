"""Provider jobs at Azure: created once, known without metadata, watched through Azure's states."""

import json
import re
import time

import pytest

from providers import azure_openai
from providers._openai_api.files import Files
from providers.azure_openai import access
from providers.azure_openai.training import AzureOpenAITraining, suffix
from providers.base import AUTO, Method, ProviderJobStatus, TrainingProvider
from providers.errors import (
    InvalidRequest,
    NotAllowed,
    NotFound,
    ProviderError,
    RateLimited,
    SubmitUnknown,
    Unavailable,
    Withdrawn,
)
from tests.contracts.azure_openai import KEY, SECRET
from tests.providers.azure_openai.conftest import BASE

CREATE, LIST, ONE = "POST /fine_tuning/jobs", "GET /fine_tuning/jobs", "GET /fine_tuning/jobs/{id}"


@pytest.fixture(params=["key", "app"])
def training(request, azure, settings):
    found = azure_openai.build_training(settings, azure.credentials(key=request.param == "key"))
    assert isinstance(found, TrainingProvider)
    return found


@pytest.fixture
def by_key(azure, settings):
    return azure_openai.build_training(settings, azure.credentials(key=True))


def test_a_whole_training(azure, training, request_of):
    made = training.submit(request_of(hyperparameters={"epochs": 2, "batch_size": AUTO}))
    assert made.status is ProviderJobStatus.PENDING
    seen, cursor, points, lines = [], "", [], []
    while not seen or seen[-1].status not in {ProviderJobStatus.SUCCEEDED, ProviderJobStatus.FAILED}:
        job = training.poll(made.id, cursor)
        seen.append(job)
        cursor = job.cursor
        points += job.metrics
        lines += job.events
        azure.plane.advance(made.id)
    assert [one.vendor_status for one in seen] == ["created", "pending", "running", "running", "succeeded"]
    assert seen[-1].tuned_model.startswith(f"{BASE}.ft-")
    assert {one.step for one in points} == set(range(1, 11))
    assert seen[-1].trained_tokens
    assert any("Created" in one.message for one in lines)
    files = [one for one in azure.account.files.values() if one.purpose == "fine-tune"]
    assert files == [], "what has served is deleted"


def test_what_is_sent(azure, by_key, request_of, tmp_path):
    held = tmp_path / "held.jsonl"
    request = request_of(
        suffix="Kundendienst Zürich – Nr. 5 (neu) und noch viel länger",
        hyperparameters={"epochs": 3.0, "learning_rate_multiplier": 0.5, "batch_size": AUTO},
        options={"training_tier": "developertier"},
    )
    held.write_bytes(request.train_path.read_bytes())
    by_key.submit(request_of(**{**vars(request), "validation_path": held}))
    (call,) = azure.plane.calls(CREATE)
    body = call["body"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", body["suffix"])
    assert body["suffix"] == suffix(request.suffix, "run-1")
    assert body["method"] == {
        "type": "supervised",
        "supervised": {"hyperparameters": {"n_epochs": 3, "learning_rate_multiplier": 0.5}},
    }
    assert body["trainingType"] == "developerTier"
    assert body["seed"] == 42
    assert "metadata" not in body
    assert body["training_file"] != body["validation_file"]
    assert call["path"].startswith("/openai/v1/fine_tuning/jobs")


def test_preference_pairs(azure, by_key, request_of):
    by_key.submit(request_of(method=Method.DPO, hyperparameters={"beta": 0.1, "epochs": AUTO}))
    assert azure.plane.calls(CREATE)[0]["body"]["method"] == {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.1}}}
    assert azure.plane.calls(CREATE)[0]["body"]["trainingType"] == "globalStandard", "the one that prices are told for"


def test_files_are_waited_for(azure, by_key, request_of):
    azure.account.processing = 3
    by_key.submit(request_of())
    order = [one["route"] for one in azure.plane.calls()]
    assert order.count("GET /files/{id}") == 3
    assert order.index(CREATE) > max(n for n, one in enumerate(order) if one == "GET /files/{id}")


def patient(azure, settings, **files):
    credentials = azure.credentials(key=True)
    client, vendor = access.client(settings, credentials), access.vendor(credentials)
    return AzureOpenAITraining(client, vendor, Files(client, vendor, **files))


def test_files_that_take_long_are_gone_on_with(azure, settings, request_of):
    training = patient(azure, settings, wait_seconds=0.3)
    azure.account.file_status = "running"
    with pytest.raises(Unavailable) as caught:
        training.submit(request_of())
    assert caught.value.retry_after
    assert not azure.plane.calls(CREATE)
    for one in azure.account.files.values():
        one.status = "processed"
    training.submit(request_of())
    assert len(azure.plane.calls("POST /files")) == 1, "it is not uploaded twice"


@pytest.mark.parametrize("status", ["error", "deleted"])
def test_files_that_azure_cannot_use(azure, settings, request_of, status):
    azure.account.file_status = status
    with pytest.raises(InvalidRequest, match="cannot use the training file"):
        patient(azure, settings).submit(request_of())
    assert not azure.plane.calls(CREATE)
    assert not azure.account.files


def test_submitting_again_adopts(azure, training, request_of):
    first = training.submit(request_of())
    assert training.submit(request_of()).id == first.id
    assert training.find("run-1").id == first.id
    assert training.find("run-11") is None
    assert training.find("run-") is None
    assert len(azure.plane.calls(CREATE)) == 1


@pytest.mark.parametrize("says_suffix", [True, False])
def test_a_create_whose_answer_is_lost_is_found_and_not_repeated(azure, by_key, request_of, says_suffix):
    azure.account.says_suffix = says_suffix
    azure.fault(CREATE, cut="after")
    with pytest.raises(SubmitUnknown):
        by_key.submit(request_of())
    assert len(azure.plane.calls(CREATE)) == 1
    (there,) = azure.account.jobs
    assert by_key.find("run-1").id == there, "by its suffix, or by its training file"
    assert by_key.submit(request_of()).id == there
    assert len(azure.account.jobs) == 1


def test_one_that_ended_is_found_by_its_models_name(azure, by_key, request_of):
    azure.account.says_suffix = False
    made = by_key.submit(request_of())
    azure.plane.advance(made.id, "succeeded")
    by_key.poll(made.id)
    assert not [one for one in azure.account.files.values() if one.purpose == "fine-tune"]
    assert by_key.find("run-1").id == made.id


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 400, "message": "bad"}, InvalidRequest),
        ({"status": 401}, NotAllowed),
        ({"status": 403}, NotAllowed),
        ({"status": 409}, SubmitUnknown),
        ({"status": 429, "headers": {"retry-after": "7"}}, RateLimited),
        ({"status": 429, "headers": {"retry-after": "300"}}, RateLimited),
        ({"status": 500}, SubmitUnknown),
        ({"status": 503}, SubmitUnknown),
        ({"status": 520}, SubmitUnknown),
        ({"status": 529}, SubmitUnknown),
        ({"cut": "before"}, SubmitUnknown),
        ({"cut": "middle"}, SubmitUnknown),
        ({"malformed": True}, SubmitUnknown),
        ({"answer": {"id": None, "status": None}}, SubmitUnknown),
    ],
)
def test_trouble_with_creating_is_never_answered_by_creating_again(azure, by_key, request_of, fault, kind):
    azure.fault(CREATE, **fault)
    with pytest.raises(ProviderError) as caught:
        by_key.submit(request_of())
    assert type(caught.value) is kind
    assert len(azure.plane.calls(CREATE)) == 1
    if kind is RateLimited:
        assert caught.value.retry_after == float(fault["headers"]["retry-after"])


def test_what_is_withdrawn_before_its_create_call_leaves_nothing_there(azure, by_key, request_of):
    routes = []

    def withdrawn():
        routes.extend(one["route"] for one in azure.plane.calls())
        raise Withdrawn("Cancelled.")

    with pytest.raises(Withdrawn):
        by_key.submit(request_of(), withdrawn)
    assert "POST /files" in routes
    assert not azure.plane.calls(CREATE)
    assert not azure.account.files


def test_a_sign_in_that_fails_before_the_create_call_sends_nothing(azure, settings, request_of):
    azure.entra.lifetime = 1
    training = azure_openai.build_training(settings, azure.credentials(hosting=False))
    assert training.find("run-1") is None
    azure.entra.secret = "renewed"
    time.sleep(1.1)
    with pytest.raises(NotAllowed, match="client secret"):
        training.submit(request_of())
    assert not azure.plane.calls(CREATE)
    azure.entra.secret = SECRET
    again = azure_openai.build_training(settings, azure.credentials(hosting=False))
    assert again.submit(request_of()).id in azure.account.jobs


def test_the_role_that_is_missing_is_named(azure, settings, request_of):
    azure.arm.roles.clear()
    training = azure_openai.build_training(settings, azure.credentials())
    for ask in (lambda: training.submit(request_of()), lambda: training.find("x"), lambda: training.poll("x")):
        with pytest.raises(NotAllowed, match="Cognitive Services OpenAI Contributor"):
            ask()


@pytest.mark.parametrize(
    ("status", "ours"),
    [
        ("created", ProviderJobStatus.PENDING),
        ("pending", ProviderJobStatus.PENDING),
        ("queued", ProviderJobStatus.PENDING),
        ("running", ProviderJobStatus.RUNNING),
        ("pausing", ProviderJobStatus.RUNNING),
        ("paused", ProviderJobStatus.PAUSED),
        ("resuming", ProviderJobStatus.PENDING),
        ("cancelled", ProviderJobStatus.CANCELLED),
        ("failed", ProviderJobStatus.FAILED),
        ("succeeded", ProviderJobStatus.SUCCEEDED),
        ("teleporting", ProviderJobStatus.UNKNOWN),
        (None, ProviderJobStatus.UNKNOWN),
        (7, ProviderJobStatus.UNKNOWN),
    ],
)
def test_azures_words_for_a_state(azure, by_key, request_of, status, ours):
    made = by_key.submit(request_of())
    azure.plane.advance(made.id, "succeeded")
    azure.plane.change(made.id, status=status)
    seen = by_key.poll(made.id)
    assert seen.status is ours
    assert seen.vendor_status == (status if isinstance(status, str) else "")


def test_pausing_resuming_cancelling(azure, by_key, request_of):
    made = by_key.submit(request_of())
    azure.plane.advance(made.id, "running")
    by_key.pause(made.id)
    assert by_key.poll(made.id).vendor_status == "pausing"
    azure.plane.advance(made.id)
    assert by_key.poll(made.id).status is ProviderJobStatus.PAUSED
    by_key.resume(made.id)
    assert by_key.poll(made.id).vendor_status == "resuming"
    azure.plane.advance(made.id)
    by_key.cancel(made.id)
    assert by_key.poll(made.id).status is ProviderJobStatus.CANCELLED
    by_key.cancel(made.id)


def test_too_few_examples_fail_with_azures_words(azure, by_key, request_of, tmp_path):
    path = tmp_path / "few.jsonl"
    path.write_text(json.dumps({"messages": []}) + "\n")
    made = by_key.submit(request_of(train_path=path))
    for _ in range(2):
        azure.plane.advance(made.id)
    seen = by_key.poll(made.id)
    assert seen.status is ProviderJobStatus.FAILED
    assert "at least 10 examples" in (seen.error or "")


@pytest.mark.parametrize(
    "fault",
    [{"status": 500}, {"status": 429, "headers": {"retry-after": "300"}}, {"cut": "before"}, {"cut": "middle"},
     {"malformed": True}, {"answer": []}, {"answer": {"id": None}}, {"hang": 20.0}],
)  # fmt: skip
def test_trouble_while_watching_passes(azure, by_key, request_of, fault):
    made = by_key.submit(request_of())
    azure.fault(ONE, **fault)
    started = time.monotonic()
    with pytest.raises(ProviderError) as caught:
        by_key.poll(made.id)
    assert caught.value.retryable
    assert time.monotonic() - started < 5
    assert by_key.poll(made.id).status is ProviderJobStatus.PENDING


def test_every_field_may_be_null(azure, by_key, request_of):
    made = by_key.submit(request_of())
    shown = azure.account.jobs[made.id].json()
    azure.plane.change(made.id, **{name: None for name in shown if name not in {"id", "status"}})
    seen = by_key.poll(made.id)
    assert (seen.id, seen.status) == (made.id, ProviderJobStatus.PENDING)


def test_a_job_that_is_gone(azure, by_key, request_of):
    made = by_key.submit(request_of())
    azure.plane.forget(made.id)
    with pytest.raises(NotFound):
        by_key.poll(made.id)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"options": {"training_tier": "Gold"}}, "training_tier must be one of"),
        ({"options": {"training_tier": 7}}, "training_tier must be one of"),
        ({"options": {"training_tier": "Gold", "grader": {}}}, "no option grader.*training_tier must be"),
        ({"options": {"metadata": {"a": "b"}}}, "no option metadata"),
        ({"method": Method.RFT}, "does not know the method rft"),
        ({"hyperparameters": {"learning_rate": 0.1}}, "no hyperparameter learning_rate"),
        ({"hyperparameters": {"epochs": 1.5}}, "Epochs must be a whole number"),
        ({"base_model": ""}, "no base model"),
        ({"key": ""}, "key"),
    ],
)
def test_what_cannot_be_trained_is_not_sent(azure, by_key, request_of, change, words):
    with pytest.raises(InvalidRequest, match=words):
        by_key.submit(request_of(**change))
    assert not azure.plane.calls()


@pytest.mark.parametrize("wanted", ["", "ü", "a b", "-", "x" * 200, "x" * 28 + "--", "日本語のモデル", "support_bot-2"])
def test_suffixes(wanted):
    found = suffix(wanted, "run-12")
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", found)
    assert found != suffix(wanted, "run-1")
    assert found == suffix(wanted, "run-12")


def test_no_secret_is_in_what_is_raised(azure, settings, request_of):
    training = azure_openai.build_training(settings, azure.credentials(key=True))
    azure.fault(LIST, status=401, message=f"Access denied: {KEY} is no key of ours")
    with pytest.raises(NotAllowed) as caught:
        training.submit(request_of())
    assert KEY not in str(caught.value)
