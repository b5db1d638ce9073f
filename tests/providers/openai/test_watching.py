"""Polling a provider job: whatever a vendor says, in bounded time."""

import base64
import json
import math
import time

import pytest
from structlog.testing import capture_logs

from providers._openai_api import results, watching
from providers._openai_api.watching import POLL_SECONDS
from providers.base import MetricPoint, ProviderJobStatus
from providers.errors import NotAllowed, NotFound, ProviderError, RateLimited, Unavailable

RETRIEVE = "GET /fine_tuning/jobs/{id}"
EVENTS = "GET /fine_tuning/jobs/{id}/events"
CONTENT = "GET /files/{id}/content"


@pytest.fixture
def training(scene):
    return scene.training()


@pytest.fixture
def job_id(scene, training):
    return training.submit(scene.request()).id


def test_a_job_from_its_creation_to_its_model(scene, training, job_id):
    seen = []
    cursor = ""
    for _ in range(5):
        job = training.poll(job_id, cursor)
        cursor = job.cursor
        seen.append((job.status.value, job.step, [one.step for one in job.metrics], len(job.events)))
        scene.server.advance(job_id)
    assert seen == [
        ("pending", 0, [], 1),
        ("pending", 0, [], 1),
        ("running", 0, [], 1),
        ("running", 5, [1, 2, 3, 4, 5], 0),
        ("succeeded", 10, list(range(1, 11)), 2),  # the file completes what the events have said
    ]
    assert (job.total_steps, job.total_epochs, job.trained_tokens) == (
        10,
        2.0,
        scene.server.account.jobs[job_id].size // 2,
    )
    assert job.tuned_model == f"ft:gpt-4o-mini-2024-07-18:stand-in:mine:{job_id.removeprefix('ftjob-')}"
    assert job.metrics[-1] == MetricPoint(10, epoch=2.0, loss=0.3, validation_loss=0.35)
    assert job.error is None
    assert job.eta_seconds is None


def test_what_it_says_while_it_runs(scene, training, job_id):
    scene.server.advance(job_id, "running")
    scene.server.advance(job_id)
    job = training.poll(job_id)
    assert (job.stage, job.step, job.total_steps) == ("training", 5, 10)
    assert 50 < job.eta_seconds <= 60
    assert job.metrics[4] == MetricPoint(5, epoch=1.0, loss=0.5, validation_loss=0.6)
    assert [(one.level, one.message) for one in job.events][-1] == ("info", "Fine-tuning job started")
    again = training.poll(job_id, job.cursor)
    assert (again.step, again.total_steps, again.metrics, again.events) == (5, 10, (), ())
    assert again.cursor == job.cursor


def test_a_poll_makes_few_requests(scene, training, job_id):
    scene.server.advance(job_id, "running")
    scene.server.clear()
    training.poll(job_id)
    assert scene.routes() == [RETRIEVE, EVENTS]
    scene.server.advance(job_id, "succeeded")
    scene.server.clear()
    training.poll(job_id)
    assert scene.routes() == [RETRIEVE, EVENTS, CONTENT, "GET /files/{id}", "DELETE /files/{id}"]


def test_a_flood_of_events_is_bounded_and_the_newest_count(scene, training, job_id):
    for n in range(1000):
        scene.server.account.jobs[job_id].say(f"line {n}")
    scene.server.clear()
    job = training.poll(job_id)
    assert [one.message for one in job.events] == [f"line {n}" for n in range(700, 1000)]
    assert len(scene.server.calls(EVENTS)) == 3
    scene.server.account.jobs[job_id].say("the last")
    assert [one.message for one in training.poll(job_id, job.cursor).events] == ["the last"]


def test_an_event_at_the_cursor_that_is_gone_does_not_bring_the_old_ones_back(scene, training, job_id):
    events = scene.server.account.jobs[job_id].events
    for n in range(5):
        scene.server.account.jobs[job_id].say(f"line {n}")
    for position, one in enumerate(events):
        one["created_at"] = 1000 + position
    cursor = training.poll(job_id).cursor
    del events[-1]
    scene.server.account.jobs[job_id].say("new")
    events[-1]["id"] = "ftevent-new"
    assert [one.message for one in training.poll(job_id, cursor).events] == ["new"]


@pytest.mark.parametrize("ended", ["succeeded", "failed", "cancelled"])
def test_files_are_deleted_when_the_job_has_ended_and_only_ours(scene, training, job_id, ended):
    theirs = scene.server.account.keep("their-own.jsonl", b"{}", "fine-tune")
    assert training.poll(job_id).status is ProviderJobStatus.PENDING
    assert len(scene.server.account.files) == 2
    scene.server.change(job_id, validation_file=theirs.id)
    scene.server.advance(job_id, ended)
    assert training.poll(job_id).status.value == ended
    left = {one.name for one in scene.server.account.files.values()}
    assert left == {"their-own.jsonl"} | ({"step_metrics.csv"} if ended == "succeeded" else set())
    assert training.poll(job_id).status.value == ended  # and again


