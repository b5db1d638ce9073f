"""How to talk to the tuned model: in this thread, or over HTTP."""

import time
from collections.abc import Sequence

from bot import escape
from bot.blocks import hosting
from bot.blocks.elements import Block, Drawn, actions, button, confirm, context, section
from providers.prices import Price
from workers.hosting.estimate import must_deploy
from workers.tables import ApiKey, Endpoint, EndpointStatus, HostedModel

MOST_KEYS = 40
"""So many fit into one message of Slack's."""


def draw(
    endpoint: Endpoint,
    gateway: str,
    hosted: HostedModel | None = None,
    longer: Price | None = None,
    owed: str = "",
) -> Drawn:
    """The endpoint's message; `gateway` is the address as people reach it.

    `hosted`: where it must be hosted. `longer`, `owed`: as for `hosting.buttons`.
    """
    name = escape.mrkdwn(endpoint.name, 60)
    if endpoint.status is EndpointStatus.DELETED:
        return Drawn(text=f"🗑️ {name} is deleted.", blocks=[section(f"🗑️ *{name}* is deleted: nobody answers here.")])
    awake = endpoint.status is EndpointStatus.ACTIVE
    text = f"💬 {name} is ready to chat: reply in this thread." if awake else f"😴 {name} is asleep."
    first = f"💬 *{name}* is ready. *Reply in this thread* and it answers." if awake else f"😴 *{name}* is asleep."
    leased = must_deploy(endpoint.provider)
    return Drawn(
        text=text,
        blocks=[
            section(first),
            *([section(hosting.line(hosted))] if leased else []),
            section(
                "For programs, it speaks OpenAI's chat protocol:\n"
                f"• address `{escape.code(gateway)}/v1`\n• model `{escape.code(endpoint.model, 120)}`"
            ),
            actions(
                *(hosting.buttons(endpoint, hosted, longer, owed) if leased else []),
                button("Get an API key", "endpoint_key", str(endpoint.id)),
                button("Your API keys", "endpoint_keys", str(endpoint.id)),
            ),
            context("An API key is shown once, to you alone."),
        ],
    )


def key(endpoint: Endpoint, gateway: str, secret: str, key_id: int) -> Drawn:
    """The new key, for the person who asked and nobody else."""
    return Drawn(
        text=f"🔑 Your API key for {escape.mrkdwn(endpoint.name, 60)}: {secret} (model: {escape.code(endpoint.model)})",
        blocks=[
            section(
                f"🔑 Your API key for *{escape.mrkdwn(endpoint.name, 60)}*. Copy it now: it is not shown again.\n"
                f"```{secret}```\nmodel: `{escape.code(endpoint.model, 120)}` · address: `{escape.code(gateway)}/v1`"
            ),
            actions(_revoke(key_id)),
        ],
    )


def keys(endpoint: Endpoint, found: Sequence[ApiKey]) -> Drawn:
    """A person's keys to the endpoint, by their first characters, each with its Revoke."""
    name = escape.mrkdwn(endpoint.name, 60)
    if not found:
        return Drawn(text=f"You have no API key to {name}.")
    blocks = [section(f"🔑 Your API keys to *{name}*")]
    for one in found[:MOST_KEYS]:
        made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(one.created_at))
        blocks.append(section(f"`{escape.code(one.prefix)}…` made {made}") | {"accessory": _revoke(one.id or 0)})
    if len(found) > MOST_KEYS:
        blocks.append(context(f"and {len(found) - MOST_KEYS} older ones"))
    return Drawn(text=f"Your API keys to {name}", blocks=blocks)


def _revoke(key_id: int) -> Block:
    question = confirm("Revoke this API key?", "Programs that use it are refused at once.", "Revoke", "Keep it")
    return button("Revoke", "key_revoke", str(key_id), style="danger", confirm=question)
