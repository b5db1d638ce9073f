"""A vendor on this machine that only lists its models: it knows one key, and fails as it is told."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

MODELS = {"object": "list", "data": [{"id": "gpt-4.1-nano-2025-04-14", "object": "model", "created": 1}]}


class ModelsServer:
    """Answers GET /v1/models. `faults` come first, one a request: a status with a body and headers, or "hang"."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.faults: list[tuple[int, Any, dict[str, str]] | str] = []
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers.get("Authorization") or ""))
                status, body, headers = outer._answer(self)
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_arguments: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def _answer(self, handler: BaseHTTPRequestHandler) -> tuple[int, Any, dict[str, str]]:
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, tuple):
            return fault
        if fault == "hang":
            self._drip(handler)
        if handler.headers.get("Authorization") == f"Bearer {self.key}":
            return 200, MODELS, {}
        given = (handler.headers.get("Authorization") or "").removeprefix("Bearer ")
        message = f"Incorrect API key provided: {given[:6]}***{given[-4:]}. It was {given}."
        error = {"message": message, "type": "invalid_request_error", "code": "invalid_api_key", "param": None}
        return 401, {"error": error}, {}

    def _drip(self, handler: BaseHTTPRequestHandler) -> None:
        """A byte now and then, so that no timeout of a single read ends it."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
        until = time.monotonic() + 30
        while not self._stop.wait(0.05) and time.monotonic() < until:
            try:
                handler.wfile.write(b" ")
            except OSError:
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