def test_a_file_that_cannot_be_deleted_is_only_logged(scene, training, job_id):
    scene.server.advance(job_id, "failed")
    scene.server.fault("DELETE /files/{id}", status=500)
    with capture_logs() as logs:
        assert training.poll(job_id).status is ProviderJobStatus.FAILED
    assert "file_not_deleted" in [one["event"] for one in logs]


def test_a_failed_job_says_why(scene):
    training = scene.training()
    job = training.submit(scene.request(train_path=scene.write("few.jsonl", examples=3)))
    scene.server.advance(job.id)
    seen = training.poll(job.id)
    assert seen.status is ProviderJobStatus.FAILED
    assert seen.error == "Training file has 3 example(s), but must have at least 10 examples"
    assert seen.events[-1].level == "error"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("paused", ProviderJobStatus.PAUSED),
        ("pausing", ProviderJobStatus.RUNNING),
        ("canceled", ProviderJobStatus.CANCELLED),
        ("exploded", ProviderJobStatus.UNKNOWN),
        ("", ProviderJobStatus.UNKNOWN),
    ],
)
def test_states(scene, training, job_id, said, status):
    scene.server.change(job_id, status=said)
    job = training.poll(job_id)
    assert (job.status, job.vendor_status) == (status, said)


def test_nearly_everything_may_be_null(scene, training, job_id):
    scene.server.advance(job_id, "running")
    before = scene.server.account.jobs[job_id].json()
    scene.server.change(job_id, **{name: None for name in before if name != "id"})
    job = training.poll(job_id)
    assert (job.status, job.vendor_status) == (ProviderJobStatus.UNKNOWN, "")
    scene.server.change(job_id, status="failed")
    job = training.poll(job_id)
    assert (job.status, job.error) == (ProviderJobStatus.FAILED, None)
    scene.server.change(job_id, status="failed", error={"code": "x", "message": None, "param": None})
    assert training.poll(job_id).error == "x"


@pytest.mark.parametrize("name", [None, "", 7, "ft:a b", "ft:a\x00", "ft:ü", "x" * 257])
def test_a_model_without_a_name_has_succeeded_all_the_same(scene, training, job_id, name):
    scene.server.advance(job_id, "succeeded")
    scene.server.change(job_id, fine_tuned_model=name, finished_at=time.time() - 3600)
    job = training.poll(job_id)
    assert (job.status, job.tuned_model, job.error) == (ProviderJobStatus.SUCCEEDED, None, None)
    assert job.stage == "waiting for the model's name"


@pytest.mark.parametrize("bad", ["e v", "e\x00", "ü", "\ud800", "x" * 257])
def test_an_event_whose_id_is_none_has_none_and_comes_once(scene, training, job_id, bad):
    job = scene.server.account.jobs[job_id]
    job.say("strange")
    job.events[-1]["id"], job.events[-1]["created_at"] = bad, 2_000_000_000
    seen = training.poll(job_id)
    assert [(one.id, one.message) for one in seen.events][-1] == ("", "strange")
    assert seen.cursor.isascii()
    assert seen.cursor.isprintable()
    again = training.poll(job_id, seen.cursor)
    assert (again.events, again.cursor) == ((), seen.cursor)
    job.say("usual")
    job.events[-1]["created_at"] = 2_000_000_001
    assert [one.message for one in training.poll(job_id, seen.cursor).events] == ["usual"]


def test_an_event_with_neither_id_nor_time_is_left_out_and_hides_no_other(scene, training, job_id):
    job = scene.server.account.jobs[job_id]
    job.say("usual")
    job.say("lost")
    job.events[-1] |= {"id": "\x00", "created_at": None}
    assert [one.message for one in training.poll(job_id).events][-1] == "usual"


@pytest.mark.parametrize("bad", ["ftjob 1", "ftjob-\x00", "x" * 257])
def test_a_job_whose_id_is_none_cannot_be_read(scene, training, job_id, bad):
    scene.server.change(job_id, id=bad)
    with pytest.raises(Unavailable, match="cannot be read"):
        training.poll(job_id)


def test_the_vendors_error_is_cleaned(scene, training, job_id):
    message = "bad\x00 \x1b[31m line\u202e sk-abcdefgh1234 " + "x" * 5000
    scene.server.advance(job_id, "failed")
    scene.server.change(job_id, error={"code": "c", "message": message, "param": None})
    error = training.poll(job_id).error
    assert error.startswith("bad [31m line [key] x")
    assert len(error) <= 1000


