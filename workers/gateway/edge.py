"""What surrounds each request: an id, its figures, and a plain answer where something broke.

Neither answers nor logs repeat an exception's text: it may hold what people wrote, or a secret.
"""

import time
import traceback
import uuid

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from providers.errors import InvalidRequest, ProviderError, RateLimited, Unavailable
from workers.gateway.metrics import RequestFigures
from workers.gateway.openai_protocol import Refusal

log = structlog.get_logger()

RETRY_SECONDS = 5.0
GONE = 499
"""How a request is counted whose client hung up before the answer."""


class Edge:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, figures: RequestFigures) -> None:
        self._app = app
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex[:12]
        scope.setdefault("state", {})["request_id"] = request_id
        began, status = time.monotonic(), 0

        async def count_and_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, count_and_send)
        except ClientDisconnect:
            status = GONE
        except Exception as error:  # noqa: BLE001 -- the process's edge
            refusal = translate(error, request_id)
            if status == 0:
                await answer(refusal)(scope, receive, count_and_send)
        finally:
            self._figures.note(scope["path"], status or GONE, time.monotonic() - began)


def answer(refusal: Refusal) -> JSONResponse:
    """The refusal as it goes out."""
    headers = {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(refusal.retry_after)))
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(refusal.body(), refusal.status, headers)


def translate(error: Exception, error_id: str) -> Refusal:
    """Log what broke, and say as much as a client should know."""
    if isinstance(error, Refusal):
        return error
    known = isinstance(error, ProviderError | SQLAlchemyError)
    if known:
        log.warning("request_failed", error_id=error_id, error=type(error).__name__)
    else:
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("request_broke", error_id=error_id, error=type(error).__name__, where=where)
    match error:
        case RateLimited():
            wait = error.retry_after or RETRY_SECONDS
            words = "The model is busy. Try again in a moment."
            return Refusal(429, words, "rate_limit_error", code="rate_limit_exceeded", retry_after=wait)
        case Unavailable():
            wait = error.retry_after or RETRY_SECONDS
            return _ours(503, "The model cannot be reached just now. Try again in a moment", error_id, wait)
        case InvalidRequest():
            words = f"The model does not take this request; perhaps it is too long. Error id: {error_id}."
            return Refusal(400, words, code="rejected_by_model")
        case ProviderError():
            return _ours(502, "The model cannot answer. Ask whoever runs this bot", error_id)
        case SQLAlchemyError():
            return _ours(503, "The database does not answer just now. Try again in a moment", error_id, RETRY_SECONDS)
        case _:
            return _ours(500, "Something broke on our side", error_id)


def _ours(status: int, words: str, error_id: str, retry_after: float | None = None) -> Refusal:
    words = f"{words}. Error id: {error_id}."
    return Refusal(status, words, "server_error", code="server_error", retry_after=retry_after)
