"""The app's home tab: how to begin, one's runs, one's datasets."""

from collections.abc import Sequence

from bot import escape
from bot.blocks import words
from bot.blocks.elements import Block, context, divider, header, section
from workers.tables import Dataset, Run


def draw(runs: Sequence[Run], datasets: Sequence[Dataset]) -> Block:
    """The view to publish."""
    blocks: list[Block] = [header("Finetune Bot"), *words.help_text().blocks, divider(), header("Your runs")]
    blocks += words.runs(runs).blocks or [context("None yet.")]
    blocks.append(header("Your datasets"))
    lines = [f"• {escape.mrkdwn(one.name, 80)} v{one.version} · {one.examples:,} examples" for one in datasets[:10]]
    blocks.append(section("\n".join(lines)) if lines else context("None yet: attach a file to a message in a channel."))
    return {"type": "home", "blocks": blocks}
