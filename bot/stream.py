"""A model's answer, written into the thread as it is generated. The task of kind "answer".

Slack's streaming calls are used where they work; else one message is posted and edited. An attempt that
goes on after a crash finds the message that its predecessor began, and finishes that one.
"""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, cast

import structlog
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from sqlmodel import col, select

from bot import client as slack_client
from bot import escape
from bot.blocks import answer as blocks
from bot.blocks.elements import Drawn
from bot.deliver import EVENT_TYPE
from providers.base import ChatChunk
from providers.errors import ProviderError
from workers import announcements, chat
from workers.context import Context
from workers.errors import RetryLater
from workers.tables import ChatThread, ChatTurn, TurnStatus
from workers.tasks import Lease

log = structlog.get_logger()

APPEND_SECONDS = 0.7
"""How often a stream is appended to: Slack allows about 100 calls a minute."""
EDIT_SECONDS = 3.0
"""How often a message is edited where there is no stream."""
PATIENCE_SECONDS = 180.0
"""How long after the question a model or a Slack that does not answer is tried again."""
AGAIN_SECONDS = 2.0
NO_STREAM = frozenset({"message_not_in_streaming_state", "streaming_mode_mismatch", "streaming_state_conflict"})


class StoppedByPerson(Exception):
    """The person pressed stop."""


class Writing:
    """One answer's message in Slack. `ts` is given where an earlier attempt has begun it."""

    def __init__(self, client: WebClient, turn: ChatTurn, thread_ts: str, ts: str = "") -> None:
        self._client = client
        self._turn = turn
        self._thread_ts = thread_ts
        self._stream = not ts
        self._harmless = escape.MarkdownStream()
        self._unsent = ""
        self._sent_at = 0.0
        self._waiting = ""
        self.ts = ts
        self.text = ""
        if ts:
            with suppress(SlackApiError):  # it may have been left open
                client.chat_stopStream(channel=turn.channel_id, ts=ts)

    def begin(self) -> None:
        """Make the message."""
        turn = self._turn
        try:
            made = self._client.chat_startStream(
                channel=turn.channel_id,
                thread_ts=self._thread_ts,
                recipient_user_id=turn.creator_id,
                recipient_team_id=turn.team_id,
            )
        except SlackApiError as error:
            log.info("no_stream", problem=error.response.get("error"))
            self._post(blocks.draw(""))
        else:
            self.ts = str(made["ts"])

    def wait(self, stage: str) -> None:
        """Say what is done before the answer can begin: in the thread's status, which Slack takes away with the first
        message, or else in the message that becomes the answer.
        """
        if stage == self._waiting and self.ts:
            return
        self._waiting = stage
        if self.ts or not _say_status(self._client, self._turn, self._thread_ts, f"is {stage} …"):
            drawn = blocks.waiting(stage)
            if self.ts:
                self._client.chat_update(
                    channel=self._turn.channel_id, ts=self.ts, text=drawn.text, blocks=drawn.blocks
                )
            else:
                self._post(drawn)

    def _post(self, drawn: Drawn) -> None:
        """Make the message as one that is edited."""
        self._stream = False
        made = self._client.chat_postMessage(
            channel=self._turn.channel_id,
            thread_ts=self._thread_ts,
            text=drawn.text,
            blocks=drawn.blocks,
            unfurl_links=False,
            unfurl_media=False,
        )
        self.ts = str(made["ts"])

    def write(self, text: str) -> None:
        """Take a piece, and send what there is when it is time. Raises StoppedByPerson."""
        self._take(self._harmless.feed(text))
        pause = APPEND_SECONDS if self._stream else EDIT_SECONDS
        if self._unsent and time.monotonic() - self._sent_at >= pause:
            self._send()

    def end(self) -> None:
        """Send the rest and the buttons. Raises StoppedByPerson."""
        self._take(self._harmless.end())
        if not self.text.strip():
            self._take("_(The model said nothing.)_")
        if self._stream:
            with self._as_stream():
                self._client.chat_stopStream(
                    channel=self._turn.channel_id,
                    ts=self.ts,
                    markdown_text=self._unsent or None,
                    blocks=blocks.feedback(self._turn.id or 0),
                )
                return
        self._edit(self._turn.id)

    @contextmanager
    def closed_if_broken(self) -> Iterator[None]:
        """A stream whose answer breaks off is closed: left open, it would look as if more were to come."""
        try:
            yield
        except BaseException:
            if self.ts and self._stream:
                with suppress(SlackClientError, OSError):
                    self._client.chat_stopStream(channel=self._turn.channel_id, ts=self.ts)
            raise

    def _take(self, text: str) -> None:
        text = text[: max(0, blocks.MOST_MARKDOWN - len(self.text))]
        self.text += text
        self._unsent += text

    def _send(self) -> None:
        if self._stream:
            with self._as_stream():
                self._client.chat_appendStream(channel=self._turn.channel_id, ts=self.ts, markdown_text=self._unsent)
        if not self._stream:
            self._edit()
        self._unsent = ""
        self._sent_at = time.monotonic()

    def _edit(self, turn_id: int | None = None) -> None:
        drawn = blocks.draw(self.text, turn_id)
        self._client.chat_update(channel=self._turn.channel_id, ts=self.ts, text=drawn.text, blocks=drawn.blocks)

    def _as_stream(self) -> "_AsStream":
        return _AsStream(self)

    def no_stream(self) -> None:
        """Slack has closed the stream: go on by editing."""
        self._stream = False


