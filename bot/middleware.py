"""Who is asking, and what they see when something goes wrong."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from slack_bolt import BoltContext, BoltResponse
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient
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

    def __init__(self, client: WebClient, admins: frozenset[str] = frozenset()) -> None:
        self._client = client
        self._admins = admins
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
            is_admin=user_id in self._admins,
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
    """Show a message to the person who asked, and to nobody else; in a direct message if it fits nowhere.

    A command or click outside threads brings its own address for answers, which needs no membership of the channel
    and has no rate limit. Raises SlackApiError, OSError.
    """
    quiet: dict[str, Any] = {"text": drawn.text, "blocks": drawn.blocks or None}
    if context.response_url and not thread_ts:
        answered = WebhookClient(context.response_url, timeout=client.timeout).send(
            response_type="ephemeral", replace_original=False, **quiet
        )
        if answered.status_code == HTTPStatus.OK:
            return
    user = context.user_id or ""
    channel = channel_id or context.channel_id or ""
    if channel:
        try:
            client.chat_postEphemeral(channel=channel, user=user, thread_ts=thread_ts or None, **quiet)
        except SlackApiError as error:
            if error.response.get("error") not in {"channel_not_found", "not_in_channel", "user_not_in_channel"}:
                raise
        else:
            return
    client.chat_postMessage(channel=user, unfurl_links=False, unfurl_media=False, **quiet)


@contextmanager
def after_ack(desk: Desk, body: dict[str, Any], context: BoltContext) -> Iterator[None]:
    """What a listener does once it has acked. Its errors end here: Bolt would take the ack back."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 -- the edge of a listener
        _tell_problem(_explained(error, body, context), desk.client, context)


def on_error(
    error: Exception, body: dict[str, Any], context: BoltContext, client: WebClient, response: BoltResponse | None
) -> BoltResponse | None:
    """The edge of every listener: the person reads what to do next, never an exception's text.

    What could not be recorded is not acked: Slack delivers events again, and shows people an error. What is refused
    is acked, for a command with the reason in the ack itself.
    """
    drawn = _explained(error, body, context)
    refused = isinstance(error, UserError)
    if refused and "command" in body:
        return _in_ack(drawn)
    if refused or body.get("type") != "event_callback":  # events come again by themselves
        _tell_problem(drawn, client, context)
    return BoltResponse(status=HTTPStatus.OK, body="") if response is not None and refused else None


def _tell_problem(drawn: Drawn, client: WebClient, context: BoltContext) -> None:
    if not context.user_id:
        return
    try:
        tell(client, context, drawn)
    except (SlackApiError, OSError) as unsaid:
        log.warning("problem_unsaid", error=type(unsaid).__name__)


def _in_ack(drawn: Drawn) -> BoltResponse:
    """The answer to a command, as the ack itself: only the person sees it, and it costs no call."""
    said = {"response_type": "ephemeral", "text": drawn.text} | ({"blocks": drawn.blocks} if drawn.blocks else {})
    return BoltResponse(
        status=HTTPStatus.OK, body=json.dumps(said), headers={"content-type": "application/json;charset=utf-8"}
    )


def _explained(error: Exception, body: dict[str, Any], context: BoltContext) -> Drawn:
    """What the person reads, with an id of the log's line where the fault is not theirs."""
    if isinstance(error, UserError):
        log.info("refused", error=type(error).__name__, user_id=context.user_id, type=body.get("type"))
        return words.problem("That did not work", error.user_message)
    error_id = uuid.uuid4().hex[:12]
    sorry = "There was a fault on our side; nothing was started. Try it again in a moment."
    if isinstance(error, SlackApiError) and error.response.get("error") == "ratelimited":
        log.warning("slack_limits_us", error_id=error_id, url=error.response.api_url)
        return words.problem("Slack is busy", "Too much is going on in this workspace. Try it again in a minute.")
    log.error("listener_failed", error_id=error_id, user_id=context.user_id, exc_info=error)
    if isinstance(error, SQLAlchemyError):
        sorry = "The database is busy or away; nothing was started. Try it again in a moment."
    return words.problem("That did not work", sorry, error_id)
