"""The Web API's methods by name; each module of methods adds its own."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.arguments import Arguments
from bot.sandbox.hub import Hub
from bot.sandbox.workspace import Workspace

Json = dict[str, Any]


@dataclass
class Call:
    """One call of a method: the workspace, the arguments, and remarks for the journal."""

    hub: Hub
    arguments: Arguments
    problems: list[str] = field(default_factory=list)

    @property
    def workspace(self) -> Workspace:
        """The workspace's state."""
        return self.hub.workspace


Handler = Callable[[Call], Awaitable[Json]]
METHODS: dict[str, Handler] = {}


def method(name: str) -> Callable[[Callable[[Call], Json]], Callable[[Call], Json]]:
    """Offer a function as a method of the Web API. Its answer is completed by "ok": true."""

    def register(function: Callable[[Call], Json]) -> Callable[[Call], Json]:
        async def handle(call: Call) -> Json:
            return {"ok": True, **function(call)}

        METHODS[name] = handle
        return function

    return register
