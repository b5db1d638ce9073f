"""Slack's cursors: a list is handed out page by page."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, TypeVar

from bot.sandbox.arguments import Arguments
from bot.sandbox.errors import SlackProblem

Item = TypeVar("Item")
Json = dict[str, Any]


def page(
    items: Sequence[Item], arguments: Arguments, *, default: int = 100, most: int = 1000
) -> tuple[list[Item], Json]:
    """One page, and the part of the answer that says where the next begins. Raises SlackProblem."""
    begin = _read(arguments.text("cursor"))
    end = begin + arguments.number("limit", default, most)
    more = end < len(items)
    cursor = base64.b64encode(f"next:{end}".encode()).decode() if more else ""
    return list(items[begin:end]), {"has_more": more, "response_metadata": {"next_cursor": cursor}}


def _read(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.b64decode(cursor, validate=True).decode().removeprefix("next:"))
    except (ValueError, binascii.Error) as error:
        raise SlackProblem("invalid_cursor") from error
