"""Chat in a thread: who is answered, what the model is told, what is kept."""

import dataclasses

import pytest
from sqlmodel import select

from providers.base import ChatChunk, ChatMessage
from providers.errors import Unavailable
from workers import chat
from workers.errors import NotAllowed, NotFound
from workers.rights import Actor
from workers.tables import (
    Announcement,
    ChatThread,
    ChatTurn,
    Dataset,
    Endpoint,
    EndpointStatus,
    Run,
    Task,
    TurnStatus,
)

TUNER = Actor("T1", "U1", "C1")


@pytest.fixture
def endpoint(db):
    """An endpoint whose run's card is the message 1.1 of C1."""
    with db.write() as session:
        dataset = Dataset(team_id="T1", name="a", sha256="a", storage_key="a", format="openai-chat", method="sft",
                          examples=9, trainable=True)  # fmt: skip
        session.add(dataset)
        session.flush()
        run = Run(team_id="T1", channel_id="C1", name="r", request_key="k", dataset_id=dataset.id, provider="local",
                  base_model="m", method="sft")  # fmt: skip
        session.add(run)
        session.flush()
        session.add(Announcement(team_id="T1", channel_id="C1", slot="run:1:card", kind="run_card", subject_id=run.id,
                                 ts="1.1"))  # fmt: skip
        row = Endpoint(team_id="T1", channel_id="C1", creator_id="U9", name="r", run_id=run.id, provider="local",
                       model="r-1", system_prompt="Be brief.", max_tokens=77)  # fmt: skip
        session.add(row)
        session.flush()
        return row


def say(db, text, message_ts="2.1", thread_ts="1.1", actor=TUNER):
    with db.write() as session:
        return chat.receive(session, actor, thread_ts=thread_ts, message_ts=message_ts, text=text)


def answered(db, turn, answer, status=TurnStatus.DONE):
    with db.write() as session:
        row = session.get_one(ChatTurn, turn.id)
        row.answer, row.status = answer, status
        session.add(row)


def told(db, turn):
    with db.read() as session:
        return chat.history(session, session.get_one(ChatTurn, turn.id))


def rows(db, table):
    with db.read() as session:
        return session.exec(select(table)).all()


def test_the_thread_of_a_runs_card_is_answered_by_its_endpoint(db, endpoint):
    turn = say(db, "  What is in a pancake? ")
    assert (turn.question, turn.status, turn.creator_id) == ("What is in a pancake?", TurnStatus.PENDING, "U1")
    (thread,) = rows(db, ChatThread)
    assert (thread.thread_ts, thread.endpoint_id, thread.id) == ("1.1", endpoint.id, turn.thread_id)
    (task,) = rows(db, Task)
    assert (task.kind, task.queue, task.subject_id) == ("answer", "slack", turn.id)


def test_a_message_that_is_delivered_twice_is_one_question(db, endpoint):
    assert say(db, "Hello?").id == say(db, "Hello?").id
    assert len(rows(db, ChatTurn)) == len(rows(db, Task)) == 1


@pytest.mark.parametrize(
    "place",
    [{"thread_ts": "9.9"}, {"actor": Actor("T1", "U1", "C2")}, {"actor": Actor("T2", "U1", "C1")}],
)
def test_elsewhere_nobody_answers(db, endpoint, place):
    assert say(db, "Hello?", **place) is None
    assert rows(db, ChatTurn) == rows(db, ChatThread) == []


def test_looking_binds_nothing(db, endpoint):
    with db.read() as session:
        assert chat.is_answered(session, "T1", "C1", "1.1")
        assert not chat.is_answered(session, "T1", "C1", "9.9")
        assert not chat.is_answered(session, "T1", "C2", "1.1")
    assert rows(db, ChatThread) == []


def test_a_deleted_endpoint_does_not_answer(db, endpoint):
    with db.write() as session:
        endpoint.status = EndpointStatus.DELETED
        session.add(endpoint)
    assert say(db, "Hello?") is None


def test_an_endpoint_that_is_deleted_later_stops_answering(db, endpoint):
    say(db, "Hello?")
    with db.write() as session:
        endpoint.status = EndpointStatus.DELETED
        session.add(endpoint)
    assert say(db, "Still there?", "2.2") is None
    with db.read() as session:
        assert not chat.is_answered(session, "T1", "C1", "1.1")
    with db.write() as session:
        values = endpoint.model_dump(exclude={"id", "status"})
        session.add(Endpoint(**values))  # the run has another one now
    assert say(db, "And now?", "2.3").thread_id == rows(db, ChatThread)[0].id
    assert rows(db, ChatThread)[0].endpoint_id == endpoint.id + 1


def test_of_nothing_but_spaces_nothing_is_made(db, endpoint):
    assert say(db, " \n ") is None


