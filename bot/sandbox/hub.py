"""What every part of the workspace works with: the state, the ways out of it, and the tasks in the background."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from bot.sandbox.delivery import Delivery
from bot.sandbox.faults import Faults
from bot.sandbox.journal import Journal
from bot.sandbox.live import Live
from bot.sandbox.presentation import Presenter
from bot.sandbox.rates import Rates
from bot.sandbox.response_urls import ResponseUrls
from bot.sandbox.signed_http import HttpCarrier
from bot.sandbox.socket_mode import SocketCarrier
from bot.sandbox.triggers import Triggers
from bot.sandbox.workspace import Workspace

Json = dict[str, Any]
log = structlog.get_logger()


@dataclass
class Plan:
    """How a workspace is to be; `request_url` may be set later."""

    url: str
    bot_token: str
    app_token: str
    signing_secret: str
    workspace_name: str
    delivery: str
    request_url: str
    commands: Sequence[Json]
    shortcuts: Sequence[Json]
    journal: bool
    rate_limits: bool
    stream_seconds: float
    trigger_seconds: float
    ack_seconds: float
    retry_seconds: Sequence[float]


class Hub:
    """One workspace with all its parts."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.workspace = Workspace(plan.workspace_name)
        self.present = Presenter(self.workspace, plan.url)
        self.live = Live()
        self.journal = Journal(lambda entry: self.live.tell({"type": "call", "entry": entry}), keeping=plan.journal)
        self.faults = Faults()
        self.rates = Rates(enforced=plan.rate_limits)
        self.triggers = Triggers(plan.trigger_seconds)
        self.response_urls = ResponseUrls(plan.url)
        self.sockets = SocketCarrier(plan.ack_seconds, self._connection_changed)
        self.http = HttpCarrier(
            lambda: plan.request_url, plan.signing_secret, plan.ack_seconds, self._connection_changed
        )
        self.carrier: SocketCarrier | HttpCarrier = self.http if plan.delivery == "http" else self.sockets
        self.delivery = Delivery(self.carrier, self.journal, self.faults, self.spawn, plan.retry_seconds)
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something in the background for as long as the workspace runs."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def start(self) -> None:
        """Begin to look for a bot that is reached over HTTP."""
        if self.carrier is self.http:
            self.spawn(self._keep_looking())

    async def close(self) -> None:
        """End the background's work and all connections."""
        self.live.close()
        await self.sockets.disconnect()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_looking(self) -> None:
        while True:
            await self.http.until_connected()
            await asyncio.sleep(0.5)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("background_failed", exc_info=task.exception())

    def _connection_changed(self) -> None:
        self.live.tell({"type": "connected", "connected": self.carrier.connected})