def test_a_job_that_was_deleted_behind_our_back(scene, training, job_id):
    scene.server.forget(job_id)
    with pytest.raises(NotFound, match="OpenAI does not have this training"):
        training.poll(job_id)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"status": 401}, NotAllowed),
        ({"status": 429, "headers": {"retry-after": "500"}}, RateLimited),
        ({"status": 500}, Unavailable),
        ({"cut": "before"}, Unavailable),
        ({"cut": "middle"}, Unavailable),
        ({"malformed": True}, Unavailable),
        ({"answer": []}, Unavailable),
        ({"answer": None}, None),
        ({"answer": {}}, Unavailable),
        ({"answer": {"id": 7}}, Unavailable),
    ],
)
def test_a_state_that_cannot_be_had(scene, training, job_id, fault, kind):
    scene.server.fault(RETRIEVE, **fault)
    if kind is None:
        assert training.poll(job_id).id == job_id
        return
    with pytest.raises(ProviderError) as caught:
        training.poll(job_id)
    assert type(caught.value) is kind
    assert caught.value.retry_after == (500 if kind is RateLimited else None)


@pytest.mark.parametrize("route", [EVENTS, CONTENT])
@pytest.mark.parametrize(
    "fault",
    [{"status": 500}, {"status": 404}, {"cut": "before"}, {"cut": "middle"}, {"malformed": True}, {"answer": 7}],
)
def test_the_state_counts_though_the_rest_cannot_be_had(scene, training, job_id, route, fault):
    scene.server.advance(job_id, "succeeded")
    scene.server.fault(route, **fault)
    job = training.poll(job_id)
    assert job.status is ProviderJobStatus.SUCCEEDED
    assert job.tuned_model
    assert job.step == 10
    assert len(job.metrics) == 10


@pytest.mark.parametrize("fault", [{"hang": 60.0}, {"drip": 0.5}])
@pytest.mark.parametrize("route", [RETRIEVE, EVENTS, "GET /files/{id}", "DELETE /files/{id}"])
def test_a_vendor_that_hangs_or_drips_does_not_hold_us(scene, training, job_id, route, fault):
    scene.server.advance(job_id, "succeeded")
    scene.server.fault(route, times=None, **fault)
    begun = time.monotonic()
    try:
        assert training.poll(job_id).status is ProviderJobStatus.SUCCEEDED
    except Unavailable:
        assert route == RETRIEVE
    assert time.monotonic() - begun < 5
    assert POLL_SECONDS < 5


@pytest.mark.parametrize("cursor", ["x", "1|2|3", "1|2|x|e", "-1|0|0|e", "²|0|0|e"])
def test_no_cursor_of_ours(training, job_id, cursor):
    with pytest.raises(NotFound, match="no cursor"):
        training.poll(job_id, cursor)
    with pytest.raises(NotFound):
        training.poll("")


def test_a_cursor_may_hold_any_event_id():
    seen = watching._Seen(5, 6, 7, "a|b|c")
    assert watching._Seen.read(str(seen)) == seen


def test_steps_are_read_from_the_words_where_there_are_no_data():
    event = {"type": "metrics", "message": "Step 88/90: training loss=0.57"}
    assert watching._steps(event) == (88, 90)
    assert watching._point(event) is None  # no figure that we could keep


@pytest.mark.parametrize("encode", [lambda text: text, base64.b64encode, base64.encodebytes])
def test_result_files_are_plain_or_base64(encode):
    text = b"\xef\xbb\xbfstep,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n"
    text += b"1,1.5,0.9,,\n2,1.25,0.9,2.0,0.8\n"
    assert results.read(encode(text)) == [MetricPoint(1, loss=1.5), MetricPoint(2, loss=1.25, validation_loss=2.0)]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", []),
        (b"\xff\xfe\x00", []),
        (b"<html>step</html>", []),
        (b"a,b\n1,2\n", []),
        (b"step,train_loss\nx,1\n-1,1\n1.5,1\n3,nan\n4,inf\n5,x\n6,1\n", [MetricPoint(6, loss=1)]),
        (b"step,train_loss\n1\n2,0.5,9,9,9\n", [MetricPoint(2, loss=0.5)]),
        (b"step,train_loss,full_valid_loss,valid_loss\n1,1,3,2\n", [MetricPoint(1, loss=1, validation_loss=3)]),
        (b'step,train_loss\n1,1\n2,"' + b"x" * 200_000, [MetricPoint(1, loss=1)]),
        (b"step,train_loss\n" + b"1,1\n" * 60_000, [MetricPoint(1, loss=1)] * 50_000),
    ],
)
def test_result_files_that_are_odd(content, found):
    assert results.read(content) == found


def test_figures_that_are_no_numbers_do_not_pass():
    for value in ("NaN", math.nan, math.inf, True, [], {}, None, "x", 10**400):
        assert results.point(1, {"train_loss": value}) is None
    assert json.loads("[NaN]")  # which JSON as it comes may hold
