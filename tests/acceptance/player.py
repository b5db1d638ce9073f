"""A person who plays the main job in a test, sees the channel, and waits for what should come."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot import transcript
from bot.sandbox.driver import Person

CHANNEL = "#finetuning"


@dataclass
class Player:
    """Acts in the local workspace at `url`, as a browser would."""

    url: str
    name: str = "Tuner"
    logs: Path | None = None
    person: Person = field(init=False)

    def __post_init__(self) -> None:
        self.person = Person(self.url, self.name)

    def attach(self, *files: Path | tuple[str, bytes], text: str = "Our data.") -> str:
        return self.person.say(CHANNEL, text, files=list(files))

    def report(self, ts: str, seconds: float = 60) -> dict[str, Any]:
        """The report in the thread of a message with files."""
        return self.wait(lambda: next((one for one in self.thread(ts) if is_ours(one)), None), "the report", seconds)

    def start(self, values: dict[str, Any] | None = None, report: dict[str, Any] | None = None) -> str:
        """Open the form (from a report's button if given), fill it in, confirm; returns the card's ts."""
        before = {one["ts"] for one in self.messages()}
        if report is not None:
            self.person.click(report, "start_from_report")
        else:
            self.person.command(CHANNEL, "/finetune", "start")
        form = self.view("start_form")
        self.person.submit(form, values or {})
        self.person.submit(self.view("confirm_start"), {})
        card = self.wait(
            lambda: next((one for one in self.messages() if one["ts"] not in before and has(one, "run_cancel")), None),
            "the card",
        )
        return str(card["ts"])

    def view(self, callback_id: str) -> dict[str, Any]:
        def top() -> dict[str, Any] | None:
            views = self.person.state()["views"]
            return views[-1] if views and views[-1].get("callback_id") == callback_id else None

        return self.wait(top, f"the form {callback_id}")

    def card(self, ts: str) -> str:
        return said(self.thread(ts)[0])

    def until_ready(self, card_ts: str, seconds: float = 240) -> None:
        def ready() -> bool:
            card = self.card(card_ts)
            if "Failed" in card or "Cancelled" in card:
                pytest.fail(f"The run ended badly:\n{card}\n{self.tail()}")
            return any(has(one, "endpoint_key") for one in self.thread(card_ts))

        self.wait(ready, "the endpoint", seconds)

    def ask(self, card_ts: str, question: str) -> dict[str, Any]:
        """A reply in the run's thread, and its complete answer."""
        seen = {one["ts"] for one in self.thread(card_ts)}
        seen.add(self.person.say(CHANNEL, question, thread_ts=card_ts))
        return self.wait(
            lambda: next((one for one in self.thread(card_ts) if one["ts"] not in seen and has(one, "feedback")), None),
            "the answer",
        )

    def thread(self, ts: str) -> list[dict[str, Any]]:
        return self.person.thread(CHANNEL, ts)

    def messages(self) -> list[dict[str, Any]]:
        return self.person.messages(CHANNEL)

    def private(self) -> list[dict[str, Any]]:
        """What only this person sees, oldest first."""
        return [one for one in self.messages() if one.get("ephemeral")]

    def wait(self, look: Callable[[], Any], what: str, seconds: float = 60) -> Any:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = look()
            if found:
                return found
            time.sleep(0.1)
        channel = "\n".join(f"  {one['ts']} {said(one)!r}" for one in self.messages()[-12:])
        return pytest.fail(f"Waited {seconds:.0f} s in vain for {what}.\n{channel}\n{self.tail()}")

    def tail(self) -> str:
        """The last lines of every process's log."""
        if self.logs is None:
            return ""
        parts = [
            f"--- {path.name}\n{path.read_text(errors='replace')[-1500:]}" for path in sorted(self.logs.glob("*.log"))
        ]
        return "\n".join(parts)


def has(message: dict[str, Any], action_id: str) -> bool:
    return f'"{action_id}"' in json.dumps(message.get("blocks") or [])


def said(message: dict[str, Any]) -> str:
    return "\n".join(transcript.lines(message))


def is_ours(message: dict[str, Any]) -> bool:
    return bool(message.get("bot_id"))
