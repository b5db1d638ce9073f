"""Whatever a vendor answers: a poll ends with a job or with a ProviderError, in time."""

import json
import re
import time
from copy import deepcopy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers._openai_api import results
from providers.base import ProviderJob, ProviderJobStatus
from providers.errors import ProviderError
from tests.contracts.stand_in import StandIn
from tests.providers.openai.conftest import CANARY, Scene

ROUTES = ("GET /fine_tuning/jobs/{id}", "GET /fine_tuning/jobs/{id}/events", "GET /files/{id}", "GET /fine_tuning/jobs")
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(["NaN", "succeeded", "failed", "running", "\x00\u202e", "x" * 50_000, "1e400", "²"]),
    st.lists(st.none() | st.integers() | st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)


def places(value, path=()):
    """The path to everything in a JSON value."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inside:
        yield from places(one, (*path, name))


@st.composite
def mutated(draw, value):
    """A JSON value with some of its parts replaced or gone."""
    value = deepcopy(value)
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(list(places(value))))
        if not path:
            value = draw(ODD)
            continue
        holder = value
        for name in path[:-1]:
            holder = holder[name]
        if draw(st.booleans()):
            holder[path[-1]] = draw(ODD)
        elif isinstance(holder, dict):
            del holder[path[-1]]
    return value


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A job with a model, and what the vendor says of it on each route."""
    with StandIn(pace="hand", key=CANARY) as server:
        scene = Scene(server, tmp_path_factory.mktemp("fuzz"), {"api_key": CANARY})
        training = scene.training()
        job = training.submit(scene.request())
        server.advance(job.id, "succeeded")
        account, data = server.account, {}
        for route, asked in zip(ROUTES, (job.id, job.id, next(iter(account.files)), ""), strict=True):
            request = type("Request", (), {"query": {"limit": "20"}, "names": {"id": asked}})()
            data[route] = getattr(account, account.ROUTES[route])(request)
        yield scene, training, job.id, data


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_poll_and_find_bear_any_answer(played, data):
    scene, training, job_id, true = played
    scene.server.clear()
    for route in data.draw(st.sets(st.sampled_from(ROUTES), min_size=1)):
        scene.server.fault(route, answer=data.draw(mutated(true[route])), times=None)
    begun = time.monotonic()
    for act in (lambda: training.poll(job_id), lambda: training.find("run-1")):
        outcome = outcome_of(act)
        if isinstance(outcome, ProviderError):
            assert outcome.user_message.isprintable()
        else:
            check(outcome)
    assert time.monotonic() - begun < 10


def outcome_of(act):
    try:
        return act()
    except ProviderError as error:
        return error


def check(job):
    if job is None:
        return
    assert isinstance(job, ProviderJob)
    assert isinstance(job.status, ProviderJobStatus)
    assert job.status is ProviderJobStatus.SUCCEEDED or job.tuned_model is None
    ids = [job.id, *filter(None, (job.tuned_model, *(one.id for one in job.events)))]
    assert all(re.fullmatch(r"[!-~]{1,256}", one) for one in ids)
    assert job.step >= 0
    texts = [job.vendor_status, job.error or "", *(one.message for one in job.events)]
    assert all(one.isprintable() and len(one) <= 1000 for one in texts)
    figures = [getattr(point, name) for point in job.metrics for name in ("loss", "validation_loss", "epoch")]
    json.dumps([job.step, job.eta_seconds, job.total_epochs, job.trained_tokens, *figures], allow_nan=False)
    assert [one.step for one in job.metrics] == sorted({one.step for one in job.metrics})


@settings(max_examples=200, deadline=None)
@given(
    content=st.binary(max_size=500)
    | st.text(alphabet='step,train_losvid\n"0123456789.-eNa\x00', max_size=300).map(str.encode)
)
def test_any_result_file_is_read(content):
    for point in results.read(b"step,train_loss,valid_loss\n" + content):
        json.dumps([point.step, point.loss, point.validation_loss], allow_nan=False)
