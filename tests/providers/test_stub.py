import json
from dataclasses import replace
from pathlib import Path

import pytest

from providers.base import ChatMessage, ChatRequest, Method, ProviderJobStatus, TrainingRequest
from providers.errors import InvalidRequest, NotFound
from providers.stub import BASE_MODEL, StubChat, StubTraining


@pytest.fixture
def request_(tmp_path):
    train = tmp_path / "train.jsonl"
    train.write_text("{}\n")
    return TrainingRequest(
        key="run-1-1", base_model=BASE_MODEL, method=Method.SFT, train_path=train, suffix="", folder=tmp_path / "work"
    )


@pytest.fixture
def stub(tmp_path):
    return StubTraining(tmp_path / "stub")


def follow(stub, job_id):
    cursor, points = "", []
    for _ in range(50):
        job = stub.poll(job_id, cursor)
        cursor = job.cursor
        points += job.metrics
        if job.status is not ProviderJobStatus.RUNNING:
            return job, points
    raise AssertionError(f"never ends: {job}")


def test_it_trains_to_a_model_with_a_falling_loss_and_no_step_twice(stub, request_):
    job, points = follow(stub, stub.submit(request_).id)
    assert job.status is ProviderJobStatus.SUCCEEDED
    assert [one.step for one in points] == list(range(1, job.total_steps + 1))
    assert points[-1].loss < points[0].loss / 2
    assert json.loads((Path(job.tuned_model) / "model.json").read_text()) == {"base_model": BASE_MODEL}


def test_the_same_key_is_the_same_job_also_after_a_restart(stub, request_, tmp_path):
    first = stub.submit(request_)
    stub.poll(first.id)
    again = StubTraining(tmp_path / "stub")
    assert again.find("run-1-1").step == again.submit(request_).step == 4
    assert again.find("run-2-1") is None
    assert follow(again, first.id)[0].status is ProviderJobStatus.SUCCEEDED


def test_the_figures_depend_on_the_key_alone(request_, tmp_path):
    losses = []
    for folder, key in (("a", "x"), ("b", "x"), ("c", "y")):
        stub = StubTraining(tmp_path / folder)
        losses.append([one.loss for one in follow(stub, stub.submit(replace(request_, key=key)).id)[1]])
    assert losses[0] == losses[1] != losses[2]


def test_it_can_be_paused_resumed_and_cancelled(stub, request_):
    job = stub.submit(request_)
    stub.pause(job.id)
    assert stub.poll(job.id).status is ProviderJobStatus.PAUSED
    assert stub.poll(job.id).step == 0
    stub.resume(job.id)
    assert stub.poll(job.id).step == 4
    stub.cancel(job.id)
    assert stub.poll(job.id).status is ProviderJobStatus.CANCELLED
    stub.resume(job.id)
    assert stub.poll(job.id).status is ProviderJobStatus.CANCELLED


def test_it_refuses_what_it_does_not_know(stub, request_):
    with pytest.raises(InvalidRequest, match="stub-1"):
        stub.submit(replace(request_, base_model="gpt-9"))
    for job_id in ("stub-0123456789abcdef", "../../etc/passwd", ""):
        with pytest.raises(NotFound):
            stub.poll(job_id)


def test_it_answers_with_the_question():
    chat = StubChat()
    told = [ChatMessage("system", "be brief"), ChatMessage("user", "one two"), ChatMessage("assistant", "x")]
    chunks = list(chat.stream(ChatRequest(BASE_MODEL, told)))
    assert "".join(one.text for one in chunks) == "one two"
    assert (chunks[-1].finish_reason, chunks[-1].completion_tokens) == ("stop", 2)
    cut = list(chat.stream(ChatRequest("mine", told, max_tokens=2)))
    assert "".join(one.text for one in cut) == "mine: one"
    assert cut[-1].finish_reason == "length"
    assert BASE_MODEL in chat.models()
