"""Threads as training data, read from a workspace: who is asked, what is kept, and what cannot be read."""

import json

import pytest
from sqlmodel import select

from bot import thread_import
from bot.blocks import thread_import as thread_import_blocks
from bot.sandbox.cast import TEAM_ID
from bot.sandbox.driver import Person
from workers import consents
from workers.errors import UserError
from workers.jobs import runner
from workers.rights import Actor
from workers.tables import Consent, ImportStatus, Task, TaskStatus, ThreadImport, Upload

CHANNEL = "#finetuning"


@pytest.fixture
def carry(context, slack):
    """Carry out the newest task of a kind; returns it as it is then."""

    def do(kind):
        def newest():
            with context.db.read() as session:
                return session.exec(select(Task).where(Task.kind == kind).order_by(Task.id.desc()).limit(1)).one()

        runner.carry(context, newest().id, newest().attempt)
        return newest()

    return do


@pytest.fixture
def wanted(context, person):
    """Ask for a thread as the tuner; returns a function that says how it is."""

    def ask(ts, channel=CHANNEL):
        actor = Actor(TEAM_ID, person.id, person.channel_id(channel))
        with context.db.write() as session:
            made = consents.start(session, actor, ts, f"key {ts}").id

        def now():
            with context.db.read() as session:
                return session.get_one(ThreadImport, made)

        return now

    return ask


@pytest.fixture
def people(sandbox, person):
    return {name: Person(sandbox.url, name) for name in ("Ada", "Rey", "Gil", "Olga")} | {"Tuner": person}


def talk(people, *turns):
    """Write a thread; returns its root's ts."""
    root = None
    for name, text in turns:
        ts = people[name].say(CHANNEL, text, thread_ts=root)
        root = root or ts
    return root


def answers(context):
    with context.db.read() as session:
        rows = session.exec(select(Consent).order_by(Consent.id)).all()
    return [(one.answer, one.messages, bool(one.conversation_id)) for one in rows]


def test_members_are_asked_guests_and_outsiders_left_out(context, people, wanted, carry):
    root = talk(people, ("Tuner", "q?"), ("Ada", "a"), ("Ada", "b"), ("Gil", "c"), ("Olga", "d"))
    now = wanted(root)
    assert carry("read_thread").status is TaskStatus.DONE
    assert now().status is ImportStatus.ASKING
    assert answers(context) == [("yes", 1, False), ("asked", 2, True), ("no", 1, False), ("no", 1, False)]


def test_what_those_who_agreed_said_is_kept_and_nothing_else(context, people, wanted, carry):
    root = talk(people, ("Tuner", "q <!channel>?"), ("Ada", "a, Tuner"), ("Tuner", "r?"), ("Gil", "secret"))
    now = wanted(root)
    carry("read_thread")
    with context.db.write() as session:
        consents.answer(session, Actor(TEAM_ID, people["Ada"].id), 2, yes=True)
    assert carry("write_thread").status is TaskStatus.DONE
    assert now().status is ImportStatus.DONE
    with context.db.read() as session:
        upload = session.exec(select(Upload)).one()
    with context.storage.open(upload.storage_key) as file:
        kept = [json.loads(line) for line in file]
    assert [[one["content"] for one in record["messages"]] for record in kept] == [["q [everybody]?", "a, [person 1]"]]


def test_a_thread_of_one_person_teaches_nothing(people, wanted, carry):
    now = wanted(talk(people, ("Tuner", "q?"), ("Tuner", "anybody?")))
    carry("read_thread")
    assert now().status is ImportStatus.STOPPED
    assert "Only one person" in now().problem


def test_nobody_who_may_be_quoted_is_said(context, people, wanted, carry):
    now = wanted(talk(people, ("Tuner", "q?"), ("Gil", "a")))
    carry("read_thread")
    carry("write_thread")
    assert now().status is ImportStatus.STOPPED
    assert "Nobody's words were used" in now().problem


def test_a_channel_without_the_bot_is_said(person, wanted, carry):
    now = wanted(person.say("#planning", "q?"), "#planning")
    assert carry("read_thread").status is TaskStatus.DONE
    assert "Invite me" in now().problem


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("method", "fault"),
    [
        ("conversations.replies", "ratelimited"),
        ("users.info", "drop_response"),
        ("conversations.open", "drop_response"),
    ],
)
def test_a_busy_slack_is_asked_again(people, person, wanted, carry, method, fault):
    now = wanted(talk(people, ("Tuner", "q?"), ("Ada", "a")))
    person.fault(kind=fault, method=method, times=9, **({"retry_after": 1} if fault == "ratelimited" else {}))
    assert carry("read_thread").status is TaskStatus.QUEUED
    person.clear_faults()
    assert now().status is ImportStatus.READING
    assert carry("read_thread").status is TaskStatus.DONE
    assert now().status is ImportStatus.ASKING


def test_a_no_while_the_words_are_being_read_is_told_that_it_comes_too_late(
    context, people, wanted, carry, monkeypatch
):
    root = talk(people, ("Tuner", "q?"), ("Ada", "a"), ("Tuner", "r?"), ("Rey", "b"))
    now = wanted(root)
    carry("read_thread")
    ada = Actor(TEAM_ID, people["Ada"].id)
    with context.db.write() as session:
        consents.answer(session, ada, 2, yes=True)
    read, refusals = thread_import.messages, []

    def and_meanwhile(*given):
        with context.db.write() as session, pytest.raises(UserError, match="too late") as refused:
            consents.answer(session, ada, 2, yes=False)
        refusals.append(refused)
        return read(*given)

    monkeypatch.setattr(thread_import, "messages", and_meanwhile)
    assert now().status is ImportStatus.ASKING
    assert carry("write_thread").key.endswith("late")
    assert len(refusals) == 1
    assert now().status is ImportStatus.DONE
    assert [one for one, _, _ in answers(context)] == ["yes", "yes", "asked"]


def test_words_that_came_to_be_refused_do_not_stay_in_storage(context, people, wanted, carry, monkeypatch):
    now = wanted(talk(people, ("Tuner", "q?"), ("Ada", "a"), ("Tuner", "r?"), ("Rey", "b")))
    carry("read_thread")
    with context.db.write() as session:
        consents.answer(session, Actor(TEAM_ID, people["Ada"].id), 2, yes=True)
    store = thread_import._store

    def and_meanwhile(*given):
        size = store(*given)
        with context.db.write() as session:
            session.get_one(Consent, 2).answer = "no"
        return size

    monkeypatch.setattr(thread_import, "_store", and_meanwhile)
    assert carry("write_thread").status is TaskStatus.QUEUED
    assert context.storage.list("uploads") == []
    carry("write_thread")
    assert now().status is ImportStatus.STOPPED
    assert context.storage.list("uploads") == []


@pytest.mark.parametrize("db", ["sqlite"], indirect=True)
def test_a_thread_that_is_longer_than_what_is_read_says_so(people, wanted, carry, monkeypatch):
    monkeypatch.setattr(thread_import, "MOST_MESSAGES", 3)
    now = wanted(talk(people, ("Tuner", "q?"), ("Ada", "a"), ("Tuner", "r?"), ("Ada", "b")))
    carry("read_thread")
    assert now().cut
    assert "only its first 2,000 messages" in thread_import_blocks.card(now(), []).text
    short = wanted(talk(people, ("Tuner", "q?"), ("Ada", "a"), ("Ada", "b")))
    carry("read_thread")
    assert not short().cut
