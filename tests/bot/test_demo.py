"""The demo ends where the run ends badly, and leaves what explains it. (That it succeeds: tests/acceptance.)"""

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from slack_sdk import WebClient

from bot import demo
from bot.blocks import run_card, words
from bot.blocks.elements import Drawn
from bot.demo import DemoFailed, Printer
from bot.sandbox import Sandbox
from workers.errors import SetupProblem
from workers.plans.plan import Choices
from workers.run_status import RunStatus
from workers.tables import Owned, Run


@pytest.fixture
def post(client: WebClient, owner: Owned) -> Callable[..., str]:
    """Say something as the bot; returns its ts."""

    def say(drawn: Drawn, thread_ts: str | None = None) -> str:
        made = client.chat_postMessage(
            channel=owner.channel_id, text=drawn.text, blocks=drawn.blocks, thread_ts=thread_ts
        )
        return str(made["ts"])

    return say


def card(status: RunStatus, reason: str = "") -> Drawn:
    run = Run(
        id=1, team_id="T1", creator_id="U1", name="recipes-v1", request_key="r", dataset_id=1, provider="local",
        base_model="m", method="sft", plan=Choices(dataset_id=1).to_json(), status=status, status_reason=reason,
    )  # fmt: skip
    return run_card.draw(run)


@pytest.fixture
def follow(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Play the act in which the demo waits for a run's training."""
    monkeypatch.setattr(demo, "TRAINING_SECONDS", 1.0)
    installation: Any = SimpleNamespace(sandbox_url=sandbox.url, logs=Path("logs"))
    play = demo._Play(installation, Printer(quiet=True))
    return play._train


@pytest.mark.parametrize(
    "ended", [card(RunStatus.FAILED, "Out of memory: use less."), card(RunStatus.CANCELLED, "Cancelled at step 4.")]
)
def test_a_card_that_ended_badly_ends_the_demo_with_its_words(post, follow, ended: Drawn):
    with pytest.raises(DemoFailed, match=r"recipes-v1 · (Failed .*Out of memory|Cancelled .*at step 4)"):
        follow(post(ended))


@pytest.mark.parametrize("error_id", ["", "abc123"])
def test_a_problem_in_the_thread_ends_the_demo_with_its_words(post, follow, error_id: str):
    root = post(card(RunStatus.TRAINING))
    post(words.problem("recipes-v1 failed", "The disk is full.", error_id), root)
    with pytest.raises(DemoFailed, match="The disk is full"):
        follow(root)


def test_a_run_that_goes_on_is_waited_for(post, follow):
    root = post(card(RunStatus.TRAINING))
    post(words.note("Going on at step 30. Nothing is lost."), root)
    with pytest.raises(DemoFailed, match="waited 1 s in vain for the loss curve"):
        follow(root)


@pytest.fixture
def room_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """Play a demo on no real installation, with this outcome of its acts; returns its folder."""
    monkeypatch.setattr(demo.tempfile, "tempdir", str(tmp_path))

    class Pretended:
        def __init__(self, home: Path, **_more: Any) -> None:
            rooms.append(home)

        def __enter__(self) -> Any:
            (rooms[0] / "logs").mkdir()
            return self

        def __exit__(self, *_error: object) -> None:
            pass

        def names(self) -> list[str]:
            return []

    rooms: list[Path] = []

    def play(outcome: Callable[[], Any]) -> Path:
        monkeypatch.setattr(demo, "Installation", Pretended)
        monkeypatch.setattr(demo, "_Play", lambda *_given: SimpleNamespace(all=outcome))
        demo.play()
        return rooms[0]

    return play


def test_a_demo_that_breaks_keeps_its_logs_and_says_where(room_of, capsys):
    def breaks() -> None:
        raise SetupProblem("Not ready: bot.")

    with pytest.raises(SetupProblem):
        room_of(breaks)
    kept = re.search(r"Kept, with its logs: (\S+)", capsys.readouterr().out)
    assert kept
    assert Path(kept[1], "logs").is_dir()


def test_a_demo_that_succeeds_leaves_nothing(room_of):
    good = {"f1": 0.5}
    assert not room_of(lambda: {"seconds": {}, "base": good, "tuned": good, "examples": {"test": 1}}).exists()
