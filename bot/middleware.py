"""Who is asking, and what they see when something goes wrong."""

import threading
import time
import uuid
from dataclasses import dataclass
from typing import Any

import structlog
from slack_bolt import BoltContext, BoltResponse
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from sqlalchemy.exc import SQLAlchemyError

from bot.blocks import words
from bot.blocks.elements import Drawn
from workers.context import Context
from workers.errors import UserError
from workers.rights import Actor

log = structlog.get_logger()

REMEMBER_SECONDS = 300.0
"""How long a person's standing (guest, other organisation) is taken from the last answer of Slack's."""
MOST_REMEMBERED = 10_000


@dataclass(frozen=True)
class Standing:
    """What rights depend on, as Slack says it of a person."""

    is_guest: bool
    is_external: bool


class People:
    """Asks Slack who somebody is, and remembers the answer for a while."""

    def __init__(self, client: WebClient) -> None:
        self._client = client
        self._known: dict[tuple[str, str], tuple[float, Standing]] = {}
        self._lock = threading.Lock()

    def actor(self, context: BoltContext, channel_id: str | None = None) -> Actor:
        """The person behind a request; `channel_id` overrides the request's own. Raises SlackApiError, OSError."""
        installed = context.authorize_result
        team_id = (installed.team_id if installed else None) or context.team_id or ""
        enterprise_id = (installed.enterprise_id if installed else None) or context.enterprise_id or ""
        user_id = context.user_id or ""
        standing = self._standing(team_id, enterprise_id, user_id)
        return Actor(
            team_id=team_id,
            user_id=user_id,
            channel_id=(context.channel_id or "") if channel_id is None else channel_id,
            enterprise_id=enterprise_id,
            is_guest=standing.is_guest,
            is_external=standing.is_external,
        )

    def _standing(self, team_id: str, enterprise_id: str, user_id: str) -> Standing:
        key = (team_id, user_id)
        now = time.monotonic()
        with self._lock:
            until, known = self._known.get(key, (0.0, None))
        if known is not None and now < until:
            return known
        user = self._client.users_info(user=user_id)["user"]
        standing = Standing(
            is_guest=bool(user.get("is_restricted") or user.get("is_ultra_restricted")),
            is_external=_is_external(user, team_id, enterprise_id),
        )
        with self._lock:
            if len(self._known) >= MOST_REMEMBERED:
                self._known.clear()
            self._known[key] = (now + REMEMBER_SECONDS, standing)
        return standing


def _is_external(user: dict[str, Any], team_id: str, enterprise_id: str) -> bool:
    if user.get("is_stranger"):
        return True
    same_enterprise = bool(enterprise_id) and (user.get("enterprise_user") or {}).get("enterprise_id") == enterprise_id
    return bool(user.get("team_id")) and user["team_id"] != team_id and not same_enterprise


@dataclass(frozen=True)
class Desk:
    """What every listener works with: the domain's context, the people, a client for what follows the ack."""

    context: Context
    people: People
    client: WebClient


def tell(client: WebClient, context: BoltContext, drawn: Drawn, *, channel_id: str = "", thread_ts: str = "") -> None:
    """Show a message to the person who asked, and to nobody else; in a direct message if it fits nowhere."""
    user = context.user_id or ""
    channel = channel_id or context.channel_id or ""
    extra: dict[str, Any] = {"thread_ts": thread_ts} if thread_ts else {}
    quiet: dict[str, Any] = {"text": drawn.text, "blocks": drawn.blocks or None}
    if channel:
        try:
            client.chat_postEphemeral(channel=channel, user=user, **quiet, **extra)
        except SlackApiError as error:
            if error.response.get("error") not in {"channel_not_found", "not_in_channel", "user_not_in_channel"}:
                raise
        else:
            return
    client.chat_postMessage(channel=user, unfurl_links=False, unfurl_media=False, **quiet)


def on_error(
    error: Exception, body: dict[str, Any], context: BoltContext, client: WebClient, response: BoltResponse | None
) -> BoltResponse | None:
    """The edge of every listener: the person reads what to do next, never an exception's text.

    What could not be recorded is not acked: Slack delivers events again, and shows people an error.
    """
    if isinstance(error, UserError):
        drawn = words.problem("That did not work", error.user_message)
        log.info("refused", error=type(error).__name__, user_id=context.user_id, type=body.get("type"))
    else:
        error_id = uuid.uuid4().hex[:12]
        log.error("listener_failed", error_id=error_id, user_id=context.user_id, exc_info=error)
        sorry = "There was a fault on our side; nothing was started. Try it again in a moment."
        if isinstance(error, SQLAlchemyError):
            sorry = "The database is busy or away; nothing was started. Try it again in a moment."
        drawn = words.problem("That did not work", sorry, error_id)
    redelivered = body.get("type") == "event_callback" and not isinstance(error, UserError)
    if context.user_id and not redelivered:
        try:
            tell(client, context, drawn)
        except (SlackApiError, OSError) as unsaid:
            log.warning("problem_unsaid", error=type(unsaid).__name__)
    if response is not None and isinstance(error, UserError):
        return BoltResponse(status=200, body="")
    return None
