"""A model's answer comes into its thread once, whole and harmless, whatever happens on the way."""

import time
from collections.abc import Callable

import pytest
from sqlmodel import select

from bot import stream
from bot.sandbox.driver import Person
from bot.settings import SlackSettings
from providers.base import ChatChunk
from providers.errors import InvalidRequest, Unavailable
from tests.acceptance.player import has, said
from workers import chat, tasks
from workers.context import Context
from workers.errors import RetryLater
from workers.rights import Actor
from workers.tables import Announcement, ChatThread, ChatTurn, Endpoint, Owned, Task, TurnStatus

CHANNEL = "#finetuning"


class Model:
    """Says what it is told to, and can hold its tongue."""

    def __init__(self, *pieces: str | Exception) -> None:
        self.pieces = pieces
        self.closed = False

    def stream(self, request):
        try:
            for piece in self.pieces:
                if isinstance(piece, Exception):
                    raise piece
                if callable(piece):
                    piece()
                    continue
                yield piece if isinstance(piece, ChatChunk) else ChatChunk(text=piece)
            yield ChatChunk(finish_reason="stop", prompt_tokens=3, completion_tokens=4)
        finally:
            self.closed = True

    def models(self):
        return ["m"]


class Room:
    def __init__(self, model: Model) -> None:
        self.model = model

    def chat(self, name: str, _credentials: object) -> Model:
        return self.model


@pytest.fixture
def root(person: Person, context: Context, owner: Owned) -> str:
    """A message whose thread is answered by an endpoint."""
    ts = person.say(CHANNEL, "talk here")
    with context.db.write() as session:
        owned = owner.model_dump(exclude={"id"})
        endpoint = Endpoint(**owned, name="e", provider="stub", model="m")
        session.add(endpoint)
        session.flush()
        session.add(ChatThread(**owned, thread_ts=ts, endpoint_id=endpoint.id))
    return ts


@pytest.fixture
def ask(person: Person, context: Context, owner: Owned, root: str, slack: SlackSettings) -> Callable[[str], ChatTurn]:
    def question(text: str = "hm?") -> ChatTurn:
        ts = person.say(CHANNEL, text, thread_ts=root)
        with context.db.write() as session:
            actor = Actor(owner.team_id, owner.creator_id, owner.channel_id)
            turn = chat.receive(session, actor, thread_ts=root, message_ts=ts, text=text)
        assert turn is not None
        return turn

    return question


@pytest.fixture
def answer(context: Context) -> Callable[..., ChatTurn]:
    """Carry out the newest attempt at a turn's answer."""

    def carry(turn: ChatTurn, model: Model) -> ChatTurn:
        place = Context(context.settings, context.db, context.storage, Room(model))
        with place.db.read() as session:
            task = session.exec(select(Task).where(Task.kind == "answer", Task.subject_id == turn.id)).one()
        lease = tasks.claim(place.db, task.id or 0, task.attempt, place.settings.timing)
        assert lease is not None
        try:
            stream.answer(place, lease)
        except (RetryLater, ZeroDivisionError) as error:
            lease.retry_later(str(error), 0)
        with place.db.read() as session:
            return session.get_one(ChatTurn, turn.id)

    return carry


def replies(person: Person, root: str, turn: ChatTurn) -> list[dict]:
    return [one for one in person.thread(CHANNEL, root) if one["ts"] > turn.message_ts]


def test_an_answer_is_streamed_with_feedback_buttons(ask, answer, person: Person, root: str):
    turn = answer(ask(), Model("Hello", " there", ", you."))
    (message,) = replies(person, root, turn)
    assert said(message).startswith("Hello there, you.")
    assert has(message, "feedback")
    assert not message.get("streaming")
    assert (turn.status, turn.answer) == (TurnStatus.DONE, "Hello there, you.")
    assert turn.completion_tokens == 4


def test_nobody_is_pinged_across_pieces(ask, answer, person: Person, root: str):
    turn = answer(ask(), Model("all <", "!channel> ![x", "](http://evil.example) !", "[y](http://evil.example)"))
    (message,) = replies(person, root, turn)
    assert "<!channel>" not in str(message)
    assert "![" not in str(message)


def test_where_there_is_no_stream_one_message_is_edited(ask, answer, person: Person, root: str):
    person.fault(method="chat.startStream", kind="error", error="unknown_method")
    turn = answer(ask(), Model("plain", " message"))
    (message,) = replies(person, root, turn)
    assert "plain message" in said(message)
    assert has(message, "feedback")


