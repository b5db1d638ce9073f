"""Vendors' webhooks, signed by an implementation that nobody here wrote."""

import base64
import datetime as dt
import json
import time

import httpx2 as httpx
import pytest
from sqlmodel import select
from standardwebhooks.webhooks import Webhook

from tests.workers.jobs.watched import add_run
from workers.gateway.webhooks import MOST_BYTES
from workers.run_status import RunStatus
from workers.tables import Credential, InboundEvent, Run

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ...").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret, as long as that.").decode()
LATER = time.time() + 500


@pytest.fixture
def run(context):
    with context.db.write() as session:
        for team, secret in (("T1", SECRET), ("T2", OTHER)):
            sealed = context.vault.seal({"api_key": "k", "webhook_secret": secret})
            session.add(Credential(team_id=team, provider="openai", sealed=sealed))
        session.add(Credential(team_id="T3", provider="openai", sealed=context.vault.seal({"api_key": "k"})))
        return add_run(session, provider="openai", provider_job_id="ftjob-1", due=LATER)


@pytest.fixture
def due_at(context):
    def look(run_id):
        with context.db.read() as session:
            return session.get_one(Run, run_id).next_poll_at

    return look


def event(job_id="ftjob-1", kind="fine_tuning.job.succeeded"):
    return json.dumps({"object": "event", "id": "evt-1", "type": kind, "created_at": 1, "data": {"id": job_id}})


def send(gateway, body, *, team="T1", secret=SECRET, message="msg-1", at=None, **headers):
    at = at or dt.datetime.now(tz=dt.UTC)
    signed = {
        "webhook-id": message,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message, at, body),
        "content-type": "application/json",
        **headers,
    }
    return httpx.post(f"{gateway}/webhooks/openai/{team}", content=body, headers=signed, timeout=20)


def test_a_run_that_has_news_is_due_at_once(gateway, run, due_at):
    answer = send(gateway, event())
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert due_at(run) == 0.0


def test_what_is_delivered_again_does_nothing_more(gateway, context, run, due_at):
    send(gateway, event())
    with context.db.write() as session:
        session.get_one(Run, run).next_poll_at = LATER
    assert send(gateway, event()).status_code == 200
    assert due_at(run) == LATER
    assert send(gateway, event(), message="msg-2").status_code == 200
    assert due_at(run) == 0.0


def test_forged_and_stale_ones_are_refused_without_a_word_why(gateway, context, run, due_at):
    old = dt.datetime.now(tz=dt.UTC) - dt.timedelta(minutes=20)
    answers = [
        send(gateway, event(), secret=OTHER),
        send(gateway, event(), at=old),
        send(gateway, event(), at=old + dt.timedelta(minutes=40)),
        send(gateway, event(), **{"webhook-signature": "v1,AAAA"}),
        send(gateway, event(), **{"webhook-timestamp": "soon"}),
        send(gateway, event("ftjob-2"), **{"webhook-signature": Webhook(SECRET).sign("msg-1", old, event())}),
        httpx.post(f"{gateway}/webhooks/openai/T1", content=event()),
        send(gateway, "no json"),
        send(gateway, event(), team="T3"),  # which has no webhook secret
        send(gateway, event(), team="T99"),
        send(gateway, event(), team="T" * 2000),
        send(gateway, event(), team="%00"),
    ]
    assert {one.status_code for one in answers} == {401}
    assert len({one.text for one in answers}) == 1  # nobody learns which workspaces there are
    assert due_at(run) == LATER
    with context.db.read() as session:
        assert session.exec(select(InboundEvent)).all() == []


def test_another_workspace_s_run_is_not_touched(gateway, run, due_at):
    assert send(gateway, event(), team="T2", secret=OTHER).status_code == 200
    assert due_at(run) == LATER


@pytest.mark.parametrize(
    "body",
    [
        event("ftjob-unknown"),
        event(kind="fine_tuning.job.mulled_over_"),
        event(kind="response.completed"),
        json.dumps({"type": "fine_tuning.job.failed", "data": None}),
        json.dumps({"type": 7}),
        "{}",
    ],
)
def test_what_is_about_nothing_of_ours_is_taken_and_ignored(gateway, run, body):
    assert send(gateway, body).status_code == 200


def test_a_run_that_has_ended_is_not_asked_about(gateway, context, run, due_at):
    with context.db.write() as session:
        row = session.get_one(Run, run)
        row.status, row.next_poll_at = RunStatus.READY, None
    assert send(gateway, event()).status_code == 200
    assert due_at(run) is None


def test_a_body_that_is_too_large_is_refused(gateway, run, due_at):
    body = json.dumps({"type": "fine_tuning.job.succeeded", "data": {"id": "ftjob-1"}, "more": "x" * MOST_BYTES})
    assert send(gateway, body).status_code == 413
    assert send(gateway, body + " " * 5_000_000).status_code == 413
    assert due_at(run) == LATER
