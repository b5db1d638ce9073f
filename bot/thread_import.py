"""Reading threads that are to become training data: who wrote in them, and later the words of those who agreed."""

import json
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import structlog
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from bot import client as slack_client
from workers import announcements, consents, thread_examples
from workers.consents import Author
from workers.context import Context
from workers.errors import LeaseLost, RetryLater, UserError
from workers.tables import ImportStatus, ThreadImport
from workers.tasks import Lease
from workers.thread_examples import MOST_MESSAGES, Said

log = structlog.get_logger()

PAGE = 200
AGAIN_SECONDS = 5.0
LEFT_OUT = "I am not in that channel, so I cannot read its threads. Invite me there, and use the shortcut again."
UNREADABLE = {
    "channel_not_found": LEFT_OUT,
    "not_in_channel": LEFT_OUT,
    "thread_not_found": "The thread is not there any more.",
    "message_not_found": "The thread is not there any more.",
    "missing_scope": "The app may not read messages there. An admin must add the scopes of the app's manifest.",
}
UNPOSTABLE = frozenset(UNREADABLE) - {"missing_scope"}
"""Where no card can be posted in the thread either."""


class ThreadUnreadable(UserError):
    """The thread cannot be read, now or later. `problem` is Slack's word for it."""

    def __init__(self, problem: str, words: str) -> None:
        super().__init__(words)
        self.problem = problem


def read(context: Context, lease: Lease) -> None:
    """Look up who wrote in the thread, and have them asked. The task of kind "read_thread"."""
    wanted = _wanted(context, lease)
    if wanted is None or wanted.status is not ImportStatus.READING:
        with lease.finish():
            return
    _, client = slack_client.of_this_process()
    try:
        said, cut = messages(client, wanted.channel_id, wanted.thread_ts)
        counted = thread_examples.authors(said)
        if len(counted) < 2:
            words = "Only one person wrote here: there is no question with somebody's answer."
            raise ThreadUnreadable("one_author", words)
        authors = [_author(client, wanted, user_id, count) for user_id, count in counted.items()]
        link = str(client.chat_getPermalink(channel=wanted.channel_id, message_ts=wanted.thread_ts)["permalink"])
    except ThreadUnreadable as error:
        _give_up(lease, wanted, error.user_message, apart=error.problem in UNPOSTABLE)
    except SlackApiError as error:
        raise _again(error) from error
    except (SlackClientError, OSError) as error:
        raise RetryLater(type(error).__name__, AGAIN_SECONDS) from error
    else:
        consents.ask(lease, wanted.id or 0, authors, link, cut=cut)


def write(context: Context, lease: Lease) -> None:
    """Make examples of the words of those who agreed. The task of kind "write_thread"."""
    wanted = _wanted(context, lease)
    agreed = consents.begin(lease, wanted.id or 0) if wanted is not None else None
    if wanted is None or agreed is None:
        with lease.finish():
            return
    _, client = slack_client.of_this_process()
    try:
        said, _ = messages(client, wanted.channel_id, wanted.thread_ts)
        people = {*thread_examples.authors(said), *thread_examples.mentioned(said)}
        names = {user_id: _called(client, user_id) for user_id in sorted(people)}
    except ThreadUnreadable as error:
        _give_up(lease, wanted, error.user_message, apart=error.problem in UNPOSTABLE)
        return
    except SlackApiError as error:
        raise _again(error) from error
    except (SlackClientError, OSError) as error:
        raise RetryLater(type(error).__name__, AGAIN_SECONDS) from error
    records = thread_examples.records(said, agreed, names)
    if not records:
        words = "No question and its answer were both written by people who agreed. Nobody's words were used."
        _give_up(lease, wanted, words)
        return
    _keep(context, lease, wanted, agreed, records)


def _keep(
    context: Context, lease: Lease, wanted: ThreadImport, agreed: Collection[str], records: Iterable[dict[str, Any]]
) -> None:
    """Store the examples under a key of this attempt's own. Words that nothing names must not stay in storage."""
    keys = [f"uploads/thread-{wanted.id}/{lease.task_id}-{attempt}" for attempt in range(1, lease.task.attempt + 1)]
    for earlier in keys[:-1]:
        context.storage.delete(earlier)
    size = _store(context, keys[-1], records)
    name = f"thread-{wanted.thread_ts.split('.')[0]}.jsonl"
    try:
        kept = consents.written(lease, wanted.id or 0, agreed, name=name, key=keys[-1], size=size)
    except (LeaseLost, RetryLater):
        context.storage.delete(keys[-1])
        raise
    if not kept:
        context.storage.delete(keys[-1])


