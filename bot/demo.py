"""`finetune-bot demo`: a person of the local workspace plays the main job; the channel is printed as it happens.

Nothing here reaches into the bot: files are attached, commands typed, forms filled and buttons clicked through
the workspace's own face, as a browser would; the answers are read from the channel.
"""

import json
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot import transcript
from bot.launch import Installation
from bot.sandbox.driver import Person
from workers.errors import FinetuneBotError

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
FILES = ("cookbook_recipe_training.jsonl", "cookbook_recipe_validation.jsonl")
CHANNEL = "#finetuning"
QUESTIONS = (
    (
        'Title: Tomato Salad\n\nIngredients: ["4 ripe tomatoes, sliced", "1/2 c. olive oil", '
        '"2 Tbsp. red wine vinegar", "1 tsp. salt", "1/4 c. chopped fresh basil"]\n\nGeneric ingredients: '
    ),
    (
        'Title: Banana Pancakes\n\nIngredients: ["2 ripe bananas, mashed", "1 1/2 c. flour", "2 eggs", "1 c. milk", '
        '"1 tsp. baking powder"]\n\nGeneric ingredients: '
    ),
)
PATIENCE_SECONDS = 60.0
TRAINING_SECONDS = 3600.0
BAD_ENDS = (": Failed", ": Cancelled")
"""How a card's text ends where no model comes any more."""
_KEY = re.compile(r"(ftb-[\w-]{4})[\w-]+")
"""A key is for the person who asked, not for whoever reads the console."""


class DemoFailed(FinetuneBotError):
    """The demo did not get where it should; the message says at what."""


@dataclass
class Printer:
    """Prints each change of the channel once, as text; edits in place as one line."""

    quiet: bool
    names: dict[str, str] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    shown: dict[str, str] = field(default_factory=dict)

    def line(self, text: str = "") -> None:
        """One line, with the seconds since the start."""
        stream = sys.stderr if self.quiet else sys.stdout
        print(f"{time.monotonic() - self.began:6.1f}  {text}" if text else "", file=stream, flush=True)

    def message(self, message: dict[str, Any], who: str) -> None:
        """A message that is new, or has been edited."""
        text = "\n".join(transcript.lines(message)).strip()
        text = re.sub(r"<@(\w+)>", lambda found: f"@{self.names.get(found[1], found[1])}", text)
        text = _KEY.sub("\\1…", text)
        key = message["ts"]
        if not text or self.shown.get(key) == text or message.get("streaming"):
            return
        before = self.shown.get(key)
        self.shown[key] = text
        indent = "    ↳ " if message.get("thread_ts") not in {None, key} else ""
        if before is not None:
            old = set(before.splitlines())
            changed = [line for line in text.splitlines() if line not in old]
            if changed:
                self.line(f"{indent}  ~ {' · '.join(changed[:3])}")
            return
        self.line(f"{indent}{who}")
        for line in text.splitlines():
            self.line(f"{indent}  {line}")


@contextmanager
def _watched(person: Person, printer: Printer) -> Iterator[None]:
    """Print the channel's changes in a thread for the length of the block."""
    printer.names = {user["id"]: user["real_name"] for user in person.state()["users"]}

    def follow() -> None:
        for event in person.live():
            if event["type"] in {"message_posted", "message_updated", "ephemeral_posted"}:
                message = event["message"]
                printer.message(message, printer.names.get(message.get("user", ""), "Finetune Bot"))

    thread = threading.Thread(target=follow, name="transcript", daemon=True)
    thread.start()
    yield


def play(*, as_json: bool = False, keep: bool = False) -> dict[str, Any]:
    """Play the whole job in a fresh folder; returns (and prints, if asked) its figures. Raises DemoFailed.

    The folder goes afterwards, unless it is to be kept or the demo broke: its logs say why.
    """
    printer = Printer(quiet=as_json)
    room = Path(tempfile.mkdtemp(prefix="finetune-bot-demo-"))
    try:
        with Installation(home=room, sandbox_port=0, free_ports=True) as installation:
            printer.line(f"Everything is up: {', '.join(installation.names())}")
            figures = _Play(installation, printer).all()
    except Exception:
        keep = True
        raise
    finally:
        if keep:
            printer.line(f"Kept, with its logs: {room}")
        else:
            shutil.rmtree(room, ignore_errors=True)
    figures["seconds"]["whole"] = round(time.monotonic() - printer.began, 1)
    if as_json:
        print(json.dumps(figures, ensure_ascii=False), flush=True)
    else:
        base, tuned = figures["base"], figures["tuned"]
        printer.line()
        printer.line(
            f"Done in {figures['seconds']['whole']:.0f} s: set F1 {base['f1']:.2f} -> {tuned['f1']:.2f} "
            f"on {figures['examples']['test']} held-out examples."
        )
        printer.line("Keep it running and try it by hand: make run")
    return figures


