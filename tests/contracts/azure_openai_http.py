"""A small HTTP server on loopback, plain or TLS, whose answers can be made to go wrong."""

import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body or b"null")

    @property
    def bearer(self) -> str:
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token if kind == "Bearer" else ""


@dataclass(frozen=True)
class Answer:
    """What goes back; `body` is bytes as they are, or anything that becomes JSON. `pieces` are sent one by one."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    pieces: tuple[bytes, ...] = ()


@dataclass
class Fault:
    """How the next `times` matching requests go wrong.

    Without anything else they are answered as usual. `hang` waits so many seconds first; `late` lets the request take
    effect before its answer is lost or replaced; `cut` closes the connection instead of answering, `half` in the
    middle of the answer.
    """

    method: str
    path: str  # a regular expression, searched for
    times: int = 1
    status: int = 0
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hang: float = 0.0
    late: bool = False
    cut: bool = False
    half: bool = False
    seen: int = 0


class LoopbackServer(ThreadingHTTPServer):
    """Answers with `answer`; `asked` is every request so far."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Callable[[Asked], Answer], *, tls: ssl.SSLContext | None = None) -> None:
        self.answer, self.tls = answer, tls
        self.asked: list[Asked] = []
        self.faults: list[Fault] = []
        self.lock = threading.RLock()
        self.over = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        scheme = "https" if self.tls else "http"
        return f"{scheme}://127.0.0.1:{self.server_address[1]}"

    def fault(self, method: str, path: str, **how: Any) -> Fault:
        one = Fault(method, path, **how)
        with self.lock:
            self.faults.append(one)
        return one

    def requests(self, method: str, path: str) -> list[Asked]:
        with self.lock:
            return [one for one in self.asked if one.method == method and re.search(path, one.path)]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.over.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        if self.tls is not None:
            try:
                request.settimeout(10)
                request = self.tls.wrap_socket(request, server_side=True)
            except OSError:
                self.shutdown_request(request)
                return
        super().process_request_thread(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is not news."""

    def take_fault(self, asked: Asked) -> Fault | None:
        with self.lock:
            for one in self.faults:
                if one.seen < one.times and one.method == asked.method and re.search(one.path, asked.path):
                    one.seen += 1
                    return one
        return None


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        asked = Asked(
            self.command,
            unquote(parts.path),
            {name: values[-1] for name, values in parse_qs(parts.query).items()},
            {name.lower(): value for name, value in self.headers.items()},
            self._body(),
        )
        with self.server.lock:
            self.server.asked.append(asked)
        fault = self.server.take_fault(asked)
        if fault is None:
            self._send(self.server.answer(asked))
            return
        usual = self.server.answer(asked) if fault.late or not (fault.status or fault.cut) else None
        if fault.hang:
            self.server.over.wait(fault.hang)
        if fault.cut:
            self._hang_up()
        elif fault.status:
            self._send(Answer(fault.status, fault.body, fault.headers), half=fault.half)
        elif usual is not None:
            self._send(usual, half=fault.half)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve  # noqa: N815 -- http.server's names

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        found = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _send(self, answer: Answer, *, half: bool = False) -> None:
        body = answer.body if isinstance(answer.body, bytes) else b""
        if answer.body is not None and not isinstance(answer.body, bytes):
            body = json.dumps(answer.body).encode()
        headers = {"content-type": "application/json", "x-ms-request-id": f"r-{time.monotonic_ns()}", **answer.headers}
        self.send_response(answer.status)
        for name, value in headers.items():
            self.send_header(name, value)
        if answer.pieces:
            self.send_header("connection", "close")
            self.end_headers()
            for piece in answer.pieces:
                self.wfile.write(piece)
                self.wfile.flush()
            self.close_connection = True
            return
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if half else body)
        self.wfile.flush()
        if half:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: Any) -> None:
        pass
