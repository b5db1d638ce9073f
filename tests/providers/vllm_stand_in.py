"""vLLM's HTTP interface as its documentation and source have it, as far as chat and adapters go. It has no model.

An answer says which model it was asked of. `faults` come first, one a request to load: a status with a body.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

NO_SUCH_PAGE = (404, {"detail": "Not Found"})


def problem(status: int, kind: str, message: str) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"message": message, "type": kind, "param": None, "code": status}}


class VllmStandIn:
    """`base` is --served-model-name, `root` --model. Adapters can be loaded unless `updating` is false."""

    def __init__(self, base: str, root: str = "/srv/base", key: str = "") -> None:
        self.base, self.root, self.key = base, root, key
        self.updating = True
        self.adapters: dict[str, str] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.faults: list[tuple[int, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer({})

            def do_POST(self) -> None:
                self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

            def _answer(self, body: dict[str, Any]) -> None:
                outer.asked.append((self.path, body))
                if outer.key and self.headers.get("authorization") != f"Bearer {outer.key}":
                    status, said = 401, {"error": "Unauthorized"}
                else:
                    status, said = outer.answer(self.path, body)
                content = said.encode() if isinstance(said, str) else json.dumps(said).encode()
                self.send_response(status)
                stream = isinstance(said, str) and said.startswith("data:")
                self.send_header("content-type", "text/event-stream" if stream else "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_arguments: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def loads(self) -> list[dict[str, Any]]:
        return [body for path, body in self.asked if path == "/v1/load_lora_adapter"]

    def unloads(self) -> list[str]:
        return [body["lora_name"] for path, body in self.asked if path == "/v1/unload_lora_adapter"]

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        match path:
            case "/v1/models":
                return 200, {"object": "list", "data": self._cards()}
            case "/v1/load_lora_adapter" if self.updating:
                return self._load(body)
            case "/v1/unload_lora_adapter" if self.updating:
                name = body["lora_name"]
                if self.adapters.pop(name, None) is None:
                    return problem(404, "NotFoundError", f"The lora adapter '{name}' cannot be found.")
                return 200, f"Success: LoRA adapter '{name}' removed successfully."
            case "/v1/chat/completions":
                return self._chat(body)
            case _:
                return NO_SUCH_PAGE

    def _cards(self) -> list[dict[str, Any]]:
        base = {"id": self.base, "object": "model", "root": self.root, "parent": None, "max_model_len": 2048}
        tuned = [
            {"id": name, "object": "model", "root": path, "parent": self.base} for name, path in self.adapters.items()
        ]
        return [base, *tuned]

    def _load(self, body: dict[str, Any]) -> tuple[int, Any]:
        if self.faults:
            return self.faults.pop(0)
        name, path = body["lora_name"], body["lora_path"]
        if name in self.adapters:
            words = f"The lora adapter '{name}' has already been loaded. If you want to load the adapter in place, "
            return problem(400, "InvalidUserInput", words + "set 'load_inplace' to True.")
        if not Path(path).is_dir():
            return problem(404, "NotFoundError", f"Loading lora {name} failed: No adapter found for {path}")
        self.adapters[name] = path
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def _chat(self, body: dict[str, Any]) -> tuple[int, Any]:
        model = body["model"]
        if model != self.base and model not in self.adapters:
            return problem(404, "NotFoundError", f"The model `{model}` does not exist.")
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
        events = [
            {**head, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]},
            {**head, "choices": [{"index": 0, "delta": {"content": f"I am {model}"}, "finish_reason": "stop"}]},
            {**head, "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}},
        ]
        return 200, "".join(f"data: {json.dumps(one)}\n\n" for one in events) + "data: [DONE]\n\n"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
