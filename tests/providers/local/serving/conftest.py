"""The model server as a process of its own."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from providers._openai_compatible import OpenAICompatibleChat
from providers.base import ChatMessage, ChatRequest


@dataclass(frozen=True)
class Served:
    url: str
    models: Path
    process: subprocess.Popen
    chat: OpenAICompatibleChat

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)

    def post(self, **body):
        data = json.dumps(body).encode()
        asked = urllib.request.Request(
            f"{self.url}/v1/chat/completions", data=data, headers={"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def ask(self, model, question, max_tokens=24, user=""):
        request = ChatRequest(model, [ChatMessage("user", question)], max_tokens, user=user)
        said = list(self.chat.stream(request))
        last = said[-1]
        return "".join(one.text for one in said), last.finish_reason, last.prompt_tokens, last.completion_tokens


@contextmanager
def serving(folder: Path, cache: Path | None = None) -> Iterator[Served]:
    """A server of the models in `folder`/models, until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = ["--models", str(folder / "models"), "--cache", str(cache or folder / "cache"), "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "providers.local.serving", *places], stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    until = time.monotonic() + 60
    while True:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            urllib.request.urlopen(f"{url}/healthz", timeout=5).close()
            break
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.05)
    try:
        with closing(OpenAICompatibleChat(f"{url}/v1", own=True)) as chat:
            yield Served(url, folder / "models", process, chat)
    finally:
        process.terminate()
        process.wait(20)
