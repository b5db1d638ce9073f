"""A small OpenAI of our own, with its state in memory: what the independent servers lack, and every fault on demand.

    with StandIn() as vendor:                       # a thread of this process, on a free port of 127.0.0.1
        vendor.url                                  # ".../v1": the base URL for a client; `vendor.root` is without /v1
        vendor.advance(job_id)                      # one stretch on: validating_files, queued, running, ..., succeeded
        vendor.advance(job_id, "failed")            # or at once there: any word, also one that no vendor has
        vendor.change(job_id, trained_tokens=None)  # fields of the job as answered from now on
        vendor.forget(job_id)                       # the job is gone, behind our back
        vendor.account.file_status = "uploaded"     # files uploaded from now on are never processed
        vendor.fault("POST /fine_tuning/jobs", status=429, headers={"retry-after": "300"}, times=2)
        vendor.calls("POST /fine_tuning/jobs")      # what was asked there: dicts of query, headers, body, status
        vendor.webhook(job_id, "http://...", secret)  # deliver a signed event; the receiver's status

`pace="poll"` (the default) moves a job on with each retrieve, as aimock does; "hand" only with `advance`.
`key` is the API key that is wanted ("" takes any). Routes are named as in `Account.ROUTES` (stand_in_account.py):
"GET /fine_tuning/jobs/{id}/events". Faults, which hold for `times` calls (None: for ever):

    status=503, code="...", message="..."   an error answer in the vendor's form; nothing is processed
    hang=30.0                               silence for so long first
    cut="before" | "after" | "middle"       hang up: unprocessed, processed, or half-way through the answer
    drip=1.0                                processed, answered a byte at a time with such pauses
    malformed=True                          processed, answered with broken JSON
    answer={...}                            processed, answered with this instead

On its own, with the same methods as POST /__control/METHOD {"arguments": [...], ...named ones}:
    python -m tests.contracts.stand_in --port 8099 --pace poll --key sk-test
"""

import argparse
import base64
import hashlib
import hmac
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.contracts.stand_in_account import Account, Problem, Request

CONTROL = "/__control/"
PREFIXES = ("/openai/v1", "/v1", "/openai")
"""What a path may begin with before the routes' own part."""
LAST_FAULTS = 300.0
"""Seconds that a hanging answer waits at most, unless the server ends."""


@dataclass
class Fault:
    """What goes wrong with the next `times` calls of a route."""

    status: int = 0
    code: str | None = None
    message: str = "The stand-in was told to fail."
    type: str = "stand_in"
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: float = 0.0
    until: threading.Event | None = None
    drip: float = 0.0
    cut: str = ""
    malformed: bool = False
    answer: Any = None
    times: int | None = 1


