"""`/invite @somebody`: Slack's own command, which lets the bot and people into a channel."""

import re

from bot.sandbox import posting
from bot.sandbox.hub import Hub
from bot.sandbox.workspace import Channel, Json

COMMAND = {"command": "/invite", "usage_hint": "@Finetune Bot", "description": "Let somebody into this channel"}
_MENTION = re.compile(r"<@(\w+)(?:\|[^>]*)?>|@(.+)")


def invite(hub: Hub, channel: Channel, text: str) -> Json:
    """Let somebody in. The answer's "error" is what Slack shows in its place."""
    if channel.is_im:
        return {"ok": False, "error": "/invite does not work in direct messages."}
    user_id = _named(hub, text)
    if user_id is None:
        return {"ok": False, "error": f"/invite knows nobody called {text.strip() or 'nothing'}."}
    name = hub.workspace.users[user_id].real_name
    if user_id in channel.members:
        return {"ok": False, "error": f"{name} is in this channel already."}
    channel.members.append(user_id)
    hub.live.tell({"type": "members", "channel": channel.id, "members": list(channel.members)}, channel.members)
    posting.post(hub, channel, user_id, f"<@{user_id}> has joined the channel", subtype="channel_join")
    return {"ok": True, "ack_seconds": 0.0}


def _named(hub: Hub, text: str) -> str | None:
    found = _MENTION.fullmatch(text.strip())
    if found is None:
        return None
    wanted = (found[1] or found[2]).casefold()
    for user in hub.workspace.users.values():
        if wanted in {user.id.casefold(), user.name.casefold(), user.real_name.casefold()}:
            return user.id
    return None
