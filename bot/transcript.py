"""A channel as text: what the demo prints while it happens. Reads Slack's messages, knows no product."""

import html
import re
from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]

_LINK = re.compile(r"<(https?://[^|>]+)\|([^>]+)>|<(https?://[^|>]+)>")
_DATE = re.compile(r"<!date\^\d+\^[^|>]*\|([^>]*)>")
_MARK = re.compile(r"(?<![\w*])\*([^*\n]+)\*(?![\w*])|(?<![\w_])_([^_\n]+)_(?![\w_])")
_EMOJI = {
    "white_check_mark": "✅", "warning": "⚠️", "x": "❌", "eyes": "👀", "hourglass_flowing_sand": "⏳", "tada": "🎉",
    "chart_with_downwards_trend": "📉", "speech_balloon": "💬", "key": "🔑", "thumbsup": "👍", "thumbsdown": "👎",
}  # fmt: skip


def plain(text: str) -> str:
    """Slack's markup as plain text."""
    text = _DATE.sub(lambda found: found[1], text)
    text = _LINK.sub(lambda found: found[2] or found[1] or found[3], text)
    text = _MARK.sub(lambda found: found[1] or found[2], text)
    text = re.sub(r":([a-z0-9_+-]+):", lambda found: _EMOJI.get(found[1], found[0]), text)
    return html.unescape(text.replace("\N{ZERO WIDTH SPACE}", ""))


def lines(message: Json) -> Iterator[str]:
    """The message's content, line by line: its blocks if it has any, else its text, then its files."""
    blocks = message.get("blocks") or []
    if blocks:
        for block in blocks:
            yield from _block(block)
    elif message.get("text"):
        yield from plain(str(message["text"])).splitlines()
    for file in message.get("files") or []:
        yield f"📎 {file.get('name', 'file')} ({int(file.get('size') or 0):,} bytes)"


def view_lines(view: Json, values: Json) -> Iterator[str]:
    """A form as it is submitted: its title, each field with what is in it, and its other text."""
    yield f"┌ {_text(view.get('title'))}"
    for block in view.get("blocks") or []:
        if block.get("type") == "input":
            typed = next(iter((values.get(block.get("block_id")) or {}).values()), None)
            shown = _initial(block.get("element") or {}) if typed is None else str(typed)
            yield f"│ {_text(block.get('label'))}: {shown}"
        else:
            yield from (f"│ {line}" for line in _block(block))
    yield f"└ [{_text(view.get('submit')) or 'Close'}]"


def _block(block: Json) -> Iterator[str]:
    kind = block.get("type")
    if kind in {"section", "header"}:
        yield from plain(_text(block.get("text"))).splitlines()
        for field in block.get("fields") or []:
            yield from plain(_text(field)).splitlines()
        if block.get("accessory"):
            yield from _buttons([block["accessory"]])
    elif kind == "markdown":
        yield from plain(str(block.get("text", ""))).splitlines()
    elif kind == "context":
        yield "  ".join(plain(_text(element)) for element in block.get("elements") or [])
    elif kind == "actions":
        yield from _buttons(block.get("elements") or [])
    elif kind == "image":
        yield f"🖼  {block.get('alt_text', 'picture')}"
    elif kind == "table":
        yield from _table(block.get("rows") or [])
    elif kind == "context_actions":
        yield "[👍] [👎]"
    elif kind == "rich_text":
        yield from plain(_rich(block)).splitlines()


def _table(rows: list[list[Json]]) -> Iterator[str]:
    cells = [[plain(_text(cell) or _rich(cell)) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(min(map(len, cells), default=0))]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()


def _rich(node: Any) -> str:
    if isinstance(node, Mapping):
        return str(node.get("text", "")) if node.get("type") == "text" else _rich(node.get("elements"))
    return "".join(_rich(child) for child in node or [])


def _buttons(elements: list[Json]) -> Iterator[str]:
    shown = [_text(element.get("text")) for element in elements if element.get("type") == "button"]
    if shown:
        yield " ".join(f"[{plain(text)}]" for text in shown)


def _initial(element: Json) -> str:
    option = element.get("initial_option")
    if option:
        return _text(option.get("text"))
    options = element.get("initial_options")
    if options:
        return ", ".join(_text(one.get("text")) for one in options)
    return str(element.get("initial_value") or "–")


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("text", ""))
    return str(value or "")