class StandIn(ThreadingHTTPServer):
    """The server. Its methods may be called from any thread, and over HTTP."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *, port: int = 0, pace: str = "poll", key: str = "", account: Account | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.account = account or Account(pace=pace)
        self.key = key
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self._faults: dict[str, list[Fault]] = {}
        self._calls: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"{self.root}/v1"

    def fault(self, route: str, **kind: Any) -> None:
        if route not in self.account.ROUTES:
            raise KeyError(f"no route {route!r}; there are {sorted(self.account.ROUTES)}")
        with self.lock:
            self._faults.setdefault(route, []).append(Fault(**kind))

    def clear(self) -> None:
        """Forget all faults and all calls."""
        with self.lock:
            self._faults.clear()
            self._calls.clear()

    def calls(self, route: str = "") -> list[dict[str, Any]]:
        with self.lock:
            return [one for one in self._calls if route in {"", one["route"]}]

    def advance(self, job_id: str, status: str = "") -> str:
        with self.lock:
            return self.account.advance(job_id, status)

    def change(self, job_id: str, **fields: Any) -> None:
        with self.lock:
            self.account.jobs[job_id].changed.update(fields)

    def forget(self, job_id: str) -> None:
        with self.lock:
            del self.account.jobs[job_id]

    def webhook(self, job_id: str, url: str, secret: str, **given: Any) -> int:
        """Deliver what the job's state calls for; `id`, `type` and `timestamp` may be given."""
        with self.lock:
            status = self.account.jobs[job_id].status
        sent_id, at = given.get("id", f"wh_{job_id}_{status}"), int(given.get("timestamp", time.time()))
        event = {
            "id": f"evt_{job_id}",
            "object": "event",
            "created_at": at,
            "type": given.get("type", f"fine_tuning.job.{status}"),
            "data": {"id": job_id},
        }
        body = json.dumps(event)
        secret_bytes = (
            base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
        )
        signature = hmac.new(secret_bytes, f"{sent_id}.{at}.{body}".encode(), hashlib.sha256).digest()
        headers = {
            "content-type": "application/json",
            "webhook-id": sent_id,
            "webhook-timestamp": str(at),
            "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
        }
        request = urllib.request.Request(url, body.encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as refusal:
            refusal.close()
            return refusal.code

    def next_fault(self, route: str) -> Fault | None:
        with self.lock:
            for one in self._faults.get(route, []):
                if one.times is None or one.times > 0:
                    one.times = None if one.times is None else one.times - 1
                    return one
        return None

    def note(self, **call: Any) -> dict[str, Any]:
        with self.lock:
            self._calls.append(call)
        return call

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients hang up: that is what they are tested for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: StandIn

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        body = self._body()
        if parts.path.startswith(CONTROL):
            self._control(parts.path.removeprefix(CONTROL), body)
            return
        prefix = next((one for one in PREFIXES if parts.path.startswith(f"{one}/")), "")
        request = Request(
            self.command,
            unquote(parts.path.removeprefix(prefix)),
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            body,
        )
        route, handler, request.names = self.server.account.find(request)
        call = self.server.note(
            route=route,
            path=self.path,
            query=request.query,
            headers=request.headers,
            body=request.shown(),
            at=time.time(),
            status=0,
        )
        fault = self.server.next_fault(route) or Fault()
        if fault.hang:
            self.server.stopping.wait(min(fault.hang, LAST_FAULTS))
        if fault.until:
            fault.until.wait(LAST_FAULTS)
        if fault.cut == "before":
            self.close_connection = True
            return
        try:
            if fault.status:
                raise Problem(fault.status, fault.message, fault.code, kind=fault.type)
            self._let_in(request)
            with self.server.lock:
                answer = handler(request)
        except Problem as problem:
            call["status"] = problem.status
            self._reply(problem.body(), problem.status, fault.headers)
            return
        call["status"] = 200
        if fault.cut == "after":
            self.close_connection = True
        elif isinstance(answer, Iterator):
            self._stream(answer, cut=fault.cut == "middle")
        elif fault.malformed or fault.cut == "middle":
            self._reply_bytes(b'{"id": "half of an ans', cut=fault.cut == "middle")
        elif fault.drip:
            self._drip(json.dumps(answer).encode(), fault.drip)
        else:
            self._reply(answer if fault.answer is None else fault.answer, headers=fault.headers)

    do_GET = do_POST = do_DELETE = do_PUT = _serve  # noqa: N815

    def _let_in(self, request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ") or request.headers.get("api-key", "")
        if self.server.key and given != self.server.key:
            message = f"Incorrect API key provided: {given}. You can find your API key at https://example.com."
            raise Problem(401, message, "invalid_api_key", kind="invalid_request_error")

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            found = bytearray()
            while size := int(self.rfile.readline().split(b";")[0], 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return bytes(found)
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _control(self, name: str, body: bytes) -> None:
        if name not in {"fault", "clear", "calls", "advance", "change", "forget", "webhook"}:
            self._reply({"error": f"no control {name}"}, 404)
            return
        named = json.loads(body or b"{}")
        try:
            self._reply({"result": getattr(self.server, name)(*named.pop("arguments", []), **named)})
        except (KeyError, TypeError, Problem) as error:
            self._reply({"error": str(error)}, 400)

    def _reply(self, answer: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        if isinstance(answer, bytes):
            self._reply_bytes(answer, status, headers, "application/octet-stream")
        else:
            self._reply_bytes(json.dumps(answer).encode(), status, headers)

    def _reply_bytes(
        self,
        body: bytes,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        kind: str = "application/json",
        *,
        cut: bool = False,
    ) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body) + (100 if cut else 0)))
        self.send_header("x-request-id", f"req_{len(self.server.calls())}")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = self.close_connection or cut

    def _drip(self, body: bytes, pause: float) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        with suppress(OSError):
            for position in range(len(body)):
                self.wfile.write(body[position : position + 1])
                if self.server.stopping.wait(pause):
                    break
        self.close_connection = True

    def _stream(self, events: Iterator[Any], *, cut: bool) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        with suppress(OSError):
            for position, event in enumerate(events):
                if cut and position == 2:
                    break
                self._chunk(f"data: {json.dumps(event)}\n\n")
            else:
                self._chunk("data: [DONE]\n\n")
                self.wfile.write(b"0\r\n\r\n")
                return
        self.close_connection = True

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


def main() -> None:
    """Serve until interrupted; the first line on the console is the base URL."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--pace", choices=["poll", "hand"], default="poll")
    parser.add_argument("--key", default="")
    chosen = parser.parse_args()
    with StandIn(port=chosen.port, pace=chosen.pace, key=chosen.key) as server:
        print(server.url, flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
