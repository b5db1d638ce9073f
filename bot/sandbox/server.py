"""The workspace as a server: all its addresses on one port of this machine, in a thread or in the foreground."""

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket
from uvicorn.protocols.http.h11_impl import H11Protocol

from bot.sandbox import arguments, file_host, interactions, people, web_api
from bot.sandbox.cast import ADA, TUNER
from bot.sandbox.errors import SlackProblem
from bot.sandbox.hub import Hub, Plan
from bot.sandbox.ids import secret
from bot.sandbox.journal import Kind

PAGE = Path(__file__).parent / "page"
HOST = "127.0.0.1"
COMMANDS = (
    {"command": "/finetune", "usage_hint": "start | status | cancel 12 | help", "description": "Fine-tune a model"},
)
START_SECONDS = 10.0
NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Sandbox:
    """A Slack workspace on this machine. As a context manager it runs in a thread of its own.

    `delivery` is "socket" (Socket Mode) or "http" (signed, to `request_url`). Tokens and the secret are made up
    unless given. The `..._seconds` are Slack's own times: how long a stream lives, a trigger opens a form and an
    acknowledgement may take, and the pauses before an event that was not acknowledged comes again.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        delivery: str = "socket",
        request_url: str = "",
        bot_token: str = "",
        app_token: str = "",
        signing_secret: str = "",
        workspace_name: str = "Example Team",
        journal: bool = True,
        rate_limits: bool = True,
        commands: Sequence[dict[str, Any]] = COMMANDS,
        shortcuts: Sequence[dict[str, Any]] = (),
        stream_seconds: float = 300.0,
        trigger_seconds: float = 3.0,
        ack_seconds: float = 3.0,
        retry_seconds: Sequence[float] = (0.0, 60.0, 300.0),
    ) -> None:
        if delivery not in {"socket", "http"}:
            raise ValueError("delivery is socket or http")
        self._socket = socket.create_server((HOST, port))
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}"
        self._plan = Plan(
            url=self.url,
            bot_token=bot_token or f"xoxb-{secret(12)}-{secret(24)}",
            app_token=app_token or f"xapp-1-{secret(12)}-{secret(24)}",
            signing_secret=signing_secret or secret(32).lower(),
            workspace_name=workspace_name,
            delivery=delivery,
            request_url=request_url,
            commands=commands,
            shortcuts=shortcuts,
            journal=journal,
            rate_limits=rate_limits,
            stream_seconds=stream_seconds,
            trigger_seconds=trigger_seconds,
            ack_seconds=ack_seconds,
            retry_seconds=retry_seconds,
        )
        config = uvicorn.Config(
            application(Hub(self._plan)),
            http=Protocol,
            ws="websockets-sansio",
            lifespan="on",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
            timeout_keep_alive=75,
            ws_max_size=16 << 20,
            ws_ping_interval=1.0,  # Slack's client looks up only when something comes: so it closes in a second
        )
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    @property
    def request_url(self) -> str:
        """Where the bot listens, for delivery over HTTP."""
        return self._plan.request_url

    @request_url.setter
    def request_url(self, url: str) -> None:
        self._plan.request_url = url

    def env(self) -> dict[str, str]:
        """The variables that point a bot at this workspace; the first of its people is the bot's admin."""
        env = {
            "SLACK_API_URL": f"{self.url}/api/",
            "SLACK_BOT_TOKEN": self._plan.bot_token,
            "SLACK_SIGNING_SECRET": self._plan.signing_secret,
            "FINETUNE_BOT_ADMINS": f"{TUNER.id},{ADA.id}",
        }
        if self._plan.delivery == "socket":
            env["SLACK_APP_TOKEN"] = self._plan.app_token
        return env

    def start(self) -> None:
        """Serve from a thread; returns when the workspace answers."""
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="sandbox", daemon=True)
        self._thread.start()
        pause = threading.Event()
        for _ in range(int(START_SECONDS * 200)):
            if self._server.started or not self._thread.is_alive():
                break
            pause.wait(0.005)
        if not self._server.started:
            self.close()
            raise RuntimeError("the local workspace did not start")

    def run(self) -> None:
        """Serve in the foreground until Ctrl-C."""
        try:
            self._server.run([self._socket])
        finally:
            self._socket.close()

    def close(self) -> None:
        """End it; what was said in it is gone."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._socket.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Protocol(H11Protocol):
    """HTTP whose connection a handler may cut: `request.state.hang_up()`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember how to cut it."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "hang_up": transport.abort}


class OnlyFromHere:
    """Refuses other hosts' names and other pages' requests: a web page elsewhere must not act in the workspace."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what comes from this machine's own pages and programs."""
        if scope["type"] in {"http", "websocket"}:
            headers = HTTPConnection(scope).headers
            host = headers.get("host", "")
            origin = headers.get("origin")
            if re.sub(r":\d+$", "", host) not in NAMES or (origin is not None and origin != f"http://{host}"):
                await PlainTextResponse("only from this machine", status_code=403)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def application(hub: Hub) -> Starlette:
    """All the addresses of one workspace."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        hub.start()
        yield
        await hub.close()

    def with_hub(handle: Callable[[Hub, Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return await handle(hub, request)

        return endpoint

    async def page(_request: Request) -> Response:
        return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-store"})

    async def live(websocket: WebSocket) -> None:
        try:
            user = people.person(hub, websocket.query_params.get("user"))
        except SlackProblem:
            await websocket.close(1008)
            return
        await hub.live.serve(websocket, user.id)

    return Starlette(
        routes=[
            Route("/", page),
            Mount("/static", StaticFiles(directory=PAGE)),
            Route("/api/{method}", with_hub(web_api.serve), methods=["GET", "POST"]),
            Route("/upload/v1/{file_id}", with_hub(file_host.receive), methods=["POST"]),
            Route("/files-pri/{file}/{rest:path}", with_hub(file_host.hand_out)),
            Route("/response/{team}/{key}", with_hub(_respond), methods=["POST"]),
            *people.routes(hub),
            WebSocketRoute("/link/", hub.sockets.serve),
            WebSocketRoute("/sandbox/live", live),
        ],
        middleware=[Middleware(OnlyFromHere)],
        lifespan=lifespan,
    )


async def _respond(hub: Hub, request: Request) -> Response:
    """A response_url is used."""
    status, answer, given = 200, {"ok": True}, arguments.Arguments({})
    try:
        occasion = hub.response_urls.spend(request.path_params["key"])
        given = await arguments.read(request)
        payload = given.nested("payload")
        given = arguments.Arguments(payload) if isinstance(payload, dict) else given
        interactions.respond(hub, occasion, given)
    except SlackProblem as problem:
        status, answer = 404 if problem.code in {"used_url", "expired_url"} else 400, problem.answer()
    hub.journal.write(Kind.CALL, method="response_url", request=given.readable(), response=answer)
    return PlainTextResponse("ok") if status == 200 else JSONResponse(answer, status_code=status)
