"""The app's home tab: how to begin, one's runs, one's endpoints and what they cost, one's datasets."""

from collections.abc import Mapping, Sequence

from bot import escape
from bot.blocks import hosting, words
from bot.blocks.elements import Block, actions, context, divider, header, section
from providers.prices import Price
from workers.hosting.estimate import must_deploy
from workers.tables import Dataset, Endpoint, EndpointStatus, HostedModel, Run

MOST_ENDPOINTS = 10


def draw(
    runs: Sequence[Run],
    datasets: Sequence[Dataset],
    endpoints: Sequence[tuple[Endpoint, HostedModel | None]] = (),
    longer: Mapping[int, Price] | None = None,
    owed: Mapping[int, str] | None = None,
) -> Block:
    """The view to publish. `longer`, `owed`: by endpoint, as for `hosting.buttons`."""
    blocks: list[Block] = [header("Finetune Bot"), *words.help_text().blocks, divider(), header("Your runs")]
    blocks += words.runs(runs).blocks or [context("None yet.")]
    blocks.append(header("Your endpoints"))
    for endpoint, hosted in endpoints[:MOST_ENDPOINTS]:
        blocks += _endpoint(
            endpoint, hosted, (longer or {}).get(endpoint.id or 0), (owed or {}).get(endpoint.id or 0, "")
        )
    if len(endpoints) > MOST_ENDPOINTS:
        blocks.append(context(f"and {len(endpoints) - MOST_ENDPOINTS} older ones, in the threads of their runs"))
    elif not endpoints:
        blocks.append(context("None yet: a run that is ready has one."))
    blocks.append(header("Your datasets"))
    lines = [f"• {escape.mrkdwn(one.name, 80)} v{one.version} · {one.examples:,} examples" for one in datasets[:10]]
    blocks.append(section("\n".join(lines)) if lines else context("None yet: attach a file to a message in a channel."))
    return {"type": "home", "blocks": blocks}


def _endpoint(endpoint: Endpoint, hosted: HostedModel | None, longer: Price | None, owed: str) -> list[Block]:
    name = f"*{escape.mrkdwn(endpoint.name, 60)}*"
    if not must_deploy(endpoint.provider):
        return [section(f"{name}\n✅ answers, whenever it is asked")]
    asleep = " · 😴 asleep" if endpoint.status is EndpointStatus.ASLEEP else ""
    shown = section(f"{name}{asleep}\n{hosting.line(hosted)}")
    buttons = hosting.buttons(endpoint, hosted, longer, owed)
    return [shown, actions(*buttons)] if buttons else [shown]
