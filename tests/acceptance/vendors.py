"""What the stories about vendors share: installations beside a stand-in, credentials, forms, and a transcript."""

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from openai import OpenAI
from sqlmodel import select

from bot import transcript
from bot.demo import Printer
from bot.launch import Installation
from bot.sandbox import Sandbox
from tests.acceptance.player import CHANNEL, Player, has, said
from workers.tables import ChatThread, Run

ROOT = Path(__file__).parents[2]
RECIPES = (
    ROOT / "examples/cookbook_recipe_training.jsonl",
    ROOT / "examples/cookbook_recipe_validation.jsonl",
)
DATA = ROOT / "tests/data"
QUICK = {
    "FINETUNE_BOT_CARD_SECONDS": "0.2",
    "FINETUNE_BOT_POLL_SECONDS": "0.1",
    "FINETUNE_BOT_LEASE_SECONDS": "6",
    "FINETUNE_BOT_TODAY": "2026-11-25",
}


@contextmanager
def installed(
    home: Path,
    transcript_of: Path,
    env: Mapping[str, str],
    *,
    database_url: str = "",
    sandbox: Sandbox | None = None,
) -> Iterator["Customer"]:
    """A whole installation, and a person who uses it; what they see is added to a file as it happens.

    With a workspace of the caller's own, an installation can come back to what it left there.
    """
    env = {**QUICK, **env}
    with (
        Installation(home, free_ports=True, env=env, database_url=database_url, sandbox=sandbox) as running,
        transcript_of.open("a") as out,
    ):
        customer = Customer(running.sandbox_url, logs=running.logs)
        customer.installation, customer.out = running, out
        with customer.watched():
            yield customer
        calls = customer.person.journal(kind="call")
        assert [call for call in calls if call.get("problems")] == []  # Slack would have refused these


class _Transcript(Printer):
    """A printer of the channel into a file."""

    def __init__(self, out: TextIO, names: dict[str, str]) -> None:
        super().__init__(quiet=True, names=names)
        self._out = out

    def line(self, text: str = "") -> None:
        print(f"{time.monotonic() - self.began:6.1f}  {text}", file=self._out, flush=True)


