"""Deliveries signed by an independent implementation of Standard Webhooks."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from providers.errors import NotAllowed
from providers.openai.webhooks import LONGEST, WebhookEvent, read

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


def delivery(kind="fine_tuning.job.succeeded", data=None, at=None, secret=SECRET, sent_id="wh_1"):
    at = at or datetime.now(UTC)
    event = {
        "id": "evt_1",
        "object": "event",
        "created_at": 1,
        "type": kind,
        "data": {"id": "ftjob-1"} if data is None else data,
    }
    body = json.dumps(event)
    headers = {
        "webhook-id": sent_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(sent_id, at, body),
    }
    return body.encode(), headers


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled"])
def test_a_job_has_ended(end):
    body, headers = delivery(f"fine_tuning.job.{end}")
    assert read(body, headers, SECRET) == WebhookEvent("wh_1", f"fine_tuning.job.{end}", "ftjob-1")


def test_the_same_delivery_again_has_the_same_id():
    body, headers = delivery(sent_id="wh_again")
    assert read(body, headers, SECRET).id == read(body, headers, SECRET).id == "wh_again"


def test_headers_in_any_case_and_one_of_several_signatures():
    body, headers = delivery()
    headers["webhook-signature"] = f"v1,AAAA {headers['webhook-signature']} v2,xyz"
    assert read(body, {name.title(): value for name, value in headers.items()}, SECRET).job_id == "ftjob-1"


@pytest.mark.parametrize("kind", ["batch.completed", "fine_tuning.checkpoint.x", "brand.new", ""])
def test_events_about_something_else_name_no_job(kind):
    body, headers = delivery(kind)
    event = read(body, headers, SECRET)
    assert (event.type, event.job_id) == (kind, None)


@pytest.mark.parametrize(
    "data", [[], "x", {}, {"id": None}, {"id": 7}, {"id": ""}, {"id": "x" * 1000}, {"id": "a\x00"}, {"id": "a b"}]
)
def test_events_without_a_job(data):
    body, headers = delivery(data=data)
    assert read(body, headers, SECRET).job_id is None


def test_another_secret():
    body, headers = delivery(secret="whsec_" + base64.b64encode(b"another secret of a mean person").decode())
    with pytest.raises(NotAllowed):
        read(body, headers, SECRET)


@pytest.mark.parametrize("minutes", [-6, 6, -60 * 24])
def test_stale_and_from_the_future(minutes):
    body, headers = delivery(at=datetime.now(UTC) + timedelta(minutes=minutes))
    with pytest.raises(NotAllowed):
        read(body, headers, SECRET)


def test_a_changed_body_or_header():
    body, headers = delivery()
    with pytest.raises(NotAllowed):
        read(body.replace(b"ftjob-1", b"ftjob-2"), headers, SECRET)
    with pytest.raises(NotAllowed):
        read(body, {**headers, "webhook-id": "wh_2"}, SECRET)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
@pytest.mark.parametrize("value", [None, "", "x", "v1,ü", "\x00", "9" * 5000])
def test_headers_that_are_none(name, value):
    body, headers = delivery()
    headers = {**headers, name: value} if value is not None else {one: headers[one] for one in headers if one != name}
    with pytest.raises(NotAllowed):
        read(body, headers, SECRET)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!!", "whsec_AAA", "whsec_AAAA", "x"])
def test_a_secret_that_is_none_lets_nobody_in(secret):
    body, headers = delivery()
    with pytest.raises(NotAllowed):
        read(body, headers, secret)


def test_nobody_gets_in_with_an_empty_key():
    import hashlib
    import hmac

    body, headers = delivery()
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body.decode()}".encode()
    headers["webhook-signature"] = "v1," + base64.b64encode(hmac.new(b"", signed, hashlib.sha256).digest()).decode()
    for secret in ("", "whsec_", "whsec_!!!!"):
        with pytest.raises(NotAllowed):
            read(body, headers, secret)


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"7", b"{", b"[" * 100_000, b"x" * (LONGEST + 1)])
def test_bodies_that_are_none_though_they_are_signed(body):
    at = datetime.now(UTC)
    text = body.decode("latin-1")
    headers = {
        "webhook-id": "wh_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("wh_1", at, text),
    }
    with pytest.raises(NotAllowed):
        read(body, headers, SECRET)


def test_what_the_stand_in_sends_is_believed(scene):
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    job = scene.training().submit(scene.request())
    scene.server.advance(job.id, "failed")
    got = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append(read(body, dict(self.headers), SECRET))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Receiver) as receiver:
        thread = threading.Thread(target=receiver.handle_request)
        thread.start()
        status = scene.server.webhook(job.id, f"http://127.0.0.1:{receiver.server_port}/hook", SECRET)
        thread.join()
    assert status == 204
    assert got == [WebhookEvent(f"wh_{job.id}_failed", "fine_tuning.job.failed", job.id)]
