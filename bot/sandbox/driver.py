"""A person of the workspace, played from Python: says, types, clicks and fills in what a person would in the page."""

import json
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

Json = dict[str, Any]
TIMEOUT_SECONDS = 30.0


class Refused(Exception):
    """The workspace did not let the person do it; the message is the reason."""


class Person:
    """One person at one workspace, by name. Calls return the workspace's answers."""

    def __init__(self, url: str, name: str) -> None:
        self._url = url.rstrip("/")
        self._live: list[ClientConnection] = []
        self._channels: dict[str, str] = {}
        users = self._get("/sandbox/state")["users"]
        found = [user["id"] for user in users if name in {user["real_name"], user["name"]} and not user["is_bot"]]
        if not found:
            raise LookupError(f"nobody here is called {name}")
        self.id: str = found[0]

    # what the person sees

    def state(self) -> Json:
        """Everything the person may see."""
        return self._get("/sandbox/state", user=self.id)

    def channel_id(self, channel: str) -> str:
        """A channel's id by its name; "@bot" is the direct conversation with the bot. Ids stay what they are."""
        if channel not in self._channels:
            self._channels[channel] = self._find_channel(channel)
        return self._channels[channel]

    def _find_channel(self, channel: str) -> str:
        state = self.state()
        for one in state["channels"]:
            named = "@bot" if one["is_im"] else f"#{one['name']}"
            if channel in {one["id"], named}:
                return str(one["id"])
        raise LookupError(f"no channel {channel} here for this person")

    def messages(self, channel: str) -> list[Json]:
        """What stands in a channel, ephemeral messages among it, oldest first."""
        found = self._all(channel)
        return [
            one
            for one in found
            if one.get("ephemeral")
            or one.get("thread_ts") in {None, one["ts"]}
            or one.get("subtype") == "thread_broadcast"
        ]

    def thread(self, channel: str, ts: str) -> list[Json]:
        """A message and the replies to it, oldest first."""
        return [one for one in self._all(channel) if ts in {one["ts"], one.get("thread_ts")}]

    def _all(self, channel: str) -> list[Json]:
        state = self.state()
        if channel in state["messages"]:
            return list(state["messages"][channel])
        return list(state["messages"][self.channel_id(channel)])

    # what the person does

    def say(
        self,
        channel: str,
        text: str,
        files: Sequence[Path | tuple[str, bytes]] | None = None,
        thread_ts: str | None = None,
    ) -> str:
        """Write a message; returns its ts. Raises Refused."""
        uploaded = [self.upload(file) for file in files or ()]
        said = {"channel": self.channel_id(channel), "text": text, "files": uploaded, "thread_ts": thread_ts}
        return str(self._must("/sandbox/messages", said)["ts"])

    def upload(self, file: Path | tuple[str, bytes]) -> str:
        """Upload a file for a message or a form; returns its id. Raises Refused."""
        name, data = (file.name, file.read_bytes()) if isinstance(file, Path) else file
        query = urlencode({"user": self.id, "name": name})
        return str(_accepted(self._send("POST", f"/sandbox/files?{query}", data))["id"])

    def command(self, channel: str, command: str, text: str = "", thread_ts: str | None = None) -> Json:
        """Type a slash command; the answer's "error" is what the person would read."""
        typed = {"channel": self.channel_id(channel), "command": command, "text": text, "thread_ts": thread_ts}
        return self._post("/sandbox/commands", typed)

    def click(self, shown: Mapping[str, Any], action_id: str, **chosen: Any) -> Json:
        """Use a control of a message, a form or the home tab: a button, or with what it needs a select."""
        return self._post("/sandbox/actions", {**_place(shown), "action_id": action_id, **chosen})

    def submit(self, view: Mapping[str, Any], values: Mapping[str, Any]) -> Json:
        """Submit a form with these values by block; the others keep what they start with."""
        by_block = {block["block_id"]: block for block in view["blocks"]}
        unknown = set(values) - set(by_block)
        if unknown:
            raise LookupError(f"the form has no field {', '.join(sorted(unknown))}")
        filled = {name: {by_block[name]["element"]["action_id"]: value} for name, value in values.items()}
        return self._post(f"/sandbox/views/{view['id']}/submit", {"values": filled})

    def close(self, view: Mapping[str, Any]) -> Json:
        """Close a form without submitting it."""
        return self._post(f"/sandbox/views/{view['id']}/close", {})

    def home(self) -> Json:
        """Open the app's home tab."""
        return self._post("/sandbox/home", {})

    def shortcut(self, callback_id: str, message: Mapping[str, Any] | None = None, channel: str | None = None) -> Json:
        """Use a shortcut, perhaps on a message."""
        where: Json = {"callback_id": callback_id}
        if message is not None:
            where |= {"channel": message["channel"], "ts": message["ts"]}
        elif channel is not None:
            where["channel"] = self.channel_id(channel)
        return self._post("/sandbox/shortcuts", where)

    def react(self, message: Mapping[str, Any], name: str) -> Json:
        """React to a message, or take the reaction back."""
        return self._post("/sandbox/reactions", {"channel": message["channel"], "ts": message["ts"], "name": name})

    def stop_stream(self, message: Mapping[str, Any]) -> Json:
        """Stop a streaming answer."""
        return self._post("/sandbox/streams/stop", {"channel": message["channel"], "ts": message["ts"]})

    def options(self, shown: Mapping[str, Any], action_id: str, typed: str, block_id: str = "") -> Json:
        """What an external select offers for what was typed."""
        place = {name: "1" if value is True else value for name, value in _place(shown).items()}
        return self._get("/sandbox/options", user=self.id, action_id=action_id, block_id=block_id, value=typed, **place)

    def download(self, file: Mapping[str, Any]) -> bytes:
        """A file's bytes, as the person may read them."""
        address = urlsplit(file["url_private"])
        return self._send("GET", urlunsplit(("", "", address.path, f"user={quote(self.id)}", "")))

    # what the person follows

    def live(self) -> Iterator[Json]:
        """Frame after frame of what changes; ends when the workspace closes, or by hang_up."""
        address = f"ws{self._url.removeprefix('http')}/sandbox/live?user={quote(self.id)}"
        with connect(address, max_size=None, open_timeout=TIMEOUT_SECONDS, proxy=None) as socket:
            self._live.append(socket)
            try:
                for frame in socket:
                    yield json.loads(frame)
            except ConnectionClosed:
                return
            finally:
                if socket in self._live:
                    self._live.remove(socket)

    def hang_up(self) -> None:
        """End what live() follows."""
        for socket in list(self._live):
            socket.close()

    # what only tests and the curious do

    def journal(self, after: int = 0, kind: str = "") -> list[Json]:
        """What went over the wire, with a number above `after`."""
        return list(self._get("/sandbox/journal", after=str(after), kind=kind)["entries"])

    def fault(self, **fields: Any) -> None:
        """Let something go wrong: kind, method, times and what the kind needs. Raises Refused."""
        self._must("/sandbox/faults", fields)

    def clear_faults(self) -> None:
        """Let nothing go wrong any more."""
        _accepted(self._send("DELETE", "/sandbox/faults"))

    def _must(self, path: str, body: Json) -> Json:
        return _accepted(self._send("POST", path, self._body(body), "application/json"))

    def _post(self, path: str, body: Json) -> Json:
        return _read(self._send("POST", path, self._body(body), "application/json"))

    def _body(self, body: Json) -> bytes:
        given = {name: value for name, value in body.items() if value is not None}
        return json.dumps({"user": self.id, **given}).encode()

    def _get(self, path: str, **query: str) -> Json:
        return _accepted(self._send("GET", f"{path}?{urlencode(query)}"))

    def _send(self, verb: str, path: str, body: bytes | None = None, kind: str = "application/octet-stream") -> bytes:
        request = urllib.request.Request(f"{self._url}{path}", body, {"Content-Type": kind}, method=verb)  # noqa: S310 -- a workspace of our own
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return bytes(answer.read())


def _place(shown: Mapping[str, Any]) -> Json:
    """Where a control stands: in a message, a form, or the home tab."""
    if "channel" in shown:
        return {"channel": shown["channel"], "ts": shown["ts"]}
    return {"home": True} if shown.get("type") == "home" else {"view_id": shown["id"]}


def _read(answer: bytes) -> Json:
    return dict(json.loads(answer))


def _accepted(answer: bytes) -> Json:
    read = _read(answer)
    if read.get("ok") is False:
        raise Refused(str(read.get("error")))
    return read
