"""Announcements become Slack messages: once, in order, edited in place, whatever goes wrong on the way."""

import time
from collections.abc import Callable, Iterator

import pytest
from slack_sdk import WebClient
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from bot import notifier
from bot.deliver import deliver
from bot.sandbox.driver import Person
from tests.acceptance.player import said
from workers import announcements
from workers.context import Context
from workers.plans.plan import Choices
from workers.tables import Announcement, AnnouncementStatus, Dataset, Owned, Run, RunMetric

CHANNEL = "#finetuning"


@pytest.fixture
def send(context: Context, client: WebClient) -> Callable[[], int]:
    """Deliver what is due; returns how many."""

    def once() -> int:
        with context.db.write() as session:
            due = announcements.take_due(session, 60.0)
        for claimed in due:
            deliver(context, client, claimed)
        return len(due)

    return once


@pytest.fixture
def notify(context: Context, client: WebClient) -> Callable[[], int]:
    """Send what is due as the notifier's loop does; returns how many."""

    def once() -> int:
        with context.db.write() as session:
            due = announcements.take_due(session, 60.0)
        for claimed in due:
            notifier.send(context, client, claimed)
        return len(due)

    return once


@pytest.fixture
def row(context: Context) -> Callable[[Announcement], Announcement]:
    def look(known: Announcement) -> Announcement:
        with context.db.read() as session:
            return session.get_one(Announcement, known.id)

    return look


@pytest.fixture
def soon(context: Context) -> Callable[[], None]:
    """Let the time until the next attempt pass."""

    def skip() -> None:
        with context.db.write() as session:
            session.execute(update(Announcement).values(not_before=0.0))

    return skip


@pytest.fixture(autouse=True)
def _acceptable(person: Person) -> Iterator[None]:
    """Whatever a test makes the bot send, Slack would take it."""
    yield
    assert [call for call in person.journal(kind="call") if call.get("problems")] == []


def texts(person: Person, word: str) -> list[str]:
    return [said(one) for one in person.messages(CHANNEL) if word in said(one)]


def test_a_note_is_posted_once(want, send, person: Person, row):
    note = want("n1", "note", data={"text": "hello once"})
    assert send() == 1
    assert send() == 0
    assert texts(person, "hello once") == ["hello once"]
    assert row(note).status is AnnouncementStatus.SENT


def test_a_new_revision_edits_the_same_message(want, send, person: Person):
    want("n2", "note", data={"text": "edited before"})
    send()
    want("n2", "note", data={"text": "edited after"})
    send()
    assert texts(person, "edited") == ["edited after"]


def test_an_unchanged_revision_costs_no_call(want, send, person: Person):
    want("n3", "note", data={"text": "the same"})
    send()
    before = len(person.journal(kind="call"))
    want("n3", "note", data={"text": "the same"})
    assert send() == 1
    assert len(person.journal(kind="call")) == before


def test_a_reply_waits_for_its_root(want, send, person: Person):
    want("root", "note", data={"text": "a root"})
    want("reply", "note", data={"text": "a reply"}, thread_slot="root")
    assert send() == 1
    assert send() == 1
    root = next(one for one in person.messages(CHANNEL) if said(one) == "a root")
    assert [said(one) for one in person.thread(CHANNEL, root["ts"])] == ["a root", "a reply"]


def test_a_lost_answer_is_adopted_not_posted_again(want, send, soon, person: Person, row):
    person.fault(method="chat.postMessage", kind="drop_response", times=1)
    note = want("n4", "note", data={"text": "posted blindly"})
    send()
    assert row(note).status is AnnouncementStatus.PENDING
    person.clear_faults()
    soon()
    send()
    assert row(note).status is AnnouncementStatus.SENT
    assert row(note).ts
    assert texts(person, "posted blindly") == ["posted blindly"]


def test_being_limited_is_waited_for(want, send, soon, person: Person, row):
    person.fault(method="chat.postMessage", kind="ratelimited", retry_after=7)
    note = want("n5", "note", data={"text": "patience"})
    send()
    assert row(note).not_before > note.created_at + 5
    assert send() == 0
    soon()
    send()
    assert texts(person, "patience") == ["patience"]


def looked_up(person: Person) -> int:
    return sum(call["method"].startswith("conversations.") for call in person.journal(kind="call"))


def test_being_limited_is_no_doubt(want, send, soon, person: Person):
    """Nothing went out, so nothing is looked for in the thread."""
    person.fault(method="chat.postMessage", kind="ratelimited", times=2)
    want("n5b", "note", data={"text": "no doubt"})
    before = looked_up(person)
    for _ in range(3):
        send()
        soon()
    assert texts(person, "no doubt") == ["no doubt"]
    assert looked_up(person) == before


@pytest.mark.parametrize(
    "fault", [{"kind": "status", "status": 503}, {"kind": "error", "error": "internal_error"}, {"kind": "ratelimited"}]
)
def test_an_outage_of_slack_is_outlasted(want, send, soon, person: Person, row, fault: dict):
    person.fault(method="*", times=40, **fault)
    note = want("n5c", "note", data={"text": "after the outage"})
    for _ in range(announcements.MOST_ATTEMPTS + 8):
        assert send() == 1
        soon()
    assert row(note).status is AnnouncementStatus.PENDING
    person.clear_faults()
    send()
    assert texts(person, "after the outage") == ["after the outage"]


