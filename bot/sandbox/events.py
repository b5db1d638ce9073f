"""The Events API: what happens in the workspace is told to the bot, wherever the bot may see it."""

import time

from bot.sandbox.cast import APP_ID, BOT, TEAM_ID
from bot.sandbox.hub import Hub
from bot.sandbox.workspace import Channel, File, Json, Message

THREADED = ("thread_ts", "parent_user_id")


def send(hub: Hub, event: Json, *, by: str) -> None:
    """Wrap an event that a user caused, and deliver it in the background."""
    team = hub.workspace.users[by].team_id
    if team != TEAM_ID:
        event = {**event, "user_team": team, "source_team": team}
    hub.delivery.announce(
        {
            "token": "sandbox",
            "team_id": TEAM_ID,
            "context_team_id": TEAM_ID,
            "context_enterprise_id": None,
            "api_app_id": APP_ID,
            "event": event,
            "type": "event_callback",
            "event_id": hub.workspace.ids.new("Ev"),
            "event_time": int(time.time()),
            "authorizations": [
                {
                    "enterprise_id": None,
                    "team_id": TEAM_ID,
                    "user_id": BOT.id,
                    "is_bot": True,
                    "is_enterprise_install": False,
                }
            ],
            "is_ext_shared_channel": team != TEAM_ID,
        }
    )


def posted(hub: Hub, channel: Channel, message: Message) -> None:
    """A message came: `message`, and for a mention of the bot `app_mention`; for its files `file_shared`."""
    if BOT.id not in channel.members:
        return
    body = _as_told(hub, message)
    common = {"channel": channel.id, "event_ts": message.ts}
    send(hub, {**body, **common, "channel_type": channel.kind}, by=message.user)
    if f"<@{BOT.id}>" in message.text and not channel.is_im and not message.by_bot:
        mention = {name: value for name, value in body.items() if name not in {"type", "subtype"}}
        send(hub, {"type": "app_mention", **mention, **common}, by=message.user)
    for file_id in message.files:
        shared = {"type": "file_shared", "file_id": file_id, "user_id": message.user, "file": {"id": file_id}}
        send(hub, {**shared, "channel_id": channel.id, "event_ts": hub.workspace.ids.ts()}, by=message.user)


def changed(hub: Hub, channel: Channel, message: Message, before: Json) -> None:
    """A message was edited."""
    if BOT.id in channel.members:
        body = {"subtype": "message_changed", "message": _as_told(hub, message), "previous_message": before}
        _about(hub, channel, message, body)


def deleted(hub: Hub, channel: Channel, message: Message, before: Json) -> None:
    """A message was taken back."""
    if BOT.id in channel.members:
        body = {"subtype": "message_deleted", "deleted_ts": message.ts, "previous_message": before}
        _about(hub, channel, message, body)


def reacted(hub: Hub, channel: Channel, message: Message, by: str, name: str, *, added: bool) -> None:
    """Somebody put a reaction on a message, or took it back."""
    if BOT.id in channel.members:
        item = {"type": "message", "channel": channel.id, "ts": message.ts}
        kind = "reaction_added" if added else "reaction_removed"
        event = {"type": kind, "user": by, "reaction": name, "item": item, "item_user": message.user}
        send(hub, {**event, "event_ts": hub.workspace.ids.ts()}, by=by)


def home_opened(hub: Hub, user_id: str) -> None:
    """Somebody looks at the app's home tab."""
    event: Json = {
        "type": "app_home_opened",
        "user": user_id,
        "channel": hub.workspace.direct(user_id).id,
        "tab": "home",
    }
    home = hub.workspace.homes.get(user_id)
    if home:
        event["view"] = hub.present.view(home)
    send(hub, {**event, "event_ts": hub.workspace.ids.ts()}, by=user_id)


def _about(hub: Hub, channel: Channel, message: Message, body: Json) -> None:
    ts = hub.workspace.ids.ts()
    common = {"type": "message", "hidden": True, "channel": channel.id, "channel_type": channel.kind}
    send(hub, {**common, **body, "ts": ts, "event_ts": ts}, by=message.user)


def _as_told(hub: Hub, message: Message) -> Json:
    body = hub.present.message(message, metadata=True)
    if message.files:
        body["files"] = [_file_as_told(hub, hub.workspace.files[file_id]) for file_id in message.files]
    return body


def _file_as_told(hub: Hub, file: File) -> Json:
    """A file of another organisation is only named; files.info has the rest."""
    if hub.workspace.users[file.user].team_id == TEAM_ID:
        return hub.present.file(file)
    stub = {"id": file.id, "mode": "file_access", "file_access": "check_file_info"}
    return {**stub, "created": 0, "timestamp": 0, "user": file.user}
