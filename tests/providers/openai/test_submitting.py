"""From a request to a provider job: uploaded once, created once, cleaned up."""

import time
from pathlib import Path

import pytest

from providers._openai_api.files import PREFIX
from providers.base import Method, ProviderJobStatus
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
from tests.contracts.stand_in_account import Problem
from tests.providers.openai.conftest import GRADER

CREATE = "POST /fine_tuning/jobs"


def test_the_job_that_was_asked_for(scene):
    validation = scene.write("validation.jsonl", examples=3)
    job = scene.training().submit(scene.request(validation_path=validation, options={"metadata": {"team": "a"}}))
    assert (job.status, job.vendor_status, job.stage) == (
        ProviderJobStatus.PENDING,
        "validating_files",
        "checking the files",
    )
    body = scene.server.calls(CREATE)[0]["body"]
    files = scene.server.account.files
    assert files[body.pop("training_file")].content == scene.request().train_path.read_bytes()
    assert files[body.pop("validation_file")].content == validation.read_bytes()
    assert body == {
        "model": "gpt-4o-mini-2024-07-18",
        "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": "auto"}}},
        "seed": 42,
        "suffix": "mine",
        "metadata": {"team": "a", "finetune_bot_key": "run-1"},
    }
    assert all(one.name.startswith(PREFIX) and one.purpose == "fine-tune" for one in files.values())


def test_the_same_key_again_is_the_same_job(scene):
    first = scene.training().submit(scene.request())
    assert scene.training().submit(scene.request()).id == first.id
    assert scene.training().find("run-1").id == first.id
    assert scene.training().find("run-2") is None
    assert len(scene.server.calls(CREATE)) == 1


def test_a_job_is_found_behind_hundreds_of_others_that_a_vendor_does_not_filter(scene, monkeypatch):
    first = scene.training().submit(scene.request())
    template = scene.server.account.jobs[first.id]
    for n in range(350):
        other = type(template)(f"ftjob-other-{n}", {**template.asked, "metadata": {"finetune_bot_key": f"x{n}"}}, [], 0)
        scene.server.account.jobs[other.id] = other
    everything = scene.server.account.list_jobs

    def unfiltered(request):
        request.query = {name: one for name, one in request.query.items() if not name.startswith("metadata")}
        return everything(request)

    monkeypatch.setattr(scene.server.account, "list_jobs", unfiltered)
    scene.server.clear()
    assert scene.training().find("run-1").id == first.id
    assert len(scene.server.calls("GET /fine_tuning/jobs")) == 4
    for n in range(350, 1100):
        other = type(template)(f"ftjob-other-{n}", {**template.asked, "metadata": {}}, [], 0)
        scene.server.account.jobs[other.id] = other
    scene.server.clear()
    assert scene.training().find("run-1") is None  # bounded: the vendor filters, as a rule
    assert len(scene.server.calls("GET /fine_tuning/jobs")) == 10


@pytest.mark.parametrize("fault", [{"cut": "after"}, {"cut": "middle"}, {"malformed": True}, {"answer": {"id": None}}])
def test_a_create_call_whose_answer_is_lost_is_adopted_and_never_repeated(scene, fault):
    scene.server.fault(CREATE, **fault)
    training = scene.training()
    with pytest.raises(SubmitUnknown):
        training.submit(scene.request())
    assert len(scene.server.calls(CREATE)) == 1
    found = training.find("run-1")
    assert found is not None
    assert training.submit(scene.request()).id == found.id
    assert len(scene.server.calls(CREATE)) == 1
    assert len(scene.server.account.jobs) == 1
    assert scene.server.account.files  # the job needs them


IN_DOUBT = (408, 409, 500, 502, 503, 504, 520, 524, 529)


@pytest.mark.parametrize("fault", [{"cut": "before"}, *({"status": one} for one in IN_DOUBT)])
def test_a_create_call_that_may_have_arrived_is_not_repeated(scene, fault):
    scene.server.fault(CREATE, times=None, **fault)
    with pytest.raises(SubmitUnknown):
        scene.training().submit(scene.request())
    assert len(scene.server.calls(CREATE)) == 1
    assert scene.server.account.files  # a job may use them


@pytest.mark.parametrize("status", IN_DOUBT)
def test_a_job_that_was_created_behind_an_error_is_adopted(scene, monkeypatch, status):
    create = scene.server.account.create_job

    def and_break(request):
        create(request)
        raise Problem(status, "The gateway lost patience.")

    monkeypatch.setattr(scene.server.account, "create_job", and_break)
    training = scene.training()
    with pytest.raises(SubmitUnknown):
        training.submit(scene.request())
    (there,) = scene.server.account.jobs
    assert training.find("run-1").id == there
    assert training.submit(scene.request()).id == there
    assert len(scene.server.calls(CREATE)) == 1


