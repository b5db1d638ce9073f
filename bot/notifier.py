"""The process that posts: announcements in order, and the tasks of the queue slack (downloads, answers).

Beside the bot it is the only one with a Slack token.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import structlog
from slack_sdk import WebClient
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from bot import client as slack_client
from bot.deliver import deliver
from bot.settings import SlackSettings
from workers import announcements
from workers.__main__ import stop_on_signals
from workers.announcements import Trouble
from workers.bootstrap import mark_ready
from workers.context import Context
from workers.queues.threaded import ThreadedWorker
from workers.tables import Announcement

log = structlog.get_logger()

LOOK_SECONDS = 0.25
"""How often the outbox is looked at while there is nothing in it."""
CLAIM_SECONDS = 60.0
"""How long a claim on an announcement holds; a post with its retries takes less."""
AT_ONCE = 4
REDRAW_SECONDS = 30.0
"""When a message that could not be drawn is tried again; after a while it is given up."""


def run(context: Context, slack: SlackSettings) -> None:
    """Serve until SIGTERM."""
    stop = stop_on_signals()
    worker = ThreadedWorker(context)
    thread = threading.Thread(target=worker.run, args=(stop,), name="queue-slack")
    thread.start()
    mark_ready(context.settings, "notifier")
    try:
        post(context, slack_client.build(slack, wait_when_limited=False), stop)
    finally:
        stop.set()
        thread.join()


def post(context: Context, client: WebClient, stop: threading.Event) -> None:
    """Empty the outbox until `stop` is set. What is claimed then is still sent."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="post") as pool:
        while not stop.is_set():
            try:
                claimed = _claim(context)
            except SQLAlchemyError as error:
                log.warning("outbox_unreadable", error=type(error).__name__)
                stop.wait(1.0)
                continue
            list(pool.map(partial(send, context, client), claimed))
            if not claimed:
                stop.wait(LOOK_SECONDS)


def _claim(context: Context) -> list[Announcement]:
    with context.db.read() as session:
        if not announcements.any_due(session):
            return []
    with context.db.write() as session:
        return announcements.take_due(session, CLAIM_SECONDS, limit=AT_ONCE)


def send(context: Context, client: WebClient, claimed: Announcement) -> None:
    """Send one message. While the database is away its claim runs out, and it is claimed again."""
    try:
        _attempt(context, client, claimed)
    except SQLAlchemyError as error:
        log.warning("announcement_left_to_its_claim", announcement_id=claimed.id, error=type(error).__name__)


def _attempt(context: Context, client: WebClient, claimed: Announcement) -> None:
    try:
        deliver(context, client, claimed)
    except DBAPIError:
        raise
    except Exception:  # the edge: one message that cannot be drawn must not silence the others
        log.exception("announcement_failed", announcement_id=claimed.id, kind=claimed.kind)
        announcements.failed(context.db, claimed, Trouble.REFUSED, "could not be drawn", REDRAW_SECONDS)
