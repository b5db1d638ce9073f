"""The gateway: OpenAI-compatible chat for API keys, vendors' webhooks, health and metrics.

python -m workers gateway
"""

import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from workers import bootstrap
from workers.context import Context
from workers.context import build as build_context
from workers.errors import SetupProblem
from workers.gateway.access import Access
from workers.gateway.completions import Completions, read_body
from workers.gateway.edge import Edge, answer
from workers.gateway.generation import Places
from workers.gateway.health import Health
from workers.gateway.metrics import Metrics
from workers.gateway.openai_protocol import Refusal
from workers.gateway.webhooks import Webhooks
from workers.settings import Settings

GRACE_SECONDS = 10
"""On a stop, answers under way may go on for so long."""


def build(context: Context) -> FastAPI:
    """The application. Nothing is connected to yet."""
    places = Places()
    access = Access(context.db)
    metrics = Metrics(context.db, places)
    health = Health(context.db, context.settings.redis)
    completions = Completions(context, places, metrics.requests)
    webhooks = Webhooks(context)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await access.close()

    app = FastAPI(title="Finetune Bot", lifespan=lifespan, openapi_url=None)
    app.add_middleware(Edge, figures=metrics.requests)
    app.add_exception_handler(HTTPException, _no_such_route)

    @app.post("/v1/chat/completions")
    async def chat_completions(request: Request) -> Response:
        body = await read_body(request)
        key, endpoint = await access.check(request)
        return await completions.answer(request, body, key, endpoint)

    @app.get("/v1/models")
    async def models(request: Request) -> JSONResponse:
        _, endpoint = await access.check(request)
        created = int(endpoint.created_at)
        model = {"id": endpoint.model, "object": "model", "created": created, "owned_by": "finetune-bot"}
        return JSONResponse({"object": "list", "data": [model]})

    @app.post("/webhooks/openai/{team_id}")
    async def openai_webhook(request: Request, team_id: str) -> JSONResponse:
        return await webhooks.openai(request, team_id)

    @app.get("/healthz")
    async def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        found = await health.look()
        words = {name: "ok" if answers else "does not answer" for name, answers in found.items()}
        return JSONResponse(words, 200 if all(found.values()) else 503)

    @app.get("/metrics")
    async def show_metrics() -> Response:
        text = await run_in_threadpool(metrics.text)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    return app


async def _no_such_route(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: "There is nothing at this address.", 405: "This address does not take this method."}
    return answer(Refusal(error.status_code, words.get(error.status_code, "This request cannot be read.")))


class Server(uvicorn.Server):
    """Says when it serves."""

    def __init__(self, config: uvicorn.Config, settings: Settings) -> None:
        super().__init__(config)
        self._settings = settings

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve, then tell the supervisor."""
        await super().startup(sockets)
        if self.started:
            bootstrap.mark_ready(self._settings, "gateway")


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises SetupProblem where the port is taken."""
    context = build_context(settings)
    config = uvicorn.Config(
        build(context),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = Server(config, settings)

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    # The server has handlers of its own while it runs, and afterwards raises the signal once more for ours.
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        with _listen(settings.gateway_host, settings.gateway_port) as listening:
            server.run(sockets=[listening])
    finally:
        context.db.dispose()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise SetupProblem(
            f"The gateway cannot listen on {host}, port {port} ({error.strerror}). Stop what uses it, or set "
            "FINETUNE_BOT_GATEWAY_PORT to another port."
        ) from error