@pytest.mark.parametrize(
    "bad", ["", "ftjob 1", "ftjob-1\x00", "ftjob-1\n", "ftjob-ü", "\ud800", "x" * 257, 7, None, ["x"]]
)
def test_a_job_whose_id_is_none_is_not_known_to_be_there(scene, bad):
    scene.server.fault(CREATE, answer={"id": bad, "status": "created"})
    with pytest.raises(SubmitUnknown):
        scene.training().submit(scene.request())
    assert len(scene.server.calls(CREATE)) == 1


def test_who_is_asked_before_the_create_call_is_asked_when_everything_is_there(scene):
    asked = []

    def about_to_create():
        asked.append(scene.routes())

    job = scene.training().submit(scene.request(), about_to_create)
    (before,) = asked
    assert "POST /files" in before
    assert before[-1] == "GET /files/{id}"
    assert scene.routes()[len(before) :] == [CREATE]
    assert scene.training().submit(scene.request(), about_to_create).id == job.id
    assert len(asked) == 1  # what is there already is not created


def test_what_is_withdrawn_before_its_create_call_leaves_nothing_there(scene):
    def withdrawn():
        raise Withdrawn("Cancelled.")

    with pytest.raises(Withdrawn):
        scene.training().submit(scene.request(), withdrawn)
    assert not scene.server.calls(CREATE)
    assert not scene.server.account.files


def test_what_stops_for_another_reason_leaves_the_files_to_the_next_attempt(scene):
    def lost():
        raise RuntimeError("the lease is lost")

    with pytest.raises(RuntimeError):
        scene.training().submit(scene.request(), lost)
    assert not scene.server.calls(CREATE)
    assert scene.training().submit(scene.request()).id
    assert len(scene.server.calls("POST /files")) == 1


def test_a_create_call_that_is_not_answered_in_time(scene, monkeypatch):
    import httpx2

    monkeypatch.setattr("providers._openai_api.jobs._CREATE", httpx2.Timeout(0.3))
    scene.server.fault(CREATE, hang=30.0)
    with pytest.raises(SubmitUnknown):
        scene.training().submit(scene.request())
    assert len(scene.server.calls(CREATE)) == 1


def test_nobody_there_is_no_doubt(scene):
    training = scene.training()
    scene.server.shutdown()
    scene.server.server_close()
    with pytest.raises(Unavailable, match="cannot be reached"):
        training._jobs.create({"model": "x", "training_file": "y"})


@pytest.mark.parametrize(
    ("fault", "kind", "wait"),
    [
        ({"status": 429, "headers": {"retry-after": "300"}}, RateLimited, 300),
        ({"status": 429, "headers": {"retry-after": "2"}}, RateLimited, 2),
        ({"status": 429, "code": "insufficient_quota"}, NotAllowed, None),
        ({"status": 403}, NotAllowed, None),
        ({"status": 401}, NotAllowed, None),
        ({"status": 400}, InvalidRequest, None),
        ({"status": 404}, NotFound, None),
        ({"status": 422}, InvalidRequest, None),
    ],
)
def test_a_refused_create_call_is_asked_once_and_says_why(scene, fault, kind, wait):
    scene.server.fault(CREATE, **fault)
    with pytest.raises(ProviderError) as caught:
        scene.training().submit(scene.request())
    assert type(caught.value) is kind
    assert caught.value.retry_after == wait
    assert len(scene.server.calls(CREATE)) == 1
    assert bool(scene.server.account.files) is caught.value.retryable  # what is not tried again leaves nothing behind


def test_a_file_is_not_uploaded_again_when_it_is_tried_again(scene):
    scene.server.fault(CREATE, status=429)
    with pytest.raises(RateLimited):
        scene.training().submit(scene.request())
    scene.training().submit(scene.request())
    assert len(scene.server.calls("POST /files")) == 1
    assert len(scene.server.account.jobs) == 1


def test_a_file_with_other_content_is_another_file(scene):
    scene.server.fault(CREATE, status=429)
    with pytest.raises(RateLimited):
        scene.training().submit(scene.request())
    scene.training().submit(scene.request(train_path=scene.write("other.jsonl", examples=13)))
    assert len(scene.server.calls("POST /files")) == 2


def test_a_list_of_files_that_cannot_be_had_costs_an_upload_at_most(scene):
    scene.server.fault("GET /files", status=403)
    assert scene.training().submit(scene.request()).id


def test_a_list_of_files_that_is_limited_is_waited_for(scene):
    scene.server.fault("GET /files", status=429, headers={"retry-after": "9"})
    with pytest.raises(RateLimited) as caught:
        scene.training().submit(scene.request())
    assert caught.value.retry_after == 9
    assert not scene.server.calls("POST /files")


