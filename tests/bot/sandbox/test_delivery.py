"""Events over Socket Mode: what is told, once or again, and what happens while the bot is away."""

import queue
import time
from collections.abc import Iterator
from typing import Any

import pytest
from slack_bolt import App

from bot.sandbox import Sandbox
from bot.sandbox.driver import Person

Json = dict[str, Any]
FINETUNING = "C0FINETUNE1"


class Ears:
    """A Bolt app that notes every event with its retry number."""

    def __init__(self, client) -> None:
        self.heard: queue.Queue[Json] = queue.Queue()
        self.deaf = 0
        self.app = App(client=client, process_before_response=True)

        @self.app.middleware
        def note(body, next):  # noqa: A002 -- Bolt's name
            if self.deaf:
                self.deaf -= 1
                raise RuntimeError("deaf")
            self.heard.put(body)
            next()

        @self.app.error
        def silent(error):
            assert str(error) == "deaf"

        for kind in ("message", "app_mention", "file_shared", "reaction_added", "app_home_opened"):
            self.app.event(kind)(lambda: None)

    def events(self, count: int) -> list[Json]:
        return [self.heard.get(timeout=6)["event"] for _ in range(count)]

    def rest(self) -> list[Json]:
        time.sleep(0.3)
        return [self.heard.get()["event"] for _ in range(self.heard.qsize())]


@pytest.fixture(scope="module")
def place(connected, new_client) -> Iterator[tuple[Sandbox, Ears]]:
    with Sandbox(retry_seconds=(0.0, 0.1), ack_seconds=0.5) as sandbox:
        ears = Ears(new_client(sandbox))
        with connected(sandbox, ears.app):
            yield sandbox, ears


@pytest.fixture
def ears(place: tuple[Sandbox, Ears]) -> Ears:
    place[1].rest()
    return place[1]


@pytest.fixture
def person(place: tuple[Sandbox, Ears]) -> Person:
    return Person(place[0].url, "Tuner")


def test_a_message_a_mention_a_file_and_a_reaction(ears: Ears, person: Person) -> None:
    bot = person.state()["workspace"]["bot_user_id"]
    ts = person.say("#finetuning", f"<@{bot}> look", [("a.jsonl", b"{}\n")])
    told = {event["type"]: event for event in ears.events(3)}
    assert set(told) == {"message", "app_mention", "file_shared"}
    assert told["message"]["subtype"] == "file_share"
    assert told["message"]["channel_type"] == "channel"
    assert told["message"]["files"][0]["size"] == 3
    assert told["app_mention"]["ts"] == told["message"]["ts"] == ts
    assert told["file_shared"]["file_id"] == told["message"]["files"][0]["id"]
    person.react(person.messages("#finetuning")[-1], "eyes")
    assert ears.events(1)[0]["reaction"] == "eyes"


def delivered(person: Person) -> list[Json]:
    return [entry["request"]["event"] for entry in person.journal(kind="delivery") if entry["type"] == "events_api"]


def test_direct_messages_threads_and_the_bots_own(ears: Ears, person: Person, place, new_client, eventually) -> None:
    person.say("@bot", "in private")
    assert ears.events(1)[0]["channel_type"] == "im"
    client = new_client(place[0])
    own = client.chat_postMessage(channel=FINETUNING, text="mine")
    bot_id = own["message"]["bot_id"]  # Bolt drops its own
    eventually(lambda: bot_id in [event.get("bot_id") for event in delivered(person)])
    person.say("#finetuning", "a reply", thread_ts=own["ts"])
    event = ears.events(1)[0]
    assert (event["thread_ts"], event["parent_user_id"]) == (own["ts"], own["message"]["user"])
    client.chat_update(channel=FINETUNING, ts=own["ts"], text="ours")
    eventually(lambda: "message_changed" in [event.get("subtype") for event in delivered(person)])
    assert delivered(person)[-1]["previous_message"]["text"] == "mine"


def test_what_the_bot_does_not_see(ears: Ears, person: Person) -> None:
    person.say("#planning", "secret")
    assert ears.rest() == []


def test_somebody_from_elsewhere(ears: Ears, place) -> None:
    olga = Person(place[0].url, "Olga")
    olga.say("#finetuning", "", [("theirs.csv", b"1,2")])
    message = next(event for event in ears.events(2) if event["type"] == "message")
    assert message["user_team"] == message["source_team"] != message.get("context_team_id", "T00SANDBOX")
    assert message["files"][0]["file_access"] == "check_file_info"
    assert "url_private" not in message["files"][0]


def test_an_event_that_was_not_acked_comes_again(ears: Ears, person: Person, eventually) -> None:
    ears.deaf = 1
    person.say("#finetuning", "hello?")
    assert [event["text"] for event in ears.events(1)] == ["hello?"]

    def tries() -> list[Json]:
        return [one for one in person.journal(kind="delivery") if one["request"]["event"].get("text") == "hello?"]

    eventually(lambda: len(tries()) == 2)
    assert [one.get("retry_num") for one in tries()] == [None, 1]
    assert tries()[0]["error"] == "timeout"
    assert tries()[0]["request"]["event_id"] == tries()[1]["request"]["event_id"]


def test_redelivery_on_demand(ears: Ears, person: Person) -> None:
    person.fault(kind="redeliver", method="message", times=1)
    person.say("#finetuning", "twice")
    assert [event["text"] for event in ears.events(2)] == ["twice", "twice"]
    person.say("#finetuning", "once")
    ears.events(1)
    assert ears.rest() == []


def test_events_wait_for_a_bot_that_is_away(ears: Ears, person: Person) -> None:
    assert person.state()["connected"]
    person.fault(kind="disconnect", error="refresh_requested")
    person.say("#finetuning", "are you back?")
    assert person.command("#finetuning", "/finetune", "help")["error"].endswith('"dispatch_failed"')
    assert [event["text"] for event in ears.events(1)] == ["are you back?"]
    assert person.state()["connected"]
