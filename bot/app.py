"""The process that listens: Bolt over Socket Mode, or over signed HTTP behind a reverse proxy."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import structlog
import uvicorn
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_bolt.adapter.starlette.handler import to_bolt_request, to_starlette_response
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bot import client as slack_client
from bot import listeners, tokens
from bot.middleware import Desk, People, on_error
from bot.settings import SlackSettings
from workers.__main__ import stop_on_signals
from workers.bootstrap import mark_ready
from workers.context import Context
from workers.errors import SetupProblem

log = structlog.get_logger()

THREADS = 32
"""Listeners at once. They wait for the database and for Slack; they compute nothing."""
MOST_BODY_BYTES = 1_000_000
PATH = "/slack/events"


def build(context: Context, slack: SlackSettings) -> App:
    """The app with all its listeners. Its database must give up waiting well within Slack's three seconds."""
    quick = slack_client.build(slack, wait_when_limited=False, timeout=slack_client.TIMEOUT_BEFORE_ACK_SECONDS)
    logging.getLogger("slack_bolt.App").addFilter(_is_no_surprise)
    reply = slack_client.build(slack, wait_when_limited=False, timeout=slack_client.TIMEOUT_AFTER_ACK_SECONDS)
    app = App(
        client=reply,
        signing_secret=slack.signing_secret.get_secret_value() or None,
        request_verification_enabled=slack.mode == "http",
        token_verification_enabled=False,
        listener_executor=ThreadPoolExecutor(THREADS, thread_name_prefix="listener"),
    )
    app.error(on_error)
    listeners.register(app, Desk(context=context, people=People(quick, context.settings.admin_ids), client=reply))
    return app


def _is_no_surprise(record: logging.LogRecord) -> bool:
    """Bolt warns that it does not take the token from the environment: it has our client, with the same token."""
    return "`token` will be unused" not in record.getMessage()


def serve(context: Context, slack: SlackSettings) -> None:
    """Listen until SIGTERM. Raises SetupProblem where a token is missing or refused."""
    if slack.mode == "sandbox":
        raise SetupProblem("SLACK_BOT_TOKEN is not set. `finetune-bot up` starts a local workspace instead.")
    if problem := tokens.missing(slack):
        raise SetupProblem(problem)
    tokens.who(slack)
    app = build(context, slack)
    if slack.mode == "socket":
        _over_socket(context, slack, app)
    else:
        _over_http(context, slack, app)


def _over_socket(context: Context, slack: SlackSettings, app: App) -> None:
    stop = stop_on_signals()
    handler = SocketModeHandler(
        app,
        app_token=slack.app_token.get_secret_value(),
        web_client=slack_client.build(slack),
        concurrency=THREADS,
    )
    handler.connect()
    mark_ready(context.settings, "bot")
    log.info("listening", mode="socket")
    stop.wait()
    handler.close()
    _finish(app)


def _over_http(context: Context, slack: SlackSettings, app: App) -> None:
    server = uvicorn.Server(
        uvicorn.Config(http_app(app), host=slack.http_host, port=slack.http_port, log_config=None, access_log=False)
    )
    ready = threading.Timer(0.0, _mark_when_started, args=(context, server))
    ready.daemon = True
    ready.start()
    server.run()
    _finish(app)


def _mark_when_started(context: Context, server: uvicorn.Server) -> None:
    while not server.started and not server.should_exit:
        threading.Event().wait(0.05)
    mark_ready(context.settings, "bot")
    log.info("listening", mode="http")


def http_app(app: App) -> Starlette:
    """The web application that Slack's signed requests reach."""

    async def events(request: Request) -> Response:
        declared = request.headers.get("content-length", "")
        if not declared.isdecimal() or int(declared) > MOST_BODY_BYTES:
            return PlainTextResponse("too large", status_code=413)
        body = await request.body()
        if len(body) > MOST_BODY_BYTES:
            return PlainTextResponse("too large", status_code=413)
        try:
            asked = to_bolt_request(request, body)
        except UnicodeDecodeError:
            return PlainTextResponse("not UTF-8", status_code=400)
        return to_starlette_response(await run_in_threadpool(app.dispatch, asked))

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok")

    return Starlette(routes=[Route(PATH, events, methods=["POST"]), Route("/healthz", healthz)])


def _finish(app: App) -> None:
    """Let the listeners that run come to their end."""
    app.listener_runner.listener_executor.shutdown(wait=True, cancel_futures=True)
