"""A whole installation with a local workspace and a tiny model, shared by the tests of a module."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bot.launch import Installation
from tests.acceptance.player import Player
from tests.tiny_model import make

COLOURS = ("red", "green", "blue", "white", "black", "amber", "violet", "grey")


def examples(count: int, *, start: int = 0) -> bytes:
    """A toy task: list the colours of a sentence."""
    lines = []
    for number in range(start, start + count):
        pair = [COLOURS[number % 8], COLOURS[(number // 8 + number) % 8]]
        question = f"Flag {number} is {pair[0]} and {pair[1]}."
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": json.dumps(pair)}]
        lines.append(json.dumps({"messages": messages}))
    return ("\n".join(lines) + "\n").encode()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The real model first: while it computes, the stories after it wait for their vendors."""
    items.sort(key=lambda item: item.get_closest_marker("real_model") is None)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny base model."""
    return make(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """An installation's folder, with a short name, as it holds a unix socket."""
    folder = Path(tempfile.mkdtemp(prefix="ftb-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the installation's tables are; empty: in its own folder. Nothing is migrated yet."""
    if request.param == "sqlite":
        yield ""
        return
    server = request.getfixturevalue("postgresql")
    name = f"acceptance_{os.urandom(6).hex()}"
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield server.get_uri(name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def installation(home: Path, tiny_model: Path, database_url: str) -> Iterator[Installation]:
    """Everything up, with the embedded Valkey; files over 20,000 bytes are too large."""
    env = {
        "FINETUNE_BOT_BASE_MODEL": str(tiny_model),
        "FINETUNE_BOT_MAX_UPLOAD_BYTES": "20000",
        "FINETUNE_BOT_CARD_SECONDS": "1",
        "FINETUNE_BOT_LEASE_SECONDS": "6",
    }
    with Installation(home, free_ports=True, env=env, database_url=database_url) as running:
        yield running


@pytest.fixture
def player(installation: Installation) -> Player:
    return Player(installation.sandbox_url, logs=installation.logs)
