"""Chat in a thread: which endpoint answers it, what it is told, what it said.

A person's message is recorded as a turn before Slack's event is acked; the answer is a task. An endpoint whose model
is hosted nowhere is asleep: whoever writes to it is told so at once, and how to wake it.
"""

from collections.abc import Iterator
from dataclasses import replace

from sqlmodel import Session, col, select

from providers.base import ChatChunk, ChatMessage, ChatRequest
from providers.errors import NotFound as NotThere
from workers import announcements, hosting, tasks, vendors
from workers.context import Context
from workers.errors import NotFound
from workers.rights import Actor, Verb, allowed, require
from workers.tables import Announcement, ChatThread, ChatTurn, Endpoint, EndpointStatus, TurnStatus

HISTORY_TURNS = 10
"""A question is sent with at most so many earlier questions and answers of its thread."""
HISTORY_CHARACTERS = 6000
"""And with at most so many characters of them, the newest first."""
MOST_CHARACTERS = 12_000
"""A longer question is cut."""


def is_answered(session: Session, team_id: str, channel_id: str, thread_ts: str) -> bool:
    """Whether an endpoint answers in this thread, perhaps that it is asleep. Changes nothing."""
    bound = _bound(session, team_id, channel_id, thread_ts)
    if bound is not None and _is_there(session, bound):
        return True
    return _endpoint_of_card(session, team_id, channel_id, thread_ts) is not None


def is_over(session: Session, team_id: str, channel_id: str, thread_ts: str) -> bool:
    """Whether an endpoint answered in this thread, and is deleted now. Changes nothing."""
    return _deleted_in(session, team_id, channel_id, thread_ts) is not None


def endpoint_of(session: Session, team_id: str, channel_id: str, thread_ts: str) -> ChatThread | None:
    """The binding of a thread: made explicitly, or now, by being the thread of a run's card.

    None: nobody answers there, or not any more.
    """
    bound = _bound(session, team_id, channel_id, thread_ts)
    if bound is not None and _is_there(session, bound):
        return bound
    endpoint = _endpoint_of_card(session, team_id, channel_id, thread_ts)
    if endpoint is None:
        return None
    bound = bound or ChatThread(
        team_id=team_id,
        enterprise_id=endpoint.enterprise_id,
        channel_id=channel_id,
        creator_id=endpoint.creator_id,
        thread_ts=thread_ts,
        endpoint_id=endpoint.id or 0,
    )
    bound.endpoint_id = endpoint.id or 0
    session.add(bound)
    session.flush()
    return bound


def _is_there(session: Session, bound: ChatThread) -> bool:
    return session.get_one(Endpoint, bound.endpoint_id).status is not EndpointStatus.DELETED


def _bound(session: Session, team_id: str, channel_id: str, thread_ts: str) -> ChatThread | None:
    return session.exec(
        select(ChatThread).where(
            ChatThread.team_id == team_id, ChatThread.channel_id == channel_id, ChatThread.thread_ts == thread_ts
        )
    ).one_or_none()


def _endpoint_of_card(
    session: Session, team_id: str, channel_id: str, thread_ts: str, *, deleted: bool = False
) -> Endpoint | None:
    is_deleted = col(Endpoint.status) == EndpointStatus.DELETED
    return session.exec(
        select(Endpoint)
        .join(Announcement, col(Announcement.subject_id) == col(Endpoint.run_id))
        .where(
            Announcement.team_id == team_id,
            Announcement.channel_id == channel_id,
            Announcement.kind == "run_card",
            Announcement.ts == thread_ts,
            Endpoint.team_id == team_id,
            is_deleted if deleted else ~is_deleted,
        )
        .order_by(col(Endpoint.id).desc())
        .limit(1)
    ).one_or_none()


def _deleted_in(session: Session, team_id: str, channel_id: str, thread_ts: str) -> Endpoint | None:
    if is_answered(session, team_id, channel_id, thread_ts):
        return None
    bound = _bound(session, team_id, channel_id, thread_ts)
    if bound is not None:
        return session.get_one(Endpoint, bound.endpoint_id)
    return _endpoint_of_card(session, team_id, channel_id, thread_ts, deleted=True)


def _tell_deleted(session: Session, endpoint: Endpoint, thread_ts: str) -> None:
    """Say once in a thread that nobody answers there any more."""
    slot = f"endpoint:{endpoint.id}:deleted:{thread_ts}"
    wanted = select(Announcement.id).where(Announcement.team_id == endpoint.team_id, Announcement.slot == slot)
    if session.exec(wanted).first() is None:
        text = f"🗑️ Nobody answers here any more: the model of {endpoint.name} was deleted. A new run makes another."
        announcements.post(session, owner=endpoint, slot=slot, kind="note", data={"text": text}, thread_ts=thread_ts)


