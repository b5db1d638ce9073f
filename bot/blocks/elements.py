"""The small pieces of Block Kit that everything else is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Block = dict[str, Any]

MOST_FALLBACK = 3500
MOST_BLOCKS = 50
MOST_MESSAGE = 10_000
"""Characters of a message's blocks; Slack shows some more."""
MOST_OPTIONS = 100
MOST_VALUE = 150
"""Of a menu, and characters of the value of each."""


@dataclass(frozen=True)
class Drawn:
    """A message: `text` is for notifications and screen readers and where blocks cannot be shown."""

    text: str
    blocks: list[Block] = field(default_factory=list)
    file_name: str = ""
    file: bytes = b""

    @property
    def is_file(self) -> bool:
        """Whether this is an uploaded picture and not a message."""
        return bool(self.file_name)


def _mrkdwn(text: str, most: int) -> Block:
    """Slack refuses an empty text."""
    return {"type": "mrkdwn", "text": text[:most] or "–"}


def section(text: str, *, accessory: Block | None = None) -> Block:
    """A paragraph of mrkdwn, perhaps with a control at its right."""
    made: Block = {"type": "section", "text": _mrkdwn(text, 3000)}
    return made | ({"accessory": accessory} if accessory else {})


def fields(*texts: str) -> Block:
    """Up to ten short texts in two columns."""
    return {"type": "section", "fields": [_mrkdwn(text, 2000) for text in texts[:10]]}


def header(text: str) -> Block:
    """A title in plain text."""
    return {"type": "header", "text": {"type": "plain_text", "text": text[:150], "emoji": True}}


def context(*texts: str) -> Block:
    """Small grey text."""
    return {"type": "context", "elements": [_mrkdwn(text, 2000) for text in texts[:10]]}


def divider() -> Block:
    """A line."""
    return {"type": "divider"}


def actions(*elements: Block) -> Block:
    """A line of buttons."""
    return {"type": "actions", "elements": list(elements)}


def button(text: str, action_id: str, value: str, *, style: str = "", confirm: Block | None = None) -> Block:
    """A button; `style` is "primary" or "danger"."""
    made: Block = {
        "type": "button",
        "text": {"type": "plain_text", "text": text[:75], "emoji": True},
        "action_id": action_id,
        "value": value[:2000],
    }
    if style:
        made["style"] = style
    if confirm:
        made["confirm"] = confirm
    return made


def overflow(action_id: str, options: Sequence[Block], *, confirm: Block | None = None) -> Block:
    """The ⋯ menu: at most five choices."""
    made: Block = {"type": "overflow", "action_id": action_id, "options": list(options[:5])}
    return made | ({"confirm": confirm} if confirm else {})


def checkboxes(action_id: str, options: Sequence[Block], *, made: bool = True) -> Block:
    """At most ten choices, all or none of them made at first."""
    shown = list(options[:10])
    boxes: Block = {"type": "checkboxes", "action_id": action_id, "options": shown}
    return boxes | ({"initial_options": shown} if made else {})


def confirm(title: str, text: str, yes: str, no: str, *, style: str = "danger") -> Block:
    """The question that a button asks before it acts."""
    return {
        "title": {"type": "plain_text", "text": title[:100]},
        "text": {"type": "plain_text", "text": text[:300]},
        "confirm": {"type": "plain_text", "text": yes[:30]},
        "deny": {"type": "plain_text", "text": no[:30]},
        "style": style,
    }


def option(text: str, value: str, description: str = "") -> Block:
    """One choice of a menu."""
    made: Block = {"text": {"type": "plain_text", "text": text[:75]}, "value": value[:MOST_VALUE]}
    if description:
        made["description"] = {"type": "plain_text", "text": description[:75]}
    return made


def select(action_id: str, options: Sequence[Block], chosen: str) -> Block:
    """A menu with one choice made; the first where `chosen` is not among them."""
    initial = next((one for one in options if one["value"] == chosen), options[0])
    return {
        "type": "static_select",
        "action_id": action_id,
        "options": list(options[:MOST_OPTIONS]),
        "initial_option": initial,
    }


