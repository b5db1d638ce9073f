"""The Web API's door: who calls, faults and rates, then the method; everything goes into the journal."""

import asyncio
import time
from collections.abc import Callable

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from bot.sandbox import (
    arguments,
    methods_chat,
    methods_conversations,
    methods_files,
    methods_streams,
    methods_team,
    methods_views,
)
from bot.sandbox.arguments import Arguments
from bot.sandbox.errors import RateLimited, SlackProblem
from bot.sandbox.faults import Fault, FaultKind
from bot.sandbox.hub import Hub
from bot.sandbox.ids import secret
from bot.sandbox.journal import Kind
from bot.sandbox.registry import METHODS, Call, Json

log = structlog.get_logger()
MODULES = (methods_chat, methods_conversations, methods_files, methods_streams, methods_team, methods_views)
"""Imported for what they add to METHODS."""
OF_APP_TOKEN = frozenset({"apps.connections.open"})
OF_NO_TOKEN = frozenset({"api.test"})
SCOPES = (
    "app_mentions:read,assistant:write,channels:history,channels:read,chat:write,commands,files:read,files:write,"
    "groups:history,groups:read,im:history,im:read,im:write,reactions:read,reactions:write,users:read"
)


async def serve(hub: Hub, request: Request) -> Response:
    """Answer one call."""
    name = request.path_params["method"]
    began = time.monotonic()
    call = Call(hub, Arguments({}))
    fault: Fault | None = None
    status, headers = 200, {"x-oauth-scopes": SCOPES, "x-slack-req-id": secret(32).lower()}
    try:
        call.arguments = await arguments.read(request)
        authorize(hub, name, token_of(request, call.arguments))
        fault = hub.faults.of_call(name)
        if fault and fault.kind is FaultKind.STATUS:
            _note(call, name, began, {"ok": False, "error": f"status {fault.status}"})
            return PlainTextResponse("upstream error", status_code=fault.status)
        _refuse_as_asked(fault)
        answer = await _carry_out(call, name)
    except RateLimited as problem:
        status, headers["Retry-After"] = 429, str(int(max(1, problem.retry_after)))
        answer = problem.answer()
    except SlackProblem as problem:
        answer = problem.answer()
    except Exception:
        error_id = secret(8)
        log.exception("method_failed", method=name, error_id=error_id)
        answer = {"ok": False, "error": "fatal_error", "error_id": error_id}
    _note(call, name, began, answer)
    if fault and fault.kind is FaultKind.DELAY:
        await asyncio.sleep(fault.seconds)
    if fault and fault.kind is FaultKind.DROP_RESPONSE:
        hang_up: Callable[[], None] = request.state.hang_up
        hang_up()
        await asyncio.sleep(0)
    return JSONResponse(answer, status_code=status, headers=headers)


async def _carry_out(call: Call, name: str) -> Json:
    if name not in METHODS:
        raise SlackProblem("unknown_method", req_method=name)
    call.hub.rates.spend(name, call.arguments.text("channel"))
    return await METHODS[name](call)


def token_of(request: Request, given: Arguments) -> str:
    """The token of a call, from its header or among its arguments."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else given.text("token")


def authorize(hub: Hub, name: str, token: str) -> None:
    """Raises SlackProblem unless the token is right, and right for this method."""
    if name in OF_NO_TOKEN:
        return
    if not token:
        raise SlackProblem("not_authed")
    if token not in {hub.plan.bot_token, hub.plan.app_token}:
        raise SlackProblem("invalid_auth")
    if (token == hub.plan.app_token) != (name in OF_APP_TOKEN):
        raise SlackProblem("not_allowed_token_type")


def _refuse_as_asked(fault: Fault | None) -> None:
    if fault and fault.kind is FaultKind.ERROR:
        raise SlackProblem(fault.error or "internal_error")
    if fault and fault.kind is FaultKind.RATELIMITED:
        raise RateLimited(fault.retry_after)


def _note(call: Call, name: str, began: float, answer: Json) -> None:
    problems = call.problems or None
    seconds = round(time.monotonic() - began, 4)
    request = call.arguments.readable()
    call.hub.journal.write(Kind.CALL, method=name, request=request, response=answer, problems=problems, seconds=seconds)