def receive(session: Session, actor: Actor, *, thread_ts: str, message_ts: str, text: str) -> ChatTurn | None:
    """Record a message of a bound thread and ask for its answer.

    None: nobody answers in this thread, or its endpoint is asleep or deleted, which is said there.
    """
    over = _deleted_in(session, actor.team_id, actor.channel_id, thread_ts)
    if over is not None and allowed(session, actor, Verb.CHAT, over):
        _tell_deleted(session, over, thread_ts)
        return None
    thread = endpoint_of(session, actor.team_id, actor.channel_id, thread_ts)
    if thread is None or not text.strip():
        return None
    endpoint = session.get_one(Endpoint, thread.endpoint_id)
    require(session, actor, Verb.CHAT, endpoint)
    known = session.exec(
        select(ChatTurn).where(
            ChatTurn.team_id == actor.team_id,
            ChatTurn.channel_id == actor.channel_id,
            ChatTurn.message_ts == message_ts,
        )
    ).one_or_none()
    if known is not None:
        return known
    if endpoint.status is EndpointStatus.ASLEEP:
        slot = f"endpoint:{endpoint.id}:asleep:{message_ts}"
        hosting.tell_asleep(session, endpoint, slot, "", thread_ts=thread_ts)
        return None
    turn = ChatTurn(
        team_id=actor.team_id,
        enterprise_id=actor.enterprise_id,
        channel_id=actor.channel_id,
        creator_id=actor.user_id,
        thread_id=thread.id or 0,
        message_ts=message_ts,
        question=text.replace("\x00", "").strip()[:MOST_CHARACTERS],
    )
    session.add(turn)
    session.flush()
    tasks.add(session, "answer", turn.id or 0, queue="slack", team_id=turn.team_id)
    return turn


def history(session: Session, turn: ChatTurn) -> list[ChatMessage]:
    """What the model is told: the endpoint's system prompt, the newest turns that fit, the question."""
    thread = session.get_one(ChatThread, turn.thread_id)
    endpoint = session.get_one(Endpoint, thread.endpoint_id)
    earlier = session.exec(
        select(ChatTurn)
        .where(
            ChatTurn.thread_id == turn.thread_id,
            col(ChatTurn.id) < (turn.id or 0),
            col(ChatTurn.status).in_([TurnStatus.DONE, TurnStatus.STOPPED]),
            ChatTurn.answer != "",
        )
        .order_by(col(ChatTurn.id).desc())
        .limit(HISTORY_TURNS)
    ).all()
    left = HISTORY_CHARACTERS - len(turn.question)
    told: list[ChatMessage] = []
    for past in earlier:
        left -= len(past.question) + len(past.answer)
        if left < 0:
            break
        told[:0] = [ChatMessage("user", past.question), ChatMessage("assistant", past.answer)]
    system = [ChatMessage("system", endpoint.system_prompt)] if endpoint.system_prompt else []
    return [*system, *told, ChatMessage("user", turn.question)]


def note_feedback(session: Session, actor: Actor, turn_id: int, *, good: bool) -> None:
    """Keep what a person thought of an answer. Raises NotFound."""
    turn = session.get(ChatTurn, turn_id)
    if turn is None or not allowed(session, actor, Verb.CHAT, turn):
        raise NotFound("This answer is not there any more, or not visible from this channel.")
    turn.feedback = "good" if good else "bad"
    session.add(turn)


def answer(context: Context, turn_id: int) -> Iterator[ChatChunk]:
    """Stream the endpoint's answer to a turn. Raises providers.errors.ProviderError."""
    with context.db.read() as session:
        turn = session.get_one(ChatTurn, turn_id)
        thread = session.get_one(ChatThread, turn.thread_id)
        endpoint = session.get_one(Endpoint, thread.endpoint_id)
        messages = history(session, turn)
    user = f"{turn.team_id}:{turn.creator_id}"
    request = ChatRequest(model=endpoint.model, messages=messages, max_tokens=endpoint.max_tokens, user=user)
    return stream(context, endpoint, request)


def stream(context: Context, endpoint: Endpoint, request: ChatRequest) -> Iterator[ChatChunk]:
    """Stream the endpoint's answer, under whatever name its model is reached now. Raises ProviderError.

    A hosted model is noted as used; one that the vendor does not find is looked at.
    """
    with context.db.read() as session:
        model = hosting.name_now(session, endpoint)
    if model is None:
        raise NotThere(f"{endpoint.name} is asleep: its model is hosted nowhere now. Deploy it again from its thread.")
    chat = vendors.chat(context, endpoint.team_id, endpoint.provider)
    hosting.used(context.db, endpoint)
    try:
        yield from chat.stream(replace(request, model=model))
    except NotThere:
        hosting.doubt(context.db, endpoint)
        raise