class _Play:
    """The acts, in order; each waits for what a person would see before the next begins."""

    def __init__(self, installation: Installation, printer: Printer) -> None:
        self.installation = installation
        self.printer = printer
        self.person = Person(installation.sandbox_url, "Tuner")
        self.seconds: dict[str, float] = {}

    def all(self) -> dict[str, Any]:
        with _watched(self.person, self.printer):
            self._timed("check", self._attach)
            card_ts = self._timed("start", self._start)
            self._timed("training", lambda: self._train(card_ts))
            summary = self._timed("evaluation", lambda: self._evaluated(card_ts))
            self._timed("chat", lambda: self._chat(card_ts))
            self._timed("http", lambda: self._over_http(card_ts))
        return {**summary, "seconds": {**summary.get("seconds", {}), **self.seconds}}

    def _timed(self, stage: str, act: Callable[[], Any]) -> Any:
        began = time.monotonic()
        result = act()
        self.seconds[stage] = round(time.monotonic() - began, 1)
        return result

    def _attach(self) -> str:
        """Both files on one message; ends when the report is in its thread, with its button."""
        self.printer.line(f"Tuner attaches {' and '.join(FILES)}")
        ts = self.person.say(
            CHANNEL, "Our recipes: learn from the first, test on the second.", [EXAMPLES / name for name in FILES]
        )
        self._wait(lambda: self._button(self._thread(ts), "start_from_report"), "the dataset report")
        return ts

    def _start(self) -> str:
        """`/finetune start`, the form as it opens, the confirmation; ends when the card is in the channel."""
        before = {message["ts"] for message in self.person.messages(CHANNEL)}
        self.printer.line("Tuner types /finetune start")
        self.person.command(CHANNEL, "/finetune", "start")
        form = self._wait(lambda: self._view("start_form"), "the form")
        self._show_view(form)
        self.person.submit(form, {})
        confirm = self._wait(lambda: self._view("confirm_start"), "the confirmation")
        self._show_view(confirm)
        self.person.submit(confirm, {})

        def card() -> str | None:
            fresh = [
                one for one in self.person.messages(CHANNEL) if one["ts"] not in before and not one.get("ephemeral")
            ]
            return next((one["ts"] for one in fresh if self._button([one], "run_cancel")), None)

        return str(self._wait(card, "the run's card"))

    def _train(self, card_ts: str) -> None:
        """Ends when the loss curve is in the run's thread."""

        def curve() -> bool:
            self._fail_early(card_ts)
            return any(
                file["name"].endswith(".png") for one in self._thread(card_ts) for file in one.get("files") or []
            )

        self._wait(curve, "the loss curve", TRAINING_SECONDS)

    def _evaluated(self, card_ts: str) -> dict[str, Any]:
        """Ends when the endpoint is posted; the figures are those of the run behind the card."""

        def endpoint() -> Any:
            self._fail_early(card_ts)
            return self._button(self._thread(card_ts), "endpoint_key")

        self._wait(endpoint, "the evaluation and the endpoint", TRAINING_SECONDS)
        return self.installation.figures()

    def _chat(self, card_ts: str) -> None:
        """Two replies in the run's thread; each ends when its streamed answer is complete."""
        for question in QUESTIONS:
            seen = {message["ts"] for message in self._thread(card_ts)}
            mine = self.person.say(CHANNEL, question, thread_ts=card_ts)

            def answered(seen: frozenset[str] = frozenset(seen | {mine})) -> Any:
                fresh = [one for one in self._thread(card_ts) if one["ts"] not in seen]
                return next((one for one in fresh if one.get("text") and self._button([one], "feedback")), None)

            self._wait(answered, "the tuned model's answer")

    def _over_http(self, card_ts: str) -> None:
        """The same endpoint, asked by the openai client with a key that was made by a click."""
        from openai import OpenAI

        button = self._button(self._thread(card_ts), "endpoint_key") or {}
        before = {one["ts"] for one in self._ephemerals()}
        self.person.click(button, "endpoint_key")
        told = self._wait(lambda: next((one for one in self._ephemerals() if one["ts"] not in before), None), "the key")
        text = "\n".join(transcript.lines(told))
        key, model = re.search(r"ftb-[A-Za-z0-9_-]+", text), re.search(r"(?i)model[^a-z0-9]+([a-z0-9-]+)", text)
        if key is None or model is None:
            raise DemoFailed("the message with the key names no key or no model")
        client = OpenAI(base_url=f"{self.installation.gateway_url}/v1", api_key=key[0])
        reply = client.chat.completions.create(model=model[1], messages=[{"role": "user", "content": QUESTIONS[0]}])
        self.printer.line(f"openai client, model {model[1]}: {reply.choices[0].message.content}")

    # what a person sees

    def _thread(self, ts: str) -> list[dict[str, Any]]:
        return self.person.thread(CHANNEL, ts)

    def _ephemerals(self) -> list[dict[str, Any]]:
        return [message for message in self.person.messages(CHANNEL) if message.get("ephemeral")]

    def _view(self, callback_id: str) -> dict[str, Any] | None:
        views = self.person.state()["views"]
        return views[-1] if views and views[-1].get("callback_id") == callback_id else None

    def _show_view(self, view: dict[str, Any]) -> None:
        for line in transcript.view_lines(view, {}):
            self.printer.line(f"  {line}")

    @staticmethod
    def _button(messages: list[dict[str, Any]], action: str) -> dict[str, Any] | None:
        """The first of the messages that has an element with this action id."""
        return next((one for one in messages if f'"{action}"' in json.dumps(one.get("blocks") or [])), None)

    def _fail_early(self, card_ts: str) -> None:
        """Raise DemoFailed with the words of the thread, once they say that the run has no good end any more."""
        thread = self._thread(card_ts)
        told = [one for one in thread if str(one.get("text")).startswith("❌") and one["ts"] != card_ts]
        ended = [one for one in thread if one["ts"] == card_ts and str(one.get("text")).endswith(BAD_ENDS)]
        if bad := [*told, *ended]:
            raise DemoFailed(" ".join(transcript.lines(bad[0])))

    def _wait(self, look: Callable[[], Any], what: str, patience: float = PATIENCE_SECONDS) -> Any:
        """Look until it is there. Raises DemoFailed with where to read on."""
        until = time.monotonic() + patience
        while time.monotonic() < until:
            found = look()
            if found:
                return found
            time.sleep(0.25)
        raise DemoFailed(f"waited {patience:.0f} s in vain for {what}; the logs are in {self.installation.logs}")
