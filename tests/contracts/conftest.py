"""Servers that nobody here wrote, and our own stand-in, on free ports of this machine; ended by their ids."""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contracts.openai_spec import SPEC
from tests.contracts.stand_in import StandIn

HERE = Path(__file__).parent
AIMOCK = HERE / "node_modules/@copilotkit/aimock/dist/cli.js"
PRISM = HERE / "node_modules/@stoplight/prism-cli/dist/index.js"
FIXTURES = {
    "fixtures": [
        {"match": {"userMessage": "What is the capital of France?"}, "response": {"content": "Paris, of course."}}
    ]
}


@contextmanager
def node(script: Path, *arguments: str, port: int) -> Iterator[None]:
    """A Node.js server, ready on `port`."""
    if not script.is_file():
        pytest.fail(f"{script} is missing. Install it: npm install --prefix tests/contracts", pytrace=False)
    server = subprocess.Popen(["node", script, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        _until_ready(server, port)
        yield
    finally:
        server.kill()
        server.communicate()


def _until_ready(server: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if server.poll() is not None or time.monotonic() > until:
                server.kill()
                output, _ = server.communicate()
                pytest.fail(f"The server did not start: {output.decode()[-2000:]}")
            time.sleep(0.05)
        else:
            return


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def prism(*arguments: str) -> Iterator[str]:
    """Prism over the official description; its base URL."""
    port = free_port()
    command, *rest = arguments
    with node(PRISM, command, "--host", "127.0.0.1", "--port", str(port), "--errors", str(SPEC), *rest, port=port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def aimock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """aimock's base URL. A job of it moves on with each retrieve."""
    fixtures = tmp_path_factory.mktemp("aimock") / "fixtures.json"
    fixtures.write_text(json.dumps(FIXTURES))
    port = free_port()
    with node(AIMOCK, "--port", str(port), "--fixtures", str(fixtures), "--log-level", "warn", port=port):
        yield f"http://127.0.0.1:{port}/v1"


@pytest.fixture(scope="session")
def prism_mock() -> Iterator[str]:
    """Answers from the official description's examples; refuses what does not fit it."""
    with prism("mock") as url:
        yield url


@pytest.fixture(scope="session")
def prism_aimock(aimock: str) -> Iterator[str]:
    """aimock behind the official description: both ways are checked."""
    with prism("proxy", aimock) as url:
        yield url


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """Our own stand-in; its jobs move on by hand."""
    with StandIn(pace="hand") as server:
        yield server


@pytest.fixture
def prism_for() -> Iterator[Callable[[str], str]]:
    """Put the official description in front of a server: `prism_for(url)` is the address to ask."""
    running = []

    def start(upstream: str) -> str:
        proxy = prism("proxy", upstream)
        url = proxy.__enter__()
        running.append(proxy)
        return url

    yield start
    for proxy in running:
        proxy.__exit__(None, None, None)