def select_exactly(action_id: str, options: Sequence[Block], chosen: str, unlisted: str) -> Block:
    """A menu in which nothing else than `chosen` is chosen: where it is not listed it is added, as `unlisted`."""
    value = chosen[:MOST_VALUE]
    listed = list(options)[:MOST_OPTIONS]
    if value not in {one["value"] for one in listed}:
        kept = next((one for one in options if one["value"] == value), option(unlisted, value))
        listed = [*listed[: MOST_OPTIONS - 1], kept]
    return select(action_id, listed, value)


def text_input(action_id: str, value: str, *, multiline: bool = False, placeholder: str = "", most: int = 0) -> Block:
    """A field for text."""
    made: Block = {"type": "plain_text_input", "action_id": action_id, "multiline": multiline}
    if value:
        made["initial_value"] = value
    if placeholder:
        made["placeholder"] = {"type": "plain_text", "text": placeholder[:150]}
    if most:
        made["max_length"] = most
    return made


def number_input(action_id: str, value: float, low: float, high: float, *, decimal: bool) -> Block:
    """A field for a number."""
    return {
        "type": "number_input",
        "action_id": action_id,
        "is_decimal_allowed": decimal,
        "initial_value": f"{Decimal(repr(value)):f}" if decimal else f"{value:.0f}",
        "min_value": f"{low:.10f}".rstrip("0").rstrip("."),
        "max_value": f"{high:.10f}".rstrip("0").rstrip("."),
    }


def field_block(
    block_id: str, label: str, element: Block, *, optional: bool = False, hint: str = "", dispatch: bool = False
) -> Block:
    """An input of a form; `dispatch`: each change is told at once."""
    made: Block = {
        "type": "input",
        "block_id": block_id,
        "label": {"type": "plain_text", "text": label[:2000]},
        "element": element,
        "optional": optional,
    }
    if dispatch:
        made["dispatch_action"] = True
    if hint:
        made["hint"] = {"type": "plain_text", "text": hint[:2000]}
    return made


def table(rows: Sequence[Sequence[str]]) -> Block:
    """A table of plain text; the first row is its head."""
    return {
        "type": "table",
        "rows": [[{"type": "raw_text", "text": cell or "–"} for cell in row[:20]] for row in rows[:100]],
    }


def modal(
    callback_id: str, title: str, blocks: Sequence[Block], *, submit: str = "", close: str = "Close", metadata: str = ""
) -> Block:
    """A form."""
    made: Block = {
        "type": "modal",
        "callback_id": callback_id,
        "title": {"type": "plain_text", "text": title[:24]},
        "close": {"type": "plain_text", "text": close[:24]},
        "blocks": list(blocks[:100]),
        "private_metadata": metadata,
    }
    if submit:
        made["submit"] = {"type": "plain_text", "text": submit[:24]}
    return made


def fitting(blocks: Sequence[Block], left_out: str, *, most: int = MOST_MESSAGE) -> list[Block]:
    """The first of the blocks, as many as Slack takes in one message; `left_out` says so where some are missing."""
    kept: list[Block] = []
    left = most - len(left_out)
    for block in blocks:
        left -= characters(block)
        if left < 0:
            return [*kept[: MOST_BLOCKS - 1], context(left_out)]
        kept.append(block)
    return kept if len(kept) <= MOST_BLOCKS else [*kept[: MOST_BLOCKS - 1], context(left_out)]


def characters(value: object) -> int:
    """How much text is shown in a block, or in anything in it."""
    if isinstance(value, Mapping):
        own = value.get("text")
        return (len(own) if isinstance(own, str) else 0) + sum(characters(one) for one in value.values())
    return sum(characters(one) for one in value) if isinstance(value, list) else 0


def bar(share: float, width: int = 20) -> str:
    """A progress bar of text."""
    full = round(max(0.0, min(1.0, share)) * width)
    return "█" * full + "░" * (width - full)