class Customer(Player):
    """A player who brings credentials and pays for models."""

    installation: Installation
    out: TextIO

    @contextmanager
    def watched(self) -> Iterator[None]:
        """The channel goes into the transcript for the length of the block."""
        names = {user["id"]: user["real_name"] for user in self.person.state()["users"]}
        printer = _Transcript(self.out, names)

        def follow() -> None:
            for event in self.person.live():
                if event["type"] in {"message_posted", "message_updated", "ephemeral_posted"}:
                    message = event["message"]
                    private = " (only you see this)" if message.get("ephemeral") else ""
                    printer.message(message, names.get(message.get("user", ""), "Finetune Bot") + private)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.person.hang_up()
            thread.join(10)

    def note(self, text: str) -> None:
        """A line of the transcript about what this person does."""
        print(f"--- {text}", file=self.out, flush=True)

    def submit(self, view: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        """Submit a form, which the transcript shows."""
        by_block = {block["block_id"]: block.get("element", {}).get("action_id", "") for block in view["blocks"]}
        typed = {name: {by_block[name]: value} for name, value in values.items()}
        print("\n".join(transcript.view_lines(view, typed)), file=self.out, flush=True)
        return self.person.submit(view, values)

    def click(self, shown: Mapping[str, Any], action_id: str, **chosen: Any) -> None:
        """Click what must be there, and be answered."""
        self.note(f"clicks {action_id}")
        answer = self.person.click(shown, action_id, **chosen)
        assert not answer.get("error"), answer

    def enter_keys(self, provider: str, values: Mapping[str, str]) -> str:
        """Enter credentials by the form; what one is told in the end."""
        before = len(self.private())
        self.note("types /finetune keys")
        self.person.command(CHANNEL, "/finetune", "keys")
        shown = self.wait(lambda: next((one for one in self.private()[before:] if has(one, "keys_enter")), None), "it")
        block = next(one for one in shown["blocks"] if "keys_enter" in str(one) and f"'{provider}'" in str(one))
        self.click(shown, "keys_enter", block_id=block["block_id"])
        before = len(self.private())
        answer = self.submit(self.view("keys_form"), values)
        assert not answer.get("errors"), answer
        told = self.wait(
            lambda: next((one for one in self.private()[before:] if "these credentials" in one["text"]), None),
            "the outcome",
        )
        return said(told)

    def ready(self, ts: str) -> dict[str, Any]:
        """The report in the thread of a message with files, when something can be started from it."""
        return dict(
            self.wait(
                lambda: next((one for one in self.thread(ts) if has(one, "start_from_report")), None), "the report"
            )
        )

    def open_form(self, provider: str, report: dict[str, Any] | None = None) -> dict[str, Any]:
        """The start form, drawn for this provider."""
        if report is not None:
            self.click(report, "start_from_report")
        else:
            self.note("types /finetune start")
            self.person.command(CHANNEL, "/finetune", "start")
        form = self.view("start_form")
        if _chosen(form, "provider") != provider:
            self.note(f"chooses {provider}")
            self.person.click(form, _element(form, "provider")["action_id"], block_id="provider", value=provider)
            form = self.wait(
                lambda: next(
                    (
                        one
                        for one in self.person.state()["views"][-1:]
                        if one.get("callback_id") == "start_form" and _chosen(one, "provider") == provider
                    ),
                    None,
                ),
                f"the form of {provider}",
            )
        return dict(form)

    def plan(self, form: Mapping[str, Any], values: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Submit the start form; the plan."""
        answer = self.submit(form, values or {})
        assert not answer.get("errors"), answer
        return dict(self.view("confirm_start"))

    def confirm(self, plan: Mapping[str, Any]) -> str:
        """Start; the new card's ts."""
        before = {one["ts"] for one in self.messages()}
        answer = self.submit(plan, {})
        assert not answer.get("errors"), answer
        found = self.wait(
            lambda: next((one for one in self.messages() if one["ts"] not in before and "Run " in said(one)), None),
            "the card",
        )
        return str(found["ts"])

    def until_card(self, card_ts: str, pattern: str, seconds: float = 60) -> str:
        """The card, as soon as it says this."""
        return str(
            self.wait(
                lambda: (text := self.card(card_ts)) if re.search(pattern, self.card(card_ts)) else "",
                f"“{pattern}” on the card",
                seconds,
            )
        )

    def told(self, ts: str, pattern: str, seconds: float = 60) -> dict[str, Any]:
        """A message in a thread that says this."""
        return dict(
            self.wait(
                lambda: next((one for one in self.thread(ts)[1:] if re.search(pattern, said(one))), None),
                f"“{pattern}” in the thread",
                seconds,
            )
        )

    def privately(self, pattern: str, before: int, seconds: float = 60) -> dict[str, Any]:
        """What only this person is told, anywhere in the channel."""
        return dict(
            self.wait(
                lambda: next((one for one in self.secrets()[before:] if re.search(pattern, said(one))), None),
                f"“{pattern}”, privately",
                seconds,
            )
        )

    def secrets(self) -> list[dict[str, Any]]:
        """All that only this person sees, in threads, too; oldest first."""
        channel = self.person.channel_id(CHANNEL)
        return [one for one in self.person.state()["messages"][channel] if one.get("ephemeral")]

    def endpoint(self, card_ts: str) -> dict[str, Any]:
        """The endpoint's message in the run's thread."""
        return next(one for one in self.thread(card_ts) if has(one, "endpoint_key"))

    def api(self, card_ts: str) -> tuple[OpenAI, str]:
        """A client of the gateway with a new key to the run's endpoint, and the model's name."""
        before = len(self.secrets())
        self.click(self.endpoint(card_ts), "endpoint_key")
        words = said(self.privately("ftb-", before))
        key, model = re.search(r"ftb-[\w-]+", words), re.search(r"model: `?([^\s`]+)", words)
        assert key
        assert model
        return OpenAI(base_url=f"{self.installation.gateway_url}/v1", api_key=key[0], max_retries=0), model[1]

    def curve(self, card_ts: str) -> bytes:
        """The picture of the run's losses."""

        def found() -> Any:
            files = [file for one in self.thread(card_ts) for file in one.get("files") or []]
            return next((one for one in files if one["name"].startswith("loss-curve")), None)

        return self.person.download(self.wait(found, "the loss curve"))

    def is_bound(self, thread_ts: str) -> bool:
        """Whether a model answers in this thread."""
        db = self.installation.database()
        with db.read() as session:
            found = session.exec(select(ChatThread).where(ChatThread.thread_ts == thread_ts)).first()
        db.dispose()
        return found is not None

    def run(self, number: int = 1) -> Run:
        """A run as the database has it."""
        db = self.installation.database()
        with db.read() as session:
            found = session.exec(select(Run).where(Run.id == number)).one()
        db.dispose()
        return found


def _element(form: Mapping[str, Any], block_id: str) -> dict[str, Any]:
    return dict(next(block["element"] for block in form["blocks"] if block.get("block_id") == block_id))


def _chosen(form: Mapping[str, Any], block_id: str) -> str:
    return str(_element(form, block_id)["initial_option"]["value"])