@pytest.mark.parametrize("sandbox", [{"stream_seconds": 0.2}], indirect=True)
def test_a_stream_that_slack_closed_is_finished_by_editing(ask, answer, person: Person, root: str):
    turn = answer(ask(), Model("long", lambda: time.sleep(0.5), " story"))
    (message,) = replies(person, root, turn)
    assert "long story" in said(message)
    assert has(message, "feedback")


def test_stop_ends_the_generation(ask, answer, person: Person, root: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stream, "APPEND_SECONDS", 0.0)
    turn = ask()
    model = Model("one ", "two ", lambda: person.stop_stream(replies(person, root, turn)[0]), "three ", "four ")
    turn = answer(turn, model)
    (message,) = replies(person, root, turn)
    assert turn.status is TurnStatus.STOPPED
    assert model.closed
    assert "four" not in said(message)
    assert "one two" in said(message)


def test_a_crash_after_the_first_word_leaves_one_answer(ask, answer, person: Person, root: str):
    turn = ask()
    answer(turn, Model("half an", ZeroDivisionError()))
    turn = answer(turn, Model("the whole answer"))
    (message,) = replies(person, root, turn)
    assert said(message).startswith("the whole answer")
    assert not message.get("streaming")


def test_a_lost_answer_to_the_first_call_is_adopted(ask, answer, person: Person, root: str):
    turn = ask()
    person.fault(method="chat.startStream", kind="drop_response")
    answer(turn, Model("unheard"))
    turn = answer(turn, Model("heard"))
    (message,) = replies(person, root, turn)
    assert said(message).startswith("heard")


def test_a_model_that_is_away_is_waited_for(ask, answer, person: Person, root: str):
    turn = ask()
    answer(turn, Model(Unavailable("The model server is starting.")))
    assert replies(person, root, turn) == []
    assert answer(turn, Model("here")).status is TurnStatus.DONE


def test_a_refusal_is_told_in_words(ask, answer, context: Context):
    turn = answer(ask(), Model(InvalidRequest("The question is too long for this model.")))
    assert turn.status is TurnStatus.FAILED
    with context.db.read() as session:
        told = session.exec(select(Announcement).where(Announcement.slot == f"turn:{turn.id}:problem")).one()
    assert "too long" in told.data["text"]


@pytest.mark.parametrize("end", [InvalidRequest("Not today."), Unavailable("away"), ZeroDivisionError()])
def test_an_answer_that_breaks_off_is_not_left_open(ask, answer, person: Person, root: str, end: Exception):
    turn = answer(ask(), Model("half an answer", end))
    message = replies(person, root, turn)[0]
    assert said(message).startswith("half an")
    assert not message.get("streaming")


def test_silence_is_named(ask, answer, person: Person, root: str):
    turn = answer(ask(), Model())
    (message,) = replies(person, root, turn)
    assert "said nothing" in said(message)


LOADING = ChatChunk(stage="loading the model")


def statuses(person: Person) -> list[str]:
    calls = [one for one in person.journal() if one.get("method") == "assistant.threads.setStatus"]
    return [str(one["request"]["status"]) for one in calls]


def test_who_waits_for_a_model_to_load_sees_it_in_the_thread(ask, answer, person: Person, root: str):
    """Where Slack shows no status of ours, a message says it, and becomes the answer."""
    person.fault(method="assistant.threads.setStatus", kind="error", error="missing_scope", times=9)
    turn = ask()
    seen: list[str] = []
    model = Model(LOADING, LOADING, lambda: seen.extend(said(one) for one in replies(person, root, turn)), "here I am")
    turn = answer(turn, model)
    assert len(seen) == 1
    assert "Loading the model" in seen[0]
    (message,) = replies(person, root, turn)
    assert said(message).startswith("here I am")
    assert "Loading" not in str(message)
    assert has(message, "feedback")
    assert turn.status is TurnStatus.DONE


def test_where_slack_shows_a_status_the_thread_stays_clean(ask, answer, person: Person, root: str):
    turn = ask()
    seen: list[dict] = []
    turn = answer(turn, Model(LOADING, lambda: seen.extend(replies(person, root, turn)), "here"))
    assert seen == []
    assert statuses(person) == ["is thinking …", "is loading the model …"]
    (message,) = replies(person, root, turn)
    assert said(message).startswith("here")


def test_a_model_server_that_starts_is_named_meanwhile(ask, answer, person: Person, root: str):
    answer(ask(), Model(Unavailable("The model server is starting.")))
    assert statuses(person)[-1] == "is waiting for the model …"
