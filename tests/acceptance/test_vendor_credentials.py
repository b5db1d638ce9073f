"""Vendor credentials in a whole installation: entered, checked by its cloud worker, told; nowhere to be read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.launch import Installation
from tests.acceptance.player import CHANNEL, Player
from tests.models_server import ModelsServer

KEY = "Canary0123456789OfNoKnownShape"


@pytest.fixture
def vendor() -> Iterator[ModelsServer]:
    with ModelsServer(KEY) as server:
        yield server


@pytest.fixture
def installed(home: Path, vendor: ModelsServer) -> Iterator[Installation]:
    with Installation(home, free_ports=True, env={"FINETUNE_BOT_OPENAI_URL": vendor.url}) as running:
        yield running


def enter(player: Player, key: str) -> dict[str, Any]:
    """Enter a key in the form; returns what the person is told in the end."""
    player.person.command(CHANNEL, "/finetune", "keys")
    shown = player.wait(lambda: next((one for one in reversed(player.private()) if len(one["blocks"]) > 5), None), "it")
    block = next(one for one in shown["blocks"] if "keys_enter" in str(one) and "'openai'" in str(one))
    player.person.click(shown, "keys_enter", block_id=block["block_id"])
    before = len(player.private())
    player.person.submit(player.view("keys_form"), {"api_key": key})

    def outcome() -> dict[str, Any] | None:
        return next((one for one in player.private()[before:] if "these credentials" in one["text"]), None)

    return dict(player.wait(outcome, "the outcome"))


def test_a_key_is_checked_and_can_be_read_nowhere(installed: Installation, vendor: ModelsServer, home: Path):
    player = Player(installed.sandbox_url, logs=installed.logs)
    assert "OpenAI takes these credentials" in enter(player, KEY)["text"]
    assert vendor.asked[0] == ("/v1/models", f"Bearer {KEY}")
    assert "cannot be used with these credentials" in enter(player, "CanaryOfNobody")["text"]
    everywhere = [path for path in home.rglob("*") if path.is_file()]
    assert {"finetune-bot.db", "vault.keys"} <= {path.name for path in everywhere}
    assert any(path.suffix == ".log" and path.stat().st_size for path in everywhere)
    assert [path.name for path in everywhere if b"Canary" in path.read_bytes()] == []
