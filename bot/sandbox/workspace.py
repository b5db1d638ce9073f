"""The workspace's state: people, channels, messages, files and views, in memory. Everything runs on one event loop."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.cast import BOT, PEOPLE, PLACES, TEAM_ID, User, direct_id
from bot.sandbox.errors import SlackProblem
from bot.sandbox.ids import Ids

Json = dict[str, Any]


@dataclass
class Message:
    """A message of a channel. `only_for` makes it ephemeral; `stream` is how its stream stands, if it ever had one."""

    channel: str
    ts: str
    user: str
    text: str
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    thread_ts: str | None = None
    subtype: str | None = None
    files: list[str] = field(default_factory=list)
    metadata: Json | None = None
    edited: Json | None = None
    reactions: dict[str, list[str]] = field(default_factory=dict)
    only_for: str | None = None
    stream: str = ""
    stream_tasks: list[Json] = field(default_factory=list)
    stream_blocks: list[Json] = field(default_factory=list)

    @property
    def is_reply(self) -> bool:
        """Whether it stands in a thread without being its parent."""
        return self.thread_ts is not None and self.thread_ts != self.ts

    @property
    def by_bot(self) -> bool:
        """Whether the bot wrote it."""
        return self.user == BOT.id


@dataclass
class Channel:
    """A channel or a direct conversation with its messages by timestamp."""

    id: str
    name: str
    topic: str
    members: list[str]
    is_private: bool = False
    is_im: bool = False
    messages: dict[str, Message] = field(default_factory=dict)
    ephemerals: dict[str, Message] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Events' `channel_type`."""
        if self.is_im:
            return "im"
        return "group" if self.is_private else "channel"

    def thread(self, root_ts: str) -> list[Message]:
        """The replies to a message, oldest first."""
        return [one for one in self.messages.values() if one.thread_ts == root_ts and one.ts != root_ts]

    def timeline(self) -> list[Message]:
        """What stands in the channel itself, oldest first."""
        return [one for one in self.messages.values() if not one.is_reply or one.subtype == "thread_broadcast"]


@dataclass
class File:
    """A file and, once uploaded, its bytes. `shares` are the messages it is in: (channel, ts).

    `given` is whether it was submitted in a form of the app's.
    """

    id: str
    name: str
    title: str
    user: str
    length: int
    created: int
    alt_text: str = ""
    data: bytes | None = None
    complete: bool = False
    shares: list[tuple[str, str]] = field(default_factory=list)
    given: bool = False


@dataclass
class View:
    """A modal or a home tab of one person. `values` are what was last told of its controls, by block and action."""

    id: str
    user: str
    body: Json
    hash: str
    root_id: str
    previous_id: str | None = None
    values: dict[str, Json] = field(default_factory=dict)


class Workspace:
    """Everything there is, and where to find it. Raises SlackProblem for what there is not."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ids = Ids()
        self.users: dict[str, User] = {user.id: user for user in (*PEOPLE, BOT)}
        self.channels: dict[str, Channel] = {}
        for place in PLACES:
            members = list(place.members)
            self.channels[place.id] = Channel(place.id, place.name, place.topic, members, is_private=place.is_private)
        for person in PEOPLE:
            self.direct(person.id)
        self.files: dict[str, File] = {}
        self.stacks: dict[str, list[View]] = {}
        self.homes: dict[str, View] = {}
        self.message_values: dict[tuple[str, str, str], dict[str, Json]] = {}
        """What a person has put into a message's controls, by (user, channel, ts)."""
        self.suggested: dict[tuple[str, str], Json] = {}
        """The options that the app offered for external selects, by (action, value)."""

    @property
    def domain(self) -> str:
        """The name as it stands in addresses."""
        return "-".join(self.name.lower().split())

    def user(self, user_id: str) -> User:
        """Somebody by id."""
        if user_id not in self.users:
            raise SlackProblem("user_not_found")
        return self.users[user_id]

    def direct(self, user_id: str) -> Channel:
        """The person's direct conversation with the bot."""
        user = self.user(user_id)
        channel_id = direct_id(user)
        if channel_id not in self.channels:
            self.channels[channel_id] = Channel(channel_id, user.name, "", [user.id, BOT.id], is_im=True)
        return self.channels[channel_id]

    def channel(self, channel_id: str, seen_by: str = BOT.id) -> Channel:
        """A channel by id or name, if `seen_by` may know of it."""
        wanted = channel_id.removeprefix("#")
        for channel in self.channels.values():
            if wanted in {channel.id, "" if channel.is_im else channel.name}:
                hidden = channel.is_im or channel.is_private
                if hidden and seen_by not in channel.members:
                    break
                return channel
        raise SlackProblem("channel_not_found")

    def joined(self, channel_id: str, user_id: str = BOT.id) -> Channel:
        """A channel that the user is a member of."""
        channel = self.channel(channel_id, user_id)
        if user_id not in channel.members:
            raise SlackProblem("not_in_channel")
        return channel

    def message(self, channel: Channel, ts: str) -> Message:
        """A message everybody in the channel sees."""
        if ts not in channel.messages:
            raise SlackProblem("message_not_found")
        return channel.messages[ts]

    def seen_message(self, channel: Channel, ts: str, user_id: str) -> Message:
        """A message, or an ephemeral one for this person."""
        hidden = channel.ephemerals.get(ts)
        if hidden is not None and hidden.only_for == user_id:
            return hidden
        return self.message(channel, ts)

    def file(self, file_id: str) -> File:
        """A file by id."""
        if file_id not in self.files:
            raise SlackProblem("file_not_found")
        return self.files[file_id]

    def may_read(self, user_id: str, file: File) -> bool:
        """Whether the file is the user's own, was given to the app in a form, or was shared where the user is."""
        if file.user == user_id or (file.given and user_id == BOT.id):
            return True
        return any(user_id in self.channels[channel_id].members for channel_id, _ in file.shares)

    def open_views(self) -> Iterator[View]:
        """Every modal that is open for anybody."""
        for stack in self.stacks.values():
            yield from stack

    def view(self, view_id: str) -> View:
        """An open modal or a published home tab by id."""
        for view in (*self.open_views(), *self.homes.values()):
            if view.id == view_id:
                return view
        raise SlackProblem("not_found")

    def team(self) -> Json:
        """What payloads say of the workspace."""
        return {"id": TEAM_ID, "domain": self.domain}
