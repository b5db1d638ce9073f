"""Buttons that repeat a run elsewhere, and the message about a model that will not answer for long."""

from collections.abc import Sequence
from typing import Any

from bot import escape
from bot.blocks.elements import Block, Drawn, actions, button, context, section
from workers.runs.rehome import RehomeOffer
from workers.tables import Run

MOST_BUTTONS = 4


def buttons(offers: Sequence[RehomeOffer]) -> list[Block]:
    """A button for each place; no block where there is none."""
    made = [button(escape.plain(one.label, 75), one.action_id, one.value) for one in offers[:MOST_BUTTONS]]
    return [actions(*made)] if made else []


def retiring(run: Run, data: dict[str, Any], offers: Sequence[RehomeOffer]) -> Drawn:
    """That the run's model ends soon, who says so, and where it can be trained again."""
    said = f"⏰ *{escape.mrkdwn(run.name, 60)}*: {escape.mrkdwn(str(data.get('words') or ''), 600)}"
    blocks: list[Block] = [section(said)]
    if offers:
        blocks.append(section("The same data can be trained elsewhere and compared with this run:"))
        blocks += buttons(offers)
    else:
        blocks.append(
            context("No other provider is set up here that would train it: an admin adds one, /finetune keys")
        )
    return Drawn(text=said, blocks=blocks)
