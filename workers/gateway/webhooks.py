"""Vendors' webhooks: the news that a provider job has news. The poll that follows at once says which.

Nothing of a webhook is believed but that; so a forged one could at most cause a poll, and it is refused all the same.
Refusals say no more than that: they must not tell which workspaces there are.
"""

from typing import TYPE_CHECKING

import structlog
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from providers.errors import NotConfigured, ProviderError
from workers import credentials, inbound
from workers.context import Context
from workers.gateway.completions import read_body
from workers.gateway.openai_protocol import Refusal
from workers.runs import watching

if TYPE_CHECKING:
    from providers.openai.webhooks import WebhookEvent

log = structlog.get_logger()

MOST_BYTES = 65_536
"""A webhook has an id and a type in it, little more."""
LONGEST_TEAM = 64


class Webhooks:
    """Takes OpenAI's, one address a workspace: /webhooks/openai/TEAM."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def openai(self, request: Request, team_id: str) -> JSONResponse:
        """Have the run that it is about polled at once. Raises Refusal."""
        body = await read_body(request)
        if len(body) > MOST_BYTES:
            raise Refusal(413, "This webhook is too large.", code="request_too_large")
        headers = {name.lower(): value for name, value in request.headers.items()}
        await run_in_threadpool(self._take, body, headers, team_id)
        return JSONResponse({"received": True})

    def _take(self, body: bytes, headers: dict[str, str], team_id: str) -> None:
        from providers.openai import webhooks  # which loads the vendor's client library

        try:
            event = webhooks.read(body, headers, self._secret(team_id))
        except ProviderError as error:
            log.info("webhook_refused", error=type(error).__name__)
            raise Refusal(401, "This webhook is not signed as it should be.", "authentication_error") from None
        with self._context.db.write() as session:
            run_id = self._note(session, team_id, event)
        log.info("webhook_taken", type=event.type[:100], run_id=run_id)

    def _note(self, session: Session, team_id: str, event: "WebhookEvent") -> int | None:
        if event.job_id is None or not inbound.first_time(session, team_id, f"webhook:openai:{event.id}"):
            return None
        return watching.hurry(session, team_id, "openai", event.job_id)

    def _secret(self, team_id: str) -> str:
        """The workspace's webhook secret. Raises NotConfigured."""
        if len(team_id) > LONGEST_TEAM or not team_id.isalnum():
            raise NotConfigured("There is no such workspace.")
        with self._context.db.read() as session:
            secret = credentials.of(session, self._context.vault, team_id, "openai").get("webhook_secret", "")
        if not secret:
            raise NotConfigured("There is no webhook secret in this workspace.")
        return secret
