"""How to talk to the tuned model: in this thread, or over HTTP."""

from bot import escape
from bot.blocks.elements import Drawn, actions, button, confirm, context, section
from workers.tables import Endpoint


def draw(endpoint: Endpoint, gateway: str) -> Drawn:
    """The endpoint's message; `gateway` is the address as people reach it."""
    name = escape.mrkdwn(endpoint.name, 60)
    return Drawn(
        text=f"💬 {name} is ready to chat: reply in this thread.",
        blocks=[
            section(f"💬 *{name}* is ready. *Reply in this thread* and it answers."),
            section(
                "For programs, it speaks OpenAI's chat protocol:\n"
                f"• address `{escape.code(gateway)}/v1`\n• model `{escape.code(endpoint.model, 120)}`"
            ),
            actions(button("Get an API key", "endpoint_key", str(endpoint.id))),
            context("A key is shown once, to you alone."),
        ],
    )


def key(endpoint: Endpoint, gateway: str, secret: str, key_id: int) -> Drawn:
    """The new key, for the person who asked and nobody else."""
    question = confirm("Revoke this key?", "Programs that use it are refused at once.", "Revoke", "Keep it")
    return Drawn(
        text=f"🔑 Your key for {escape.mrkdwn(endpoint.name, 60)}: {secret} (model: {escape.code(endpoint.model)})",
        blocks=[
            section(
                f"🔑 Your key for *{escape.mrkdwn(endpoint.name, 60)}*. Copy it now: it is not shown again.\n"
                f"```{secret}```\nmodel: `{escape.code(endpoint.model, 120)}` · address: `{escape.code(gateway)}/v1`"
            ),
            actions(button("Revoke", "key_revoke", str(key_id), style="danger", confirm=question)),
        ],
    )