def test_a_network_that_is_away_is_outlasted(want, soon, context: Context, client: WebClient, person: Person, row):
    note = want("n5d", "note", data={"text": "after the network"})
    unplugged = WebClient(token=client.token, base_url="http://127.0.0.1:9/api/", retry_handlers=[])
    for place in [unplugged] * (announcements.MOST_ATTEMPTS + 8) + [client]:
        with context.db.write() as session:
            (claimed,) = announcements.take_due(session, 60.0)
        deliver(context, place, claimed)
        assert row(note).not_before <= time.time() + 301
        soon()
    assert texts(person, "after the network") == ["after the network"]


def test_what_cannot_be_drawn_is_given_up_and_lets_its_thread_go_on(want, soon, notify, person: Person, row):
    want("troubled", "note", data={"text": "a troubled root"})
    broken = want("broken", "run_card", subject_id=4711, thread_slot="troubled")
    want("behind", "note", data={"text": "behind it"}, thread_slot="troubled")
    for _ in range(announcements.MOST_ATTEMPTS + 2):
        notify()
        soon()
    assert row(broken).status is AnnouncementStatus.DEAD
    assert row(broken).problem == "could not be drawn"
    assert texts(person, "a troubled root")
    root = next(one for one in person.messages(CHANNEL) if said(one) == "a troubled root")
    assert [said(one) for one in person.thread(CHANNEL, root["ts"])] == ["a troubled root", "behind it"]


def test_a_database_that_goes_away_in_the_middle_leaves_the_notifier_alive(
    want, notify, context: Context, person: Person, monkeypatch: pytest.MonkeyPatch
):
    def away(*_given: object) -> None:
        raise OperationalError("UPDATE announcement", {}, Exception("database is locked"))

    want("unlucky", "note", data={"text": "left to its claim"})
    person.fault(method="chat.postMessage", kind="error", error="some_word")
    with monkeypatch.context() as patched:
        patched.setattr(announcements, "failed", away)
        assert notify() == 1
    with context.db.write() as session:
        session.execute(update(Announcement).values(lease_until=0.0))
    assert notify() == 1
    assert texts(person, "left to its claim") == ["left to its claim"]


def test_a_card_that_was_deleted_is_posted_anew_and_its_thread_goes_on(
    want, send, client: WebClient, owner: Owned, person: Person, row
):
    card = want("card-gone", "note", data={"text": "a card, first"})
    send()
    client.chat_delete(channel=owner.channel_id, ts=row(card).ts)
    want("card-gone", "note", data={"text": "a card, second"})
    want("card-reply", "note", data={"text": "under the card"}, thread_slot="card-gone")
    for _ in range(3):
        send()
    assert texts(person, "a card, ") == ["a card, second"]
    assert [said(one) for one in person.thread(CHANNEL, row(card).ts)] == ["a card, second", "under the card"]


@pytest.mark.parametrize("error", ["channel_not_found", "is_archived", "not_in_channel"])
def test_the_hopeless_is_given_up(want, send, person: Person, row, error: str):
    person.fault(method="chat.postMessage", kind="error", error=error)
    note = want(f"n6-{error}", "note", data={"text": "nowhere"})
    send()
    assert row(note).status is AnnouncementStatus.DEAD
    assert row(note).problem == error


def test_refused_blocks_are_told_as_text(want, send, person: Person):
    person.fault(method="chat.postMessage", kind="error", error="invalid_blocks")
    want("n7", "problem", data={"title": "Broken", "text": "plain words", "error_id": "abc"})
    send()
    found = next(one for one in person.messages(CHANNEL) if "plain words" in one["text"])
    assert not found.get("blocks")
    assert "abc" in found["text"]


def test_the_metadata_says_the_id_and_nothing_else(want, send, person: Person):
    note = want("n8", "note", data={"text": "with metadata"})
    send()
    call = next(
        one
        for one in reversed(person.journal(kind="call"))
        if one["method"] == "chat.postMessage" and "with metadata" in str(one["request"])
    )
    assert f"{{'id': {note.id}}}" in str(call["request"]["metadata"]).replace('"', "'")
    assert call["request"]["unfurl_links"] in {False, "false", "0"}


@pytest.fixture
def run(context: Context, owner: Owned) -> Run:
    with context.db.write() as session:
        dataset = Dataset(
            **owner.model_dump(exclude={"id"}), name="d.jsonl", sha256="0", storage_key="k", format="openai-chat",
            method="sft", examples=10, trainable=True,
        )  # fmt: skip
        session.add(dataset)
        session.flush()
        made = Run(
            **owner.model_dump(exclude={"id"}), name="<!channel> *run*", request_key="r", dataset_id=dataset.id,
            provider="local", base_model="m", method="sft", plan=Choices(dataset_id=dataset.id).to_json(),
        )  # fmt: skip
        session.add(made)
        session.flush()
        for step in range(1, 30):
            session.add(RunMetric(run_id=made.id, step=step, loss=2.0 / step))
        return made


def test_a_picture_is_uploaded_once_even_if_the_answer_is_lost(want, send, soon, person: Person, run: Run, row):
    person.fault(method="files.completeUploadExternal", kind="drop_response", times=1)
    curve = want("curve", "loss_curve", subject_id=run.id)
    send()
    person.clear_faults()
    soon()
    send()
    assert row(curve).status is AnnouncementStatus.SENT
    pictures = [
        file for one in person.messages(CHANNEL) for file in one.get("files") or [] if f"-{run.id}.png" in file["name"]
    ]
    assert len(pictures) == 1
    assert person.download(pictures[0]).startswith(b"\x89PNG")


def test_a_card_pings_nobody(want, send, person: Person, run: Run):
    want("card", "run_card", subject_id=run.id)
    send()
    card = next(one for one in person.messages(CHANNEL) if f"Run {run.id} by" in str(one.get("blocks")))
    assert "<!channel>" not in str(card)