def test_guests_are_refused(db, endpoint):
    with pytest.raises(NotAllowed):
        say(db, "Hello?", actor=dataclasses.replace(TUNER, is_guest=True))
    assert rows(db, ChatTurn) == []


def test_long_and_odd_questions_are_cut_and_cleaned(db, endpoint):
    assert len(say(db, "x" * 50_000).question) == chat.MOST_CHARACTERS
    assert say(db, "a\x00b", "2.2").question == "ab"


def test_the_model_is_told_what_was_said_before(db, endpoint):
    answered(db, say(db, "one", "2.1"), "first")
    answered(db, say(db, "two", "2.2"), "cut sho", TurnStatus.STOPPED)
    answered(db, say(db, "three", "2.3"), "", TurnStatus.FAILED)
    say(db, "four", "2.4")
    turn = say(db, "five", "2.5")
    answered(db, say(db, "six", "2.6"), "later")
    assert told(db, turn) == [
        ChatMessage("system", "Be brief."),
        ChatMessage("user", "one"),
        ChatMessage("assistant", "first"),
        ChatMessage("user", "two"),
        ChatMessage("assistant", "cut sho"),
        ChatMessage("user", "five"),
    ]


def test_of_a_long_conversation_the_newest_is_told(db, endpoint):
    for number in range(15):
        answered(db, say(db, f"q{number}", f"2.{number}"), f"a{number}")
    assert [one.content for one in told(db, say(db, "now", "3.0"))] == [
        "Be brief.", *(f"{kind}{number}" for number in range(5, 15) for kind in "qa"), "now"
    ]  # fmt: skip
    answered(db, say(db, "long", "3.1"), "x" * (chat.HISTORY_CHARACTERS - 8))
    assert [len(one.content) for one in told(db, say(db, "then", "3.2"))] == [9, 4, 5992, 4]
    assert len(told(db, say(db, "y" * 200, "3.3"))) == 2  # what does not fit is left out whole


class Chat:
    def __init__(self):
        self.asked = []

    def stream(self, request):
        self.asked.append(request)
        yield ChatChunk(text="Flour")
        raise Unavailable("down")

    def chat(self, name, _credentials):
        assert name == "local"
        return self


def test_the_answer_streams_from_the_endpoints_provider(context, db, endpoint):
    provider = Chat()
    turn = say(db, "Hello?")
    pieces = chat.answer(dataclasses.replace(context, providers=provider), turn.id)
    assert next(pieces).text == "Flour"
    with pytest.raises(Unavailable):
        next(pieces)
    (asked,) = provider.asked
    assert (asked.model, asked.max_tokens, asked.temperature) == ("r-1", 77, 0.0)
    assert asked.messages == told(db, turn)


def test_feedback_is_kept_and_may_be_changed(db, endpoint):
    turn = say(db, "Hello?")
    for good, kept in ((True, "good"), (False, "bad")):
        with db.write() as session:
            chat.note_feedback(session, TUNER, turn.id, good=good)
        assert rows(db, ChatTurn)[0].feedback == kept
    for actor, turn_id in ((Actor("T2", "U1", "C1"), turn.id), (Actor("T1", "U1", "C2"), turn.id), (TUNER, 99)):
        with db.write() as session, pytest.raises(NotFound):
            chat.note_feedback(session, actor, turn_id, good=True)


def test_in_the_thread_of_a_deleted_endpoint_one_sentence_says_so_once(db, endpoint):
    turn = say(db, "Hello?")
    with db.write() as session:
        session.get_one(Endpoint, endpoint.id).status = EndpointStatus.DELETED
    with db.read() as session:
        assert chat.is_over(session, "T1", "C1", "1.1")
        assert not chat.is_over(session, "T1", "C1", "9.9")
        assert not chat.is_answered(session, "T1", "C1", "1.1")
    assert say(db, "And now?", "2.2", actor=Actor("T1", "U3", "C1", is_guest=True)) is None
    assert [one for one in rows(db, Announcement) if one.kind == "note"] == []
    for number in range(3):
        assert say(db, "And now?", f"2.{number + 3}") is None
    (note,) = [one for one in rows(db, Announcement) if one.kind == "note"]
    assert (note.thread_ts, note.channel_id, note.revision) == ("1.1", "C1", 1)
    assert note.data["text"].startswith("🗑️ Nobody answers here any more: the model of r was deleted.")
    assert [one.id for one in rows(db, ChatTurn)] == [turn.id]


def test_a_thread_that_was_never_written_in_says_so_too_and_one_that_is_answered_does_not(db, endpoint):
    with db.read() as session:
        assert not chat.is_over(session, "T1", "C1", "1.1")
    with db.write() as session:
        session.get_one(Endpoint, endpoint.id).status = EndpointStatus.DELETED
    assert say(db, "Hello?") is None
    assert [one.kind for one in rows(db, Announcement)] == ["run_card", "note"]