def barrier(client: WebClient, channel_id: str, thread_ts: str) -> str:
    """Slack's word for why the bot cannot read the thread; empty if it can, or if Slack does not say now."""
    try:
        _page(client, channel_id, thread_ts, 1)
    except ThreadUnreadable as error:
        return error.problem
    except (SlackClientError, OSError) as error:
        log.info("thread_not_probed", error=type(error).__name__)
    return ""


def messages(client: WebClient, channel_id: str, thread_ts: str) -> tuple[list[Said], bool]:
    """What people wrote in the thread, oldest first, and whether it goes on after the first MOST_MESSAGES.

    Bots' messages and talk to this bot are left out.

    Raises ThreadUnreadable, SlackApiError, SlackClientError, OSError.
    """
    bot = str(client.auth_test()["user_id"])
    found: list[Said] = []
    cursor = ""
    while len(found) <= MOST_MESSAGES:
        page = _page(client, channel_id, thread_ts, PAGE, cursor)
        found += _by_people(page.get("messages") or [], bot)
        cursor = str((page.get("response_metadata") or {}).get("next_cursor") or "")
        if not cursor:
            break
    return found[:MOST_MESSAGES], len(found) > MOST_MESSAGES


def _page(client: WebClient, channel_id: str, thread_ts: str, limit: int, cursor: str = "") -> SlackResponse:
    try:
        return client.conversations_replies(channel=channel_id, ts=thread_ts, limit=limit, cursor=cursor)
    except SlackApiError as error:
        problem = str(error.response.get("error"))
        if problem in UNREADABLE:
            raise ThreadUnreadable(problem, UNREADABLE[problem]) from error
        raise


def _by_people(page: Iterable[dict[str, Any]], bot: str) -> list[Said]:
    return [
        Said(str(one["user"]), str(one["text"]))
        for one in page
        if one.get("user")
        and not one.get("bot_id")
        and one.get("subtype") in {None, "file_share", "thread_broadcast"}
        and str(one.get("text") or "").strip()
        and f"<@{bot}" not in str(one["text"])
    ]


def _author(client: WebClient, wanted: ThreadImport, user_id: str, count: int) -> Author:
    user = client.users_info(user=user_id)["user"]
    outside = bool(user.get("is_stranger")) or str(user.get("team_id") or wanted.team_id) != wanted.team_id
    same_enterprise = (
        bool(wanted.enterprise_id) and (user.get("enterprise_user") or {}).get("enterprise_id") == wanted.enterprise_id
    )
    guest = bool(user.get("is_restricted") or user.get("is_ultra_restricted"))
    if guest or (outside and not same_enterprise) or user.get("deleted") or user.get("is_bot"):
        return Author(user_id, count, may_not=True)
    if user_id == wanted.creator_id:
        return Author(user_id, count)
    return Author(user_id, count, conversation_id=str(client.conversations_open(users=user_id)["channel"]["id"]))


def _called(client: WebClient, user_id: str) -> list[str]:
    """Everything that a person is called."""
    try:
        user = client.users_info(user=user_id)["user"]
    except SlackApiError as error:
        if error.response.get("error") in {"user_not_found", "user_not_visible"}:
            return []
        raise
    profile = user.get("profile") or {}
    names = [
        user.get("name"), user.get("real_name"), profile.get("real_name"), profile.get("display_name"),
        profile.get("first_name"), profile.get("last_name"),
    ]  # fmt: skip
    return list(dict.fromkeys(str(one) for one in names if one))


def _store(context: Context, key: str, records: Iterable[dict[str, Any]]) -> int:
    with tempfile.TemporaryDirectory(prefix="finetune-bot-") as folder:
        path = Path(folder) / "thread.jsonl"
        path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records), encoding="utf-8")
        context.storage.put(key, path)
        return path.stat().st_size


def _wanted(context: Context, lease: Lease) -> ThreadImport | None:
    with context.db.read() as session:
        return session.get(ThreadImport, lease.task.subject_id)


def _give_up(lease: Lease, wanted: ThreadImport, words: str, *, apart: bool = False) -> None:
    """Say why in the card; `apart`: to the person who asked as well, as the card cannot be posted."""
    with lease.finish() as session:
        row = session.get_one(ThreadImport, wanted.id, with_for_update=True)
        if row.status not in consents.OPEN:
            return
        consents.give_up(session, row, words)
        if apart:
            announcements.post(
                session,
                owner=row,
                slot=f"thread:{row.id}:refused",
                kind="note",
                data={"text": f"🧵 The thread was not made into training data. {words} Nobody's words were used."},
                only_for=row.creator_id,
            )


def _again(error: SlackApiError) -> RetryLater:
    problem = str(error.response.get("error"))
    log.info("thread_not_read", problem=problem)
    return RetryLater(problem, float(error.response.headers.get("Retry-After") or AGAIN_SECONDS))
