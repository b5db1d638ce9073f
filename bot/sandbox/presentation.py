"""Slack's objects as they go over the wire: messages, files, channels, users, views."""

import mimetypes
import struct
from typing import Any
from urllib.parse import quote

from bot.sandbox.cast import APP_ID, BOT, BOT_ID, TEAM_ID, Role, User
from bot.sandbox.workspace import Channel, File, Json, Message, View, Workspace

FILE_TYPES = {"jsonl": "text", "txt": "text", "log": "text", "yml": "yaml", "py": "python", "md": "markdown"}


class Presenter:
    """Turns the workspace's state into Slack's JSON; `url` is where this workspace is reached."""

    def __init__(self, workspace: Workspace, url: str) -> None:
        self.workspace = workspace
        self.url = url

    def message(self, message: Message, *, metadata: bool = False) -> Json:
        """A message object."""
        body: Json = {"type": "message", "user": message.user, "ts": message.ts, "text": message.text}
        body["team"] = self.workspace.users[message.user].team_id
        if message.by_bot:
            body |= {"bot_id": BOT_ID, "app_id": APP_ID, "bot_profile": self.bot_profile()}
        for name in ("subtype", "thread_ts", "edited", "blocks", "attachments"):
            if value := getattr(message, name):
                body[name] = value
        if message.files:
            body |= {"files": [self.file(self.workspace.files[one]) for one in message.files], "upload": False}
        if message.reactions:
            body["reactions"] = [
                {"name": name, "count": len(users), "users": list(users)} for name, users in message.reactions.items()
            ]
        if metadata and message.metadata:
            body["metadata"] = message.metadata
        channel = self.workspace.channels[message.channel]
        if message.is_reply:
            root = channel.messages.get(message.thread_ts or "")
            body["parent_user_id"] = root.user if root else ""
        elif replies := channel.thread(message.ts):
            users = list(dict.fromkeys(one.user for one in replies))
            body |= {"thread_ts": message.ts, "reply_count": len(replies), "reply_users": users[:5]}
            body |= {"reply_users_count": len(users), "latest_reply": replies[-1].ts}
        return body

    def shown(self, message: Message) -> Json:
        """A message as the people's side has it: with its channel, and whether it is streaming or ephemeral."""
        body = {**self.message(message, metadata=True), "channel": message.channel}
        if message.only_for:
            body |= {"ephemeral": True, "is_ephemeral": True}
        if message.stream == "open":
            body["streaming"] = True
        return body

    def file(self, file: File) -> Json:
        """A file object; its bytes need a token."""
        mimetype = _mimetype(file)
        extension = file.name.rpartition(".")[2].lower() if "." in file.name else ""
        private = f"{self.url}/files-pri/{TEAM_ID}-{file.id}"
        shares: Json = {}
        places: dict[str, list[str]] = {"channels": [], "groups": [], "ims": []}
        for channel_id, ts in file.shares:
            channel = self.workspace.channels[channel_id]
            message = channel.messages.get(ts)
            if message is None:
                continue
            kind = {"channel": "channels", "group": "groups", "im": "ims"}[channel.kind]
            places[kind].append(channel_id)
            share: Json = {"ts": ts, "channel_name": channel.name, "team_id": TEAM_ID, "share_user_id": file.user}
            if message.is_reply:
                share["thread_ts"] = message.thread_ts
            visibility = "public" if channel.kind == "channel" else "private"
            shares.setdefault(visibility, {}).setdefault(channel_id, []).append(share)
        body: Json = {
            "id": file.id, "created": file.created, "timestamp": file.created, "name": file.name, "title": file.title,
            "mimetype": mimetype, "filetype": FILE_TYPES.get(extension, extension or "binary"),
            "pretty_type": extension.upper() or "Binary", "user": file.user,
            "user_team": self.workspace.users[file.user].team_id, "editable": False, "size": file.length,
            "mode": "hosted", "is_external": False, "external_type": "", "is_public": bool(places["channels"]),
            "public_url_shared": False, "display_as_bot": False, "username": "",
            "url_private": f"{private}/{quote(file.name)}",
            "url_private_download": f"{private}/download/{quote(file.name)}", "media_display_type": "unknown",
            "permalink": f"{self.url}/files/{file.user}/{file.id}", "is_starred": False, "has_rich_preview": False,
            "file_access": "visible", "shares": shares, "comments_count": 0, **places,
        }  # fmt: skip
        if file.alt_text:
            body["alt_txt"] = file.alt_text
        if mimetype.startswith("image/"):
            body["thumb_360"] = body["url_private"]
            if size := _png_size(file.data or b""):
                body |= {"original_w": size[0], "original_h": size[1]}
        return body

    def channel(self, channel: Channel, user_id: str = BOT.id) -> Json:
        """A conversation object as the user sees it."""
        body: Json = {
            "id": channel.id, "created": 1_700_000_000, "is_im": channel.is_im, "is_mpim": False, "is_archived": False,
            "is_channel": channel.kind == "channel", "is_group": channel.kind == "group",
            "is_private": channel.is_private or channel.is_im, "context_team_id": TEAM_ID,
        }  # fmt: skip
        if channel.is_im:
            other = next((one for one in channel.members if one != user_id), user_id)
            return body | {"user": other, "is_open": True}
        shared = any(self.workspace.users[one].role is Role.EXTERNAL for one in channel.members)
        topic = {"value": channel.topic, "creator": "", "last_set": 0}
        return body | {
            "name": channel.name, "name_normalized": channel.name, "is_member": user_id in channel.members,
            "is_general": channel.name == "general", "is_shared": shared, "is_ext_shared": shared,
            "is_org_shared": False, "creator": channel.members[0], "topic": topic, "num_members": len(channel.members),
            "purpose": {"value": "", "creator": "", "last_set": 0}, "previous_names": [],
        }  # fmt: skip

    def user(self, user: User) -> Json:
        """A user object."""
        profile = {"real_name": user.real_name, "display_name": user.real_name, "email": f"{user.name}@example.com"}
        profile |= {"real_name_normalized": user.real_name, "team": user.team_id, "avatar_hash": "", "status_text": ""}
        if user.is_bot:
            profile |= {"bot_id": BOT_ID, "api_app_id": APP_ID}
        return {
            "id": user.id, "team_id": user.team_id, "name": user.name, "real_name": user.real_name, "deleted": False,
            "color": user.color, "tz": "Europe/Berlin", "tz_label": "Central European Time", "tz_offset": 3600,
            "profile": profile, "is_admin": user.role is Role.ADMIN, "is_owner": user.role is Role.ADMIN,
            "is_primary_owner": False, "is_restricted": user.role is Role.GUEST, "is_ultra_restricted": False,
            "is_stranger": user.role is Role.EXTERNAL, "is_bot": user.is_bot, "is_app_user": False, "updated": 0,
        }  # fmt: skip

    def view(self, view: View, state: Json | None = None) -> Json:
        """A view object, with the state of its controls if given."""
        return {
            "id": view.id, "team_id": TEAM_ID, "app_id": APP_ID, "app_installed_team_id": TEAM_ID, "bot_id": BOT_ID,
            "title": None, "close": None, "submit": None, "private_metadata": "", "callback_id": "", "external_id": "",
            "clear_on_close": False, "notify_on_close": False, "previous_view_id": view.previous_id,
            "root_view_id": view.root_id, "hash": view.hash, "state": {"values": state or {}}, **view.body,
        }  # fmt: skip

    def bot_profile(self) -> Json:
        """What a bot's messages say of the bot."""
        return {
            "id": BOT_ID,
            "app_id": APP_ID,
            "name": BOT.real_name,
            "team_id": TEAM_ID,
            "deleted": False,
            "icons": {},
        }

    def person(self, user_id: str) -> Json:
        """The person behind an interaction."""
        user = self.workspace.user(user_id)
        return {"id": user.id, "username": user.name, "name": user.name, "team_id": user.team_id}


def _mimetype(file: File) -> str:
    by_content = "application/octet-stream" if b"\0" in (file.data or b"")[:1024] else "text/plain"
    return mimetypes.guess_type(file.name)[0] or by_content


def _png_size(data: bytes) -> Any:
    if len(data) < 24 or not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return None
    return struct.unpack(">II", data[16:24])