def test_a_large_file_goes_up_in_parts(scene):
    training = scene.training(chunk_above=300, part_size=256)
    training.submit(scene.request())
    content = scene.request().train_path.read_bytes()
    assert [one.content for one in scene.server.account.files.values()] == [content]
    assert len(scene.server.calls("POST /uploads/{id}/parts")) == -(-len(content) // 256) > 2
    assert not scene.server.calls("POST /files")
    assert len(scene.server.calls("POST /uploads/{id}/complete")[0]["body"]["md5"]) == 32


def test_an_upload_in_parts_that_breaks_off_is_cancelled(scene):
    scene.server.fault("POST /uploads/{id}/parts", status=500)
    with pytest.raises(Unavailable):
        scene.training(chunk_above=300, part_size=256).submit(scene.request())
    assert [one.status for one in scene.server.account.uploads.values()] == ["cancelled"]


def test_a_file_that_is_too_large(scene):
    with pytest.raises(InvalidRequest, match="GiB"):
        scene.training(most=100).submit(scene.request())
    assert not scene.server.calls("POST /files")


def test_a_file_that_is_not_ready_yet_is_gone_on_with_later(scene):
    scene.server.account.file_status = "uploaded"
    training = scene.training(wait_seconds=0.3)
    begun = time.monotonic()
    with pytest.raises(Unavailable, match="still reads") as caught:
        training.submit(scene.request())
    assert time.monotonic() - begun < 5
    assert caught.value.retry_after == 30
    assert not scene.server.calls(CREATE)
    for file in scene.server.account.files.values():
        file.status = "processed"
    assert training.submit(scene.request()).id
    assert len(scene.server.calls("POST /files")) == 1


def test_a_file_that_is_never_processed_ends_as_a_clear_error(scene):
    scene.server.account.file_status = "uploaded"
    training = scene.training(wait_seconds=0.3, give_up_seconds=60)
    with pytest.raises(Unavailable):
        training.submit(scene.request())
    for file in scene.server.account.files.values():
        file.created -= 61
    with pytest.raises(InvalidRequest, match="has not become ready"):
        training.submit(scene.request())
    assert not scene.server.account.files
    assert not scene.server.calls(CREATE)


def test_a_file_that_the_vendor_cannot_read(scene):
    scene.server.account.file_status = "error"
    with pytest.raises(InvalidRequest, match="cannot use the training file"):
        scene.training().submit(scene.request())
    assert not scene.server.account.files


def test_a_file_that_is_gone(scene):
    with pytest.raises(InvalidRequest, match="training file is not there"):
        scene.training().submit(scene.request(train_path=Path("nowhere.jsonl")))
    assert not scene.server.calls()


def test_reinforcement_lets_the_vendor_check_the_grader_first(scene):
    asked = scene.request(
        method=Method.RFT, base_model="o4-mini-2025-04-16", options={"grader": GRADER}, hyperparameters={}
    )
    scene.training().submit(asked)
    assert scene.routes().index("POST /fine_tuning/alpha/graders/validate") < scene.routes().index("POST /files")
    refused = scene.request(
        method=Method.RFT, key="run-2", options={"grader": {**GRADER, "name": "refused"}}, hyperparameters={}
    )
    with pytest.raises(InvalidRequest, match="The grader does not work"):
        scene.training().submit(refused)


def test_a_vendor_that_cannot_check_graders_is_asked_all_the_same(scene):
    scene.server.fault("POST /fine_tuning/alpha/graders/validate", status=404)
    asked = scene.request(
        method=Method.RFT, base_model="o4-mini-2025-04-16", options={"grader": GRADER}, hyperparameters={}
    )
    assert scene.training().submit(asked).id


@pytest.mark.parametrize("verb", ["cancel", "pause"])
def test_changes_are_idempotent(scene, verb):
    training = scene.training()
    job = training.submit(scene.request())
    scene.server.advance(job.id, "running")
    getattr(training, verb)(job.id)
    getattr(training, verb)(job.id)
    assert (
        training.poll(job.id).status is {"cancel": ProviderJobStatus.CANCELLED, "pause": ProviderJobStatus.PAUSED}[verb]
    )
    scene.server.advance(job.id, "succeeded")
    getattr(training, verb)(job.id)
    assert scene.server.account.jobs[job.id].status == "succeeded"


def test_a_paused_job_goes_on(scene):
    training = scene.training()
    job = training.submit(scene.request())
    scene.server.advance(job.id, "running")
    training.pause(job.id)
    training.resume(job.id)
    training.resume(job.id)
    assert training.poll(job.id).status is ProviderJobStatus.RUNNING


def test_a_change_that_is_refused_for_another_reason_says_so(scene):
    training = scene.training()
    job = training.submit(scene.request())
    with pytest.raises(InvalidRequest, match="cannot become paused"):
        training.pause(job.id)  # it is still being validated
    with pytest.raises(NotFound):
        training.cancel("ftjob-none")
    with pytest.raises(NotFound):
        training.cancel("")
    scene.server.fault("POST /fine_tuning/jobs/{id}/cancel", status=503, headers={"retry-after": "4"})
    with pytest.raises(Unavailable) as caught:
        training.cancel(job.id)
    assert caught.value.retry_after == 4
