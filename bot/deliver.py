"""Makes Slack show what an announcement wants: draws it, posts or edits, and says how it went.

Slack has no idempotency key for posts. So every message carries its announcement's id as metadata, and
after a doubtful attempt the thread is read first: what is found there is adopted, not posted again.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from http import HTTPStatus
from http.client import HTTPException
from typing import Any

import structlog
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from sqlmodel import Session, select

from bot import dataset_announcements, file_announcements, hosting_announcements, run_cards
from bot.blocks import evaluation, keys_form, loss_curve, rehome, words
from bot.blocks.elements import Drawn
from workers import announcements
from workers.announcements import Trouble
from workers.context import Context
from workers.run_status import RunStatus
from workers.runs.rehome import offers_of
from workers.settings import Settings
from workers.tables import Announcement, Evaluation, Run, RunMetric

log = structlog.get_logger()

EVENT_TYPE = "finetune_bot_announcement"
"""The type of the metadata; its payload is the announcement's id and nothing else, as any app may read it."""
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 2.0, 300.0
LIMITED_SECONDS = 30.0
"""Before the next attempt where a 429 does not say how long."""
LOOK_BACK_SECONDS = 60.0
FILE_TS = "file"
"""Stands for the ts of a picture's message, which Slack does not tell and nobody needs."""

HOPELESS = frozenset(
    {"channel_not_found", "not_in_channel", "is_archived", "cant_update_message", "edit_window_closed",
     "user_not_in_channel", "restricted_action", "restricted_action_read_only_channel",
     "restricted_action_thread_only_channel", "thread_not_found", "messages_tab_disabled", "no_text"}
)  # fmt: skip
"""Slack's refusals that no later attempt changes."""
PASSING = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org", "accesslimited",
     "invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "missing_scope"}
)  # fmt: skip
"""Refusals that are about Slack or the installation, not about the message: it waits until they are mended."""


def deliver(context: Context, client: WebClient, claimed: Announcement) -> None:
    """Send a claimed announcement and record the outcome. Never raises for what Slack says."""
    doubtful = claimed.attempts > 0
    if not announcements.attempting(context.db, claimed):
        return  # the claim has run out, and somebody else has it
    with context.db.read() as session:
        drawn = draw(session, context.settings, claimed)
        thread_ts = announcements.thread_of(session, claimed)
    digest = _digest(drawn)
    try:
        if claimed.ts:
            ts = claimed.ts
            if digest != claimed.sent_digest and not drawn.is_file:
                _edit(client, claimed, drawn)
        else:
            found = _find(client, claimed, drawn, thread_ts) if doubtful else None
            ts = found or _post(client, claimed, drawn, thread_ts)
    except SlackApiError as error:
        _refused(context, claimed, error)
    except (SlackClientError, HTTPException, OSError) as error:  # it may be there after all: the next attempt looks
        log.warning("slack_unreachable", announcement_id=claimed.id, error=type(error).__name__)
        announcements.failed(context.db, claimed, Trouble.AWAY, type(error).__name__, _pause(claimed))
    else:
        coalesce = context.settings.card_seconds if claimed.kind == "run_card" else 0.0
        announcements.delivered(context.db, claimed, ts, digest, next_edit_in=coalesce)


def draw(session: Session, settings: Settings, row: Announcement) -> Drawn:
    """The message as it is wanted now. Raises KeyError for a kind that there is not."""
    return _RENDERERS[row.kind](session, settings, row)


def _run_card(session: Session, _settings: Settings, row: Announcement) -> Drawn:
    return run_cards.shown(session, session.get_one(Run, row.subject_id))


def _loss_curve(session: Session, _settings: Settings, row: Announcement) -> Drawn:
    run = session.get_one(Run, row.subject_id)
    metrics = session.exec(select(RunMetric).where(RunMetric.run_id == run.id).order_by(RunMetric.step)).all()  # type: ignore[arg-type]
    return Drawn(
        text=f"Loss of {run.name}", file_name=f"loss-curve-{run.id}.png", file=loss_curve.png(run.name, metrics)
    )


def _evaluation(session: Session, _settings: Settings, row: Announcement) -> Drawn:
    run = session.get_one(Run, row.subject_id)
    done = session.exec(select(Evaluation).where(Evaluation.run_id == run.id)).one()
    return evaluation.draw(run, done.summary)


def _credential_checked(_session: Session, _settings: Settings, row: Announcement) -> Drawn:
    return keys_form.outcome(row.data)


def _note(_session: Session, _settings: Settings, row: Announcement) -> Drawn:
    return words.note(str(row.data["text"]))


def _problem_message(session: Session, settings: Settings, row: Announcement) -> Drawn:
    data = row.data
    drawn = words.problem(str(data["title"]), str(data["text"]), str(data.get("error_id") or ""))
    run = session.get(Run, row.subject_id) if row.slot.startswith("run:") and row.subject_id is not None else None
    if run is None or run.status is not RunStatus.FAILED:
        return drawn
    return replace(drawn, blocks=[*drawn.blocks, *rehome.buttons(offers_of(session, settings, run))])


def _retiring(session: Session, settings: Settings, row: Announcement) -> Drawn:
    run = session.get_one(Run, row.subject_id)
    return rehome.retiring(run, row.data, offers_of(session, settings, run))


_RENDERERS: dict[str, Callable[[Session, Settings, Announcement], Drawn]] = {
    **dataset_announcements.RENDERERS,
    **file_announcements.RENDERERS,
    **hosting_announcements.RENDERERS,
    "run_card": _run_card,
    "credential_checked": _credential_checked,
    "loss_curve": _loss_curve,
    "evaluation_summary": _evaluation,
    "note": _note,
    "problem": _problem_message,
    "retiring": _retiring,
}