class _AsStream:
    """A block with one streaming call; what Slack says about the stream's state is dealt with."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if not isinstance(error, SlackApiError):
            return False
        problem = error.response.get("error")
        if problem == "stopped_by_user":
            raise StoppedByPerson from error
        if problem not in NO_STREAM:
            return False
        log.info("stream_closed", problem=problem)
        self._writing.no_stream()
        return True


def answer(context: Context, lease: Lease) -> None:
    """Answer one turn in its thread."""
    with context.db.read() as session:
        turn = session.get_one(ChatTurn, lease.task.subject_id)
        thread = session.get_one(ChatThread, turn.thread_id)
    if turn.status not in {TurnStatus.PENDING, TurnStatus.STREAMING}:
        with lease.finish():
            return
    _, client = slack_client.of_this_process()
    try:
        ts = turn.answer_ts or (_begun_before(context, client, turn, thread) if lease.task.attempt > 1 else "")
        writing = Writing(client, turn, thread.thread_ts, ts)
        if not ts:
            _say_status(client, turn, thread.thread_ts, "is thinking …")
        with closing(cast("Any", chat.answer(context, turn.id or 0))) as chunks, writing.closed_if_broken():
            last, status = _write(lease, writing, turn, chunks)
    except ProviderError as error:
        if error.retryable and _is_young(turn):
            if not turn.answer_ts:
                with suppress(SlackClientError, OSError):
                    _say_status(client, turn, thread.thread_ts, "is waiting for the model …")
            raise RetryLater(error.user_message, error.retry_after or AGAIN_SECONDS) from error
        _failed(lease, turn, thread, error.user_message)
        return
    except (SlackClientError, OSError) as error:
        log.warning("answer_unsaid", turn_id=turn.id, error=type(error).__name__)
        if _is_young(turn):
            raise RetryLater(type(error).__name__, AGAIN_SECONDS) from error
        _failed(lease, turn, thread, "Slack did not take the answer.")
        return
    with lease.finish() as session:
        row = session.get_one(ChatTurn, turn.id)
        row.status, row.answer, row.answer_ts = status, writing.text, writing.ts
        row.prompt_tokens = last.prompt_tokens or 0
        row.completion_tokens = last.completion_tokens or 0
        session.add(row)


def _write(lease: Lease, writing: Writing, turn: ChatTurn, chunks: Iterator[ChatChunk]) -> tuple[ChatChunk, TurnStatus]:
    """Write every piece; returns the last one, and how it ended."""
    last = ChatChunk()
    try:
        for chunk in chunks:
            last = chunk
            lease.check()
            if lease.stopping.is_set():
                raise RetryLater("this process is stopping", 0.0)
            if chunk.stage:
                writing.wait(chunk.stage)
            elif not writing.ts:
                writing.begin()
            if writing.ts and turn.answer_ts != writing.ts:
                with lease.write() as session:
                    row = session.get_one(ChatTurn, turn.id)
                    row.answer_ts, row.status = writing.ts, TurnStatus.STREAMING
                    session.add(row)
                turn.answer_ts = writing.ts
            writing.write(chunk.text)
        if not writing.ts:
            writing.begin()
        writing.end()
    except StoppedByPerson:
        return last, TurnStatus.STOPPED
    return last, TurnStatus.DONE


def _say_status(client: WebClient, turn: ChatTurn, thread_ts: str, status: str) -> bool:
    """Say what we are doing at the end of the thread; False where Slack shows no such thing."""
    try:
        client.assistant_threads_setStatus(channel_id=turn.channel_id, thread_ts=thread_ts, status=status)
    except SlackApiError as error:
        log.info("no_status", problem=error.response.get("error"))
        return False
    return True


def _begun_before(context: Context, client: WebClient, turn: ChatTurn, thread: ChatThread) -> str:
    """The ts of the message that a killed attempt began without noting it; empty if there is none."""
    with context.db.read() as session:
        known = set(session.exec(select(ChatTurn.answer_ts).where(col(ChatTurn.thread_id) == thread.id)))
    us = client.auth_test()["user_id"]
    page = client.conversations_replies(
        channel=turn.channel_id, ts=thread.thread_ts, oldest=turn.message_ts, include_all_metadata=True, limit=100
    )
    for message in page.get("messages") or []:
        announced = (message.get("metadata") or {}).get("event_type") == EVENT_TYPE
        ours = message.get("user") == us and not announced and not message.get("files")
        if ours and message["ts"] > turn.message_ts and message["ts"] not in known:
            return str(message["ts"])
    return ""


def _is_young(turn: ChatTurn) -> bool:
    return time.time() < turn.created_at + PATIENCE_SECONDS


def _failed(lease: Lease, turn: ChatTurn, thread: ChatThread, words: str) -> None:
    with lease.finish() as session:
        row = session.get_one(ChatTurn, turn.id)
        row.status = TurnStatus.FAILED
        session.add(row)
        announcements.post(
            session,
            owner=row,
            slot=f"turn:{row.id}:problem",
            kind="problem",
            data={"title": "No answer", "text": words},
            thread_ts=thread.thread_ts,
        )


def gave_up(session: Any, task: Any) -> None:
    """The answer broke too often: say so in the thread, with the id of the log line."""
    row = session.get_one(ChatTurn, task.subject_id)
    thread = session.get_one(ChatThread, row.thread_id)
    row.status = TurnStatus.FAILED
    session.add(row)
    words = "There was a fault on our side. Ask again, please."
    announcements.post(
        session,
        owner=row,
        slot=f"turn:{row.id}:problem",
        kind="problem",
        data={"title": "No answer", "text": words, "error_id": task.error_id},
        thread_ts=thread.thread_ts,
    )