def _digest(drawn: Drawn) -> str:
    shown = drawn.file_name if drawn.is_file else json.dumps([drawn.text, drawn.blocks], sort_keys=True)
    return hashlib.sha256(shown.encode()).hexdigest()


def _edit(client: WebClient, claimed: Announcement, drawn: Drawn) -> None:
    def send(blocks: list[dict[str, Any]]) -> Any:
        return client.chat_update(channel=claimed.channel_id, ts=claimed.ts, text=drawn.text, blocks=blocks)

    _with_or_without_blocks(send, drawn, claimed)


def _post(client: WebClient, claimed: Announcement, drawn: Drawn, thread_ts: str | None) -> str:
    """Post it and return its ts."""
    if drawn.is_file:
        client.files_upload_v2(
            filename=drawn.file_name,
            content=drawn.file,
            title=drawn.text,
            alt_txt=drawn.text,
            channel=claimed.channel_id,
            thread_ts=thread_ts,
        )
        return FILE_TS

    def send(blocks: list[dict[str, Any]]) -> Any:
        if claimed.only_for:
            return _privately(client, claimed, drawn, blocks, thread_ts)
        return client.chat_postMessage(
            channel=claimed.channel_id,
            text=drawn.text,
            blocks=blocks,
            thread_ts=thread_ts,
            reply_broadcast=claimed.broadcast and thread_ts is not None,
            metadata={"event_type": EVENT_TYPE, "event_payload": {"id": claimed.id}},
            unfurl_links=False,
            unfurl_media=False,
        )["ts"]

    return str(_with_or_without_blocks(send, drawn, claimed))


def _privately(
    client: WebClient, claimed: Announcement, drawn: Drawn, blocks: list[dict[str, Any]], thread_ts: str | None
) -> Any:
    """Show it to one person only: directly, where the bot or the person is not in the channel (any more)."""
    quiet: dict[str, Any] = {"text": drawn.text, "blocks": blocks}
    try:
        return client.chat_postEphemeral(
            channel=claimed.channel_id, user=claimed.only_for, thread_ts=thread_ts, **quiet
        )["message_ts"]
    except SlackApiError as error:
        if error.response.get("error") not in {"channel_not_found", "not_in_channel", "user_not_in_channel"}:
            raise
    return client.chat_postMessage(channel=claimed.only_for, unfurl_links=False, unfurl_media=False, **quiet)["ts"]


def _with_or_without_blocks(send: Callable[[list[dict[str, Any]]], Any], drawn: Drawn, claimed: Announcement) -> Any:
    """A message whose blocks Slack refuses is still told, as text."""
    try:
        return send(drawn.blocks)
    except SlackApiError as error:
        if error.response.get("error") not in {"invalid_blocks", "invalid_blocks_format"} or not drawn.blocks:
            raise
        log.exception("blocks_refused", announcement_id=claimed.id, kind=claimed.kind, response=error.response.data)
        return send([])


def _find(client: WebClient, claimed: Announcement, drawn: Drawn, thread_ts: str | None) -> str | None:
    """The ts of what an earlier, doubtful attempt has posted after all; None: it has not."""
    if claimed.only_for:
        return None
    for message in _read(client, claimed, thread_ts):
        metadata = message.get("metadata") or {}
        if drawn.is_file:
            if any(file.get("name") == drawn.file_name for file in message.get("files") or []):
                return FILE_TS
        elif metadata.get("event_type") == EVENT_TYPE and metadata.get("event_payload", {}).get("id") == claimed.id:
            return str(message["ts"])
    return None


def _read(client: WebClient, claimed: Announcement, thread_ts: str | None) -> Iterator[dict[str, Any]]:
    """What was said in the thread (or channel) since the announcement was made."""
    where: dict[str, Any] = {
        "channel": claimed.channel_id,
        "oldest": f"{claimed.created_at - LOOK_BACK_SECONDS:.6f}",
        "include_all_metadata": True,
        "limit": 200,
    }
    cursor = ""
    while True:
        if thread_ts is not None:
            page = client.conversations_replies(ts=thread_ts, cursor=cursor, **where)
        else:
            page = client.conversations_history(cursor=cursor, **where)
        yield from page.get("messages") or []
        cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
        if not cursor:
            return


def _refused(context: Context, claimed: Announcement, error: SlackApiError) -> None:
    """Note what Slack said, and what that means for the message."""
    response = error.response
    problem = str(response.get("error") or f"status {response.status_code}")
    log.info("announcement_refused", announcement_id=claimed.id, kind=claimed.kind, problem=problem)
    if problem == "message_not_found" and claimed.ts:
        announcements.vanished(context.db, claimed)
        return
    pause = _pause(claimed)
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS or problem == "ratelimited":
        trouble = Trouble.LIMITED
        asked = response.headers.get("Retry-After") or response.headers.get("retry-after")
        pause = float(asked or LIMITED_SECONDS)
    elif problem in HOPELESS:
        trouble = Trouble.HOPELESS
    elif problem in PASSING or not problem.isidentifier():  # a status and no word of Slack's: something between us
        trouble = Trouble.AWAY
    else:
        trouble = Trouble.REFUSED
    announcements.failed(context.db, claimed, trouble, problem, pause)


def _pause(claimed: Announcement) -> float:
    return float(min(FIRST_RETRY_SECONDS * 2**claimed.attempts, LONGEST_RETRY_SECONDS))
